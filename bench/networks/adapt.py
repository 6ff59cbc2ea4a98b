"""Makes anybody's network keep the contract: what it needs is declared beside its builder, or found out on one image.

Declared: `image_size` (pixels a side), `in_channels`, `main` (the place of the main map in the output, or its key), as
an argument that the builder does not have itself, or as an attribute of the class or function, or of the network. Found
out: another size or number of channels that it takes where it cannot take these, smaller maps, two maps for one class,
a sigmoid or softmax at its end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError, first_line
from bench.networks.outputs import binary, logit_maps, resized, tensors_in

SIZES = (256, 224, 512, 384, 128)  # tried where the one asked for fails
CHANNELS = (3, 1)
DECLARED = ("image_size", "in_channels", "main")
SMALLEST = 1e-6  # what a probability is clipped to before it becomes a logit
ENDS = {"SigmoidBackward0": "sigmoid", "SoftmaxBackward0": "softmax"}


@dataclass(frozen=True)
class Asked:
    """The images and maps that the harness works with."""

    channels: int
    classes: int
    size: int


@dataclass(frozen=True)
class Needs:
    """What a network works with: images of its own size and channels, its main map, the function at its end."""

    channels: int
    size: int
    main: Any = None
    end: str = ""


class Adapted(nn.Module):
    """A network between what the harness gives and wants, and what it takes and puts out.

    (N, channels, size, size) -> (N, classes, size, size); in training a tuple of such maps where it has several.
    """

    def __init__(self, network: nn.Module, asked: Asked, needs: Needs) -> None:
        super().__init__()
        self.network, self.asked, self.needs = network, asked, needs

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to images and maps, for whoever reads the network's figures."""
        asked, needs = self.asked, self.needs
        given = f"{needs.size}x{needs.size}, {needs.channels} channel{'s' if needs.channels > 1 else ''}"
        other = (needs.size, needs.channels) != (asked.size, asked.channels)
        return tuple(
            filter(None, [
                f"works on images of {given} inside, made from those of {asked.size}x{asked.size}" if other else "",
                f"its {needs.end} is undone, for losses and scores take logits" if needs.end else "",
            ])
        )  # fmt: skip

    def forward(self, images: Tensor) -> Any:
        """The main map of logits at the images' size; in training all maps, the main one first."""
        height, width = images.shape[-2:]
        output = self.network(self._entering(images))
        if not self.training:
            return self._leaving(_main(output, self.asked.classes, self.needs.main), height, width)
        maps = [self._leaving(one, height, width) for one in _ordered(output, self.asked.classes, self.needs.main)]
        return tuple(maps) if len(maps) > 1 else maps[0]

    def _entering(self, images: Tensor) -> Tensor:
        if self.needs.channels != self.asked.channels:
            grey = images.mean(1, keepdim=True)
            images = grey.expand(-1, self.needs.channels, -1, -1)
        if self.needs.size != self.asked.size:
            images = resized(images, self.needs.size, self.needs.size)
        return images

    def _leaving(self, maps: Tensor, height: int, width: int) -> Tensor:
        if self.needs.end and maps.dtype in (torch.bfloat16, torch.float16):
            maps = maps.float()  # next to 1 a half precision holds nothing that is less, and the logit of 1 is infinite
        if self.needs.end == "sigmoid":
            maps = torch.logit(maps, eps=SMALLEST)
        elif self.needs.end == "softmax":
            maps = maps.clamp_min(SMALLEST).log()
        return resized(binary(maps, self.asked.classes), height, width)


def adapted(
    network: nn.Module,
    name: str,
    facts: tuple[int, int, int],
    builder: Any = None,
    declared: Mapping[str, Any] = MappingProxyType({}),
) -> nn.Module:
    """The network itself where it keeps the contract, else one that adapts it.

    It is tried on one random image, in eval mode; no generator is moved by that. UserError where it takes no image of
    any size that is tried, or puts out no map of the classes. `facts` are channels, classes and size; what is
    `declared` goes before what builder or network declare.
    """
    asked = Asked(*facts)
    known = {word: declared.get(word, _declared(word, network, builder)) for word in DECLARED}
    was = network.training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        needs, output = _tried(network.eval(), name, asked, known)
    network.train(was)
    main = _main(output, asked.classes, needs.main)
    plain = isinstance(output, Tensor) and tuple(output.shape) == (1, asked.classes, asked.size, asked.size)
    needs = Needs(needs.channels, needs.size, needs.main, _end_of(main))
    if plain and needs == Needs(asked.channels, asked.size, needs.main):
        return network
    return Adapted(network, asked, needs)


def inside(network: nn.Module) -> nn.Module:
    """The network itself, without what adapts it."""
    return network.network if isinstance(network, Adapted) else network


def notes_of(network: nn.Module) -> tuple[str, ...]:
    """What is done to a network's images and maps; nothing where it keeps the contract by itself."""
    return network.notes if isinstance(network, Adapted) else ()


def _declared(word: str, network: nn.Module, builder: Any) -> Any:
    found = getattr(builder, word, None)
    found = found if found is not None else getattr(network, word, None)
    found = found[0] if word == "image_size" and isinstance(found, tuple | list) and found else found
    allowed = int | str if word == "main" else int  # a network may call a layer `main`
    return found if isinstance(found, allowed) else None


def _tried(network: nn.Module, name: str, asked: Asked, declared: dict[str, Any]) -> tuple[Needs, Any]:
    """The first size and channels that the network takes, and what it put out; what was declared goes first."""
    refusals: list[Exception] = []
    for size, channels in _candidates(asked, declared):
        try:
            output = network(torch.rand(1, channels, size, size))
        except MemoryError:
            raise
        except Exception as error:  # a network may refuse an image with anything
            refusals.append(error)
            continue
        needs = Needs(channels, size, declared["main"])
        if not logit_maps(output, asked.classes):
            raise UserError(_no_maps(output, name, asked))
        return needs, output
    tried = ", ".join(str(size) for size in dict.fromkeys(size for size, _ in _candidates(asked, declared)))
    raise UserError(
        f"{name} takes no image of {asked.channels}x{asked.size}x{asked.size} "
        f"({type(refusals[0]).__name__}: {first_line(refusals[0])}), nor of {tried} pixels a side with "
        f"{', '.join(map(str, CHANNELS))} channels; declare what it takes: image_size = 256, in_channels = 3 beside it"
    )


def _candidates(asked: Asked, declared: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Sizes and channels, each pair once: what was declared or asked for, then one of the two changed, then both."""
    size, channels = declared["image_size"] or asked.size, declared["in_channels"] or asked.channels
    sizes, counts = dict.fromkeys([size, asked.size, *SIZES]), dict.fromkeys([channels, asked.channels, *CHANNELS])
    pairs = product(sizes, counts)
    yield from sorted(pairs, key=lambda pair: (pair[0] != size) + (pair[1] != channels))


def _main(output: Any, classes: int, main: Any) -> Tensor:
    return _ordered(output, classes, main)[0]


def _ordered(output: Any, classes: int, main: Any) -> list[Tensor]:
    """The maps, the main one first: that of the declared place or key, else the first of the largest."""
    maps = logit_maps(output, classes)
    if main is None or isinstance(output, Tensor):
        return maps
    chosen = logit_maps(output[main], classes)[0]
    return [chosen, *(one for one in maps if one is not chosen)]


def _end_of(main: Tensor) -> str:
    """The function that made the map, where it is one that a loss on logits would apply again."""
    return ENDS.get(type(main.grad_fn).__name__, "") if main.grad_fn is not None else ""


def _no_maps(output: Any, name: str, asked: Asked) -> str:
    shapes = [str(tuple(found.shape)) for found, _ in tensors_in(output)]
    said = ", ".join(shapes[:4]) or f"a {type(output).__name__}"
    one = "one map" if asked.classes == 1 else f"{asked.classes} maps"
    return (
        f"{name} puts out {said} for one image; {one} (1, {asked.classes}, height, width) of logits are needed: "
        "give its parameter for the number of classes a name such as num_classes, or set it with --arg"
    )
