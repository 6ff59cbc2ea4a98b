"""Networks of segmentation-models-pytorch, by a spec and no code: `smp:Unet/resnet34`, `smp:Segformer/mit_b0`."""

import hashlib
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from inspect import signature
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, first_line, unknown
from bench.networks.call import PRETRAINED, WEIGHTS, Call
from bench.networks.network import Network

if TYPE_CHECKING:
    from torch import nn

PREFIX = "smp:"
LIBRARIES = ("segmentation-models-pytorch", "timm")
# Its architectures, which are not asked of the library here, for importing it takes as long as torch does.
ARCHITECTURES = ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus",
                 "UPerNet", "Segformer", "DPT")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SmpNetwork(Network):
    """An architecture with an encoder; further arguments are the library's own."""

    call: Call

    @classmethod
    def called(cls, call: Call) -> "SmpNetwork":
        """The network of a spec; UserError where it has not the form or names an architecture that is not there."""
        architecture, slash, encoder = call.what.removeprefix(PREFIX).partition("/")
        if not (architecture and slash and encoder):
            raise UserError(
                f"'{call.what}' is no spec of a network; write smp:ARCHITECTURE/ENCODER, such as smp:Unet/resnet34"
            )
        if architecture not in ARCHITECTURES:
            raise unknown("architecture", architecture, ARCHITECTURES)
        title = f"{architecture}/{encoder}"
        return cls(str(call), title, source="segmentation-models-pytorch", groups=("smp",), call=call)

    @property
    def digest(self) -> str:
        """Of the libraries' versions: their code is not ours to read."""
        said = " ".join(f"{library} {version(library)}" for library in LIBRARIES)
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def build(self, in_channels: int, classes: int, image_size: int) -> "nn.Module":
        """The library's network with random weights, or the encoder's of ImageNet where that was asked for."""
        import segmentation_models_pytorch as smp

        from bench.networks.adapt import adapted
        from bench.networks.builder import refuse_strange

        architecture, _, encoder = self.call.what.removeprefix(PREFIX).partition("/")
        architecture_class, arguments = getattr(smp, architecture), self._arguments()
        if not encoder.startswith("tu-"):  # the library passes over what it does not know; timm's encoders take more
            refuse_strange(signature(architecture_class).parameters.values(), arguments, self.title)
        try:
            network = architecture_class(encoder, in_channels=in_channels, classes=classes, **arguments)
        except Exception as error:  # whatever the library, timm or a hub's client raise
            raise UserError(_explained(error, self.call.what, encoder, arguments[WEIGHTS])) from error
        return adapted(network, self.title, (in_channels, classes, image_size))

    def _arguments(self) -> dict[str, Any]:
        values = self.call.values
        weights = "imagenet" if values.pop(PRETRAINED, False) else None
        return {WEIGHTS: weights, **values}


def _explained(error: Exception, what: str, encoder: str, weights: str | None) -> str:
    """In words: an encoder that is not there, weights that cannot be had, or what the library said."""
    import timm
    from segmentation_models_pytorch.encoders import encoders

    known = [*encoders, *(f"tu-{name}" for name in timm.list_models())]
    if encoder not in known:
        near = get_close_matches(encoder, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm's models are there as tu-NAME"
        return f"unknown encoder '{encoder}'; {hint}"
    said = first_line(error)
    if weights and not isinstance(error, TypeError):
        return (
            f"the weights '{weights}' of {what} are not on this machine and could not be fetched ({said}); "
            "run it once where there is a network, or leave --pretrained out"
        )
    return f"{what} cannot be built ({said}); see the library's own page for what it takes"
