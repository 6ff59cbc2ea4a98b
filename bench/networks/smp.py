"""Networks of segmentation-models-pytorch by a spec: `smp:Unet/resnet34`, `smp:Segformer/mit_b0`."""

import hashlib
from difflib import get_close_matches
from importlib.metadata import version
from inspect import signature
from typing import Any

from bench.errors import UserError, first_line, unknown
from bench.networks.foreign import ForeignNetwork
from bench.networks.imported import Code
from bench.networks.names import PRETRAINED, WEIGHTS, Name

PREFIX = "smp:"
LIBRARIES = ("segmentation-models-pytorch", "timm")
# The library's architectures. They are listed here because importing it takes as long as importing torch.
ARCHITECTURES = ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus",
                 "UPerNet", "Segformer", "DPT")  # fmt: skip


def from_spec(name: Name) -> ForeignNetwork:
    """The network of a spec, an architecture with an encoder; further arguments are the library's own.

    Weights are random, or those of an encoder trained on ImageNet if requested. Raises UserError if the spec is
    malformed or names an unknown architecture.
    """
    architecture, _, encoder = name.base.removeprefix(PREFIX).partition("/")
    if not (architecture and encoder):
        raise UserError(f"'{name.base}' names no network; write smp:ARCHITECTURE/ENCODER, such as smp:Unet/resnet34")
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)

    def build(in_channels: int, classes: int, **others: Any) -> Any:
        import segmentation_models_pytorch as smp

        from bench.networks.construct import refuse_unknown

        made = getattr(smp, architecture)
        if not encoder.startswith("tu-"):  # the library ignores unknown arguments; timm's encoders take more
            refuse_unknown(signature(made).parameters.values(), others, f"{architecture}/{encoder}")
        try:
            return made(encoder, in_channels=in_channels, classes=classes, **others)
        except Exception as error:  # the library, timm or a hub client can raise anything
            raise UserError(_explained(error, architecture, encoder, others[WEIGHTS])) from error

    values = name.values
    return ForeignNetwork(
        str(name), f"{architecture}/{encoder}", source=LIBRARIES[0], groups=("smp",), file=str(name),
        arguments={WEIGHTS: "imagenet" if values.pop(PRETRAINED, False) else None, **values},
        builder=lambda: build, code=_code,
    )  # fmt: skip


def _code() -> Code:
    """The libraries; the digest is that of their versions."""
    versions = " ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return Code(hashlib.sha256(versions.encode()).hexdigest()[:12], LIBRARIES)


def _explained(error: Exception, architecture: str, encoder: str, weights: str | None) -> str:
    """The reason of the error: an unknown encoder, weights that cannot be downloaded, or the library's message."""
    import timm
    from segmentation_models_pytorch.encoders import encoders

    known = [*encoders, *(f"tu-{name}" for name in timm.list_models())]
    if encoder not in known:
        near = get_close_matches(encoder, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm's models are there as tu-NAME"
        return f"unknown encoder '{encoder}'; {hint}"
    spec, said = f"{PREFIX}{architecture}/{encoder}", first_line(error)
    if weights and not isinstance(error, TypeError):
        missing = f"the weights '{weights}' of {spec} are not on this machine and could not be fetched ({said})"
        return f"{missing}; run it once where there is a network, or leave --pretrained out"
    return f"{spec} cannot be built ({said}); see the library's own page for what it takes"
