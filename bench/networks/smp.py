"""Networks of segmentation-models-pytorch by a spec: `smp:Unet/resnet34`, `smp:Segformer/mit_b0`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from inspect import signature
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, first_line, unknown
from bench.networks.names import PRETRAINED, WEIGHTS, Name
from bench.networks.network import Network, Shapes

if TYPE_CHECKING:
    from torch import nn

PREFIX = "smp:"
LIBRARIES = ("segmentation-models-pytorch", "timm")
# The library's architectures. They are listed here because importing it takes as long as importing torch.
ARCHITECTURES = ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus",
                 "UPerNet", "Segformer", "DPT")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SmpNetwork(Network):
    """An architecture with an encoder; further arguments are the library's own."""

    architecture: str
    encoder: str
    arguments: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of the libraries' versions, which stand for their code."""
        versions = " ".join(f"{library} {version(library)}" for library in LIBRARIES)
        return hashlib.sha256(versions.encode()).hexdigest()[:12]

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """The library's network with random weights, or with an encoder trained on ImageNet where that was asked."""
        import segmentation_models_pytorch as smp

        from bench.networks.adapt import adapted
        from bench.networks.construct import refuse_unknown

        architecture = getattr(smp, self.architecture)
        if not self.encoder.startswith("tu-"):  # the library ignores unknown arguments; timm's encoders take more
            refuse_unknown(signature(architecture).parameters.values(), self.arguments, self.title)
        try:
            network = architecture(self.encoder, in_channels=in_channels, classes=classes, **self.arguments)
        except Exception as error:  # whatever the library, timm or a hub's client raises
            raise UserError(_explained(error, self)) from error
        return adapted(network, self.title, Shapes(in_channels, classes, image_size))


def from_spec(name: Name) -> SmpNetwork:
    """The network of a spec; UserError where it has another form or names an unknown architecture."""
    architecture, _, encoder = name.base.removeprefix(PREFIX).partition("/")
    if not (architecture and encoder):
        raise UserError(f"'{name.base}' names no network; write smp:ARCHITECTURE/ENCODER, such as smp:Unet/resnet34")
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)
    values = name.values
    arguments = {WEIGHTS: "imagenet" if values.pop(PRETRAINED, False) else None, **values}
    return SmpNetwork(
        str(name), f"{architecture}/{encoder}", source=LIBRARIES[0], groups=("smp",), architecture=architecture,
        encoder=encoder, arguments=arguments,
    )  # fmt: skip


def _explained(error: Exception, network: SmpNetwork) -> str:
    """What failed: an unknown encoder, weights that cannot be fetched, or what the library said."""
    import timm
    from segmentation_models_pytorch.encoders import encoders

    known = [*encoders, *(f"tu-{name}" for name in timm.list_models())]
    if network.encoder not in known:
        near = get_close_matches(network.encoder, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm's models are there as tu-NAME"
        return f"unknown encoder '{network.encoder}'; {hint}"
    spec, weights, said = f"{PREFIX}{network.title}", network.arguments[WEIGHTS], first_line(error)
    if weights and not isinstance(error, TypeError):
        missing = f"the weights '{weights}' of {spec} are not on this machine and could not be fetched ({said})"
        return f"{missing}; run it once where there is a network, or leave --pretrained out"
    return f"{spec} cannot be built ({said}); see the library's own page for what it takes"
