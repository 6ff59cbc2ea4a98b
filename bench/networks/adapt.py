"""Adapts a network from any class or function to the required images and maps.

The needs of a network are declared, or detected on one random image. They are declared by `image_size` (pixels a side),
`in_channels` and `main` (the main map's index or key in the output): as an argument that the builder does not have
itself, or as an attribute of the class or function, or of the network. Detected are another image size or number of
channels, smaller maps, two maps for one class, and a final sigmoid or softmax.
"""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.networks.construct import construct, parameters_of
from bench.networks.explain import failure
from bench.networks.output_maps import binary, logit_maps, resized, tensors_in
from bench.networks.table import Shapes

SIZES = (256, 224, 512, 384, 128)  # tried if the requested size fails
CHANNELS = (3, 1)
DECLARED = ("image_size", "in_channels", "main")
SMALLEST = 1e-6  # probabilities are clipped to this distance from 0 and 1 before conversion to logits
ENDS = {"SigmoidBackward0": "sigmoid", "SoftmaxBackward0": "softmax"}  # losses on logits apply these themselves


class Needs(NamedTuple):
    """The needs of a network: image size, channels, main map, and the activation at its end."""

    size: int
    channels: int
    main: Any = None
    end: str = ""


class Adapted(nn.Module):
    """A network with its input and output converted to the required shapes.

    (N, channels, size, size) -> (N, classes, size, size); in training a tuple of such maps if it has several.
    """

    def __init__(self, network: nn.Module, shapes: Shapes, needs: Needs) -> None:
        super().__init__()
        self.network, self.shapes, self.needs = network, shapes, needs

    @property
    def notes(self) -> tuple[str, ...]:
        """Descriptions of the conversions, shown with the network's figures."""
        (size, channels, _, end), notes = self.needs, []
        if (size, channels) != (self.shapes.size, self.shapes.channels):
            inner = f"{size}x{size}, {channels} channel{'s' if channels > 1 else ''}"
            given = f"{self.shapes.size}x{self.shapes.size}"
            notes.append(f"works on images of {inner} inside, made from those of {given}")
        if end:
            notes.append(f"its {end} is undone, for losses and scores take logits")
        return tuple(notes)

    def forward(self, images: Tensor) -> Any:
        """The main map of logits at the images' size; in training all maps, the main one first."""
        output = self.network(self._to_inner(images))
        maps = _ordered(output, self.shapes.classes, self.needs.main)
        logits = tuple(self._to_logits(one, *images.shape[-2:]) for one in (maps if self.training else maps[:1]))
        return logits if len(logits) > 1 else logits[0]

    def _to_inner(self, images: Tensor) -> Tensor:
        if self.needs.channels != self.shapes.channels:
            images = images.mean(1, keepdim=True).expand(-1, self.needs.channels, -1, -1)
        if self.needs.size != self.shapes.size:
            images = resized(images, self.needs.size, self.needs.size)
        return images

    def _to_logits(self, maps: Tensor, height: int, width: int) -> Tensor:
        if self.needs.end and maps.dtype in (torch.bfloat16, torch.float16):
            maps = maps.float()  # half precision rounds a probability near 1 to 1, whose logit is infinite
        if self.needs.end == "sigmoid":
            maps = torch.logit(maps, eps=SMALLEST)
        elif self.needs.end == "softmax":
            maps = maps.clamp_min(SMALLEST).log()
        return resized(binary(maps, self.shapes.classes), height, width)


def made(builder: Callable[..., Any], name: str, shapes: Shapes, arguments: Mapping[str, Any]) -> nn.Module:
    """Construct the network of a class or function, adapted to these shapes."""
    own = {parameter.name for parameter in parameters_of(builder, name)}
    declared = {key: value for key, value in arguments.items() if key in DECLARED and key not in own}
    others = {key: value for key, value in arguments.items() if key not in declared}
    return adapted(construct(builder, name, shapes, others), name, shapes, builder, declared)


def adapted(
    network: nn.Module, name: str, shapes: Shapes, builder: Any = None, declared: Mapping[str, Any] | None = None
) -> nn.Module:
    """Return the network itself if its input and output have these shapes, else an `Adapted` network.

    It is tried on one random image in eval mode; random generators are not affected. `declared` takes precedence over
    declarations of the builder or network. Raises UserError if it accepts no image of any size tried, or returns no map
    of the classes.
    """
    known = {word: (declared or {}).get(word, _declared(word, network, builder)) for word in DECLARED}
    was_training = network.training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        needs, output = _tried(network.eval(), name, shapes, known)
    network.train(was_training)
    end = ENDS.get(type(_ordered(output, shapes.classes, needs.main)[0].grad_fn).__name__, "")
    fits = isinstance(output, Tensor) and tuple(output.shape) == (1, shapes.classes, shapes.size, shapes.size)
    if fits and not end and (needs.size, needs.channels) == (shapes.size, shapes.channels):
        return network
    return Adapted(network, shapes, needs._replace(end=end))


def inside(network: nn.Module) -> nn.Module:
    """The network itself, without what adapts it."""
    return network.network if isinstance(network, Adapted) else network


def notes_of(network: nn.Module) -> tuple[str, ...]:
    """Descriptions of how a network's images and maps are converted; empty if it was not adapted."""
    return network.notes if isinstance(network, Adapted) else ()


def _declared(word: str, network: nn.Module, builder: Any) -> Any:
    places = (getattr(place, word, None) for place in (builder, network))
    value = next((found for found in places if found is not None), None)
    if word == "image_size" and isinstance(value, tuple | list) and value:
        value = value[0]
    return value if isinstance(value, int | str if word == "main" else int) else None  # a layer may be called `main`


def _tried(network: nn.Module, name: str, shapes: Shapes, known: dict[str, Any]) -> tuple[Needs, Any]:
    """The first size and channels that the network takes, and its output.

    They are tried as declared or asked for, then with one of the two changed, then with both.
    """
    size, channels = known["image_size"] or shapes.size, known["in_channels"] or shapes.channels
    sizes, counts = dict.fromkeys([size, shapes.size, *SIZES]), dict.fromkeys([channels, shapes.channels, *CHANNELS])
    refusals: list[Exception] = []
    for one in sorted(product(sizes, counts), key=lambda pair: (pair[0] != size) + (pair[1] != channels)):
        needs = Needs(*one, known["main"])
        try:
            output = network(torch.rand(1, needs.channels, needs.size, needs.size))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a network may reject an image with any exception
            refusals.append(error)
            continue
        if not logit_maps(output, shapes.classes):
            raise UserError(_no_maps(output, name, shapes.classes))
        return needs, output
    others = f"{', '.join(map(str, sizes))} pixels a side with {', '.join(map(str, CHANNELS))} channels"
    image = f"{shapes.channels}x{shapes.size}x{shapes.size}"
    raise UserError(failure(name, refusals, type(network).forward, image, others))


def _ordered(output: Any, classes: int, main: Any) -> list[Tensor]:
    """The maps, the main one first: that of the declared index or key, else the first of the largest."""
    maps = logit_maps(output, classes)
    if main is None or isinstance(output, Tensor):
        return maps
    first = logit_maps(output[main], classes)[0]
    return [first, *(one for one in maps if one is not first)]


def _no_maps(output: Any, name: str, classes: int) -> str:
    shapes = [str(tuple(found.shape)) for found, _ in tensors_in(output)]
    given = ", ".join(shapes[:4]) or f"a {type(output).__name__}"
    wanted = f"{'one map' if classes == 1 else f'{classes} maps'} (1, {classes}, height, width) of logits"
    advice = "give its parameter for the number of classes a name such as num_classes, or set it with --arg"
    return f"{name} puts out {given} for one image; {wanted} are needed: {advice}"
