"""The maps of logits in a network's output: one, or several, in tuples, lists, dicts, or objects with attributes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from types import ModuleType
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import UserError

KNOWN = ("out", "logits", "main")  # keys and attributes that are the prediction; of several the first of these
DEEPEST = 6  # objects may hold themselves
# The way to a tensor in an output: indices, keys and attributes, and last the head's index in stacked heads.
Place = tuple[Any, ...]


class Choice(NamedTuple):
    """The places of maps, the main one first. The first `equal` of them may each be the prediction."""

    places: list[Place]
    equal: int


def tensors_in(output: Any, place: Place = ()) -> Iterator[tuple[Place, Tensor]]:
    """The tensors in an output and their places."""
    if isinstance(output, Tensor):
        yield place, output
    elif len(place) < DEEPEST:
        for step, part in _parts(output):
            yield from tensors_in(part, (*place, step))


def at(output: Any, place: Place) -> Any:
    """What lies at a place of an output."""
    for step in place:
        # Of a tensor it is one of the stacked heads.
        output = output[:, step] if isinstance(output, Tensor) else dict(_parts(output))[step]
    return output


def told(place: Place) -> str:
    """A place as code.

    >>> told(()), told((1, "out")), told(("logits",))
    ('output', "output[1]['out']", "output['logits']")
    """
    return "output" + "".join(f"[{step!r}]" for step in place)


def maps_in(output: Any, images: Tensor, classes: int) -> dict[Place, Tensor]:
    """The tensors (N, classes, H, W) that may be maps of these images (N, C, height, width), by place.

    They are of floating point, have two or more pixels a side, and H and W are in the images' ratio. Those larger than
    the images are left out if others are not. Heads that are stacked as (N, heads, classes, H, W) are taken apart.
    """
    heads: list[tuple[Place, Tensor]] = []
    for place, tensor in tensors_in(output):
        stacked = tensor.dim() == 5 and tensor.shape[2] in _channels(classes)
        heads += [((*place, n), one) for n, one in enumerate(tensor.unbind(1))] if stacked else [(place, tensor)]
    shaped = ((place, shaped_as_map(one, len(images), classes)) for place, one in heads if one.is_floating_point())
    found = {place: one for place, one in shaped if one is not None and _fits(one, images)}
    small = {place: one for place, one in found.items() if one.shape[-2] <= images.shape[-2]}
    return small or found


def shaped_as_map(tensor: Tensor, batch: int, classes: int) -> Tensor | None:
    """A tensor as (N, classes, H, W); None if its shape is of something else.

    For one class it may be (N, H, W), or have two channels, of background and foreground. Of one image, axes of length
    1 may be missing.
    """
    if batch == 1 and tensor.dim() == (2 if classes == 1 else 3):
        tensor = tensor[None]
    if classes == 1 and tensor.dim() == 3:
        tensor = tensor[:, None]
    return tensor if tensor.dim() == 4 and len(tensor) == batch and tensor.shape[1] in _channels(classes) else None


def steps_of(output: Any) -> list[Any]:
    """The keys, indices or attributes of the parts of an output; of stacked heads their numbers."""
    if isinstance(output, Tensor):
        return list(range(output.shape[1])) if output.dim() == 5 else []
    return [step for step, _ in _parts(output)]


def shape_of(tensor: Tensor) -> str:
    """Its shape, and its type if that is not of floating point.

    >>> import torch
    >>> shape_of(torch.zeros(2, 3)), shape_of(torch.zeros(2, dtype=torch.int64))
    ('(2, 3)', '(2,) of int64')
    """
    shape = str(tuple(tensor.shape))
    return shape if tensor.is_floating_point() else f"{shape} of {str(tensor.dtype).removeprefix('torch.')}"


def chosen(steps: Sequence[Any], maps: Mapping[Place, Tensor], main: Any) -> Choice:
    """The maps in order: those at the declared key or index `main`, else at a known name, else the largest first.

    `steps` are the keys or indices of the output's parts.

    Of equals the least nested, then the first. Raises UserError if there is no map at `main`.
    """
    order = sorted(maps, key=lambda place: (-_area(maps[place]), len(place)))  # equal ones stay in order
    if main is not None and not maps.keys() <= {()}:
        front = _declared(steps, order, main)
        if not front:
            there = ", ".join(f"{told(place)} {tuple(maps[place].shape[1:])}" for place in maps)
            raise UserError(f"main = {main!r} is no map of the output; these are: {there}; declare one of them")
    else:
        front = next(filter(None, ([p for p in order if word in p] for word in KNOWN)), order)
    equal = [place for place in front if _area(maps[place]) == _area(maps[front[0]])]
    return Choice([*dict.fromkeys([*equal, *front, *order])], len(equal))


def binary(logits: Tensor, classes: int) -> Tensor:
    """Convert two maps to one if one class is required: foreground minus background, the logit of the softmax."""
    return logits[:, 1:] - logits[:, :1] if classes == 1 and logits.shape[1] == 2 else logits


def resized(maps: Tensor, height: int, width: int) -> Tensor:
    """The maps resized by bilinear interpolation; unchanged if they already have this size."""
    if tuple(maps.shape[-2:]) == (height, width):
        return maps
    return F.interpolate(maps, (height, width), mode="bilinear", align_corners=False)


def supervised(output: Any, classes: int, size: tuple[int, int], loss: Callable[[Tensor], Tensor]) -> Tensor:
    """A loss over a map, or over all maps of a tuple or list, the main one first, each resized to `size`.

    Each further map has half the weight of the one before. The weights add up to 1 (of three maps 4/7, 2/7, 1/7), as in
    nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), so that a network with deep supervision trains with
    steps as large as one without.
    """
    several = output if isinstance(output, tuple | list) else [output]
    losses = [loss(resized(binary(maps, classes).float(), *size)) for maps in several]
    halves = [0.5**number for number in range(len(losses))]
    first, *others = [half / sum(halves) * one for half, one in zip(halves, losses, strict=True)]
    return sum(others, start=first)


def _parts(output: Any) -> Iterable[tuple[Any, Any]]:
    """The parts of an output by key, index or attribute."""
    if isinstance(output, Mapping):
        return output.items()
    if isinstance(output, Sequence) and not isinstance(output, str | bytes):
        return zip(getattr(output, "_fields", range(len(output))), output, strict=True)
    if isinstance(output, nn.Module | ModuleType | type) or callable(output):
        return ()
    return getattr(output, "__dict__", {}).items()


def _declared(steps: Sequence[Any], order: list[Place], main: Any) -> list[Place]:
    """The places at a key, wherever it is, or at an index, which may count from the end."""
    if not isinstance(main, int):
        return [place for place in order if main in place]
    if main not in steps:
        main = steps[main] if -len(steps) <= main < len(steps) else None
    return [place for place in order if place[:1] == (main,)]


def _channels(classes: int) -> tuple[int, ...]:
    return (1, 2) if classes == 1 else (classes,)


def _fits(maps: Tensor, images: Tensor) -> bool:
    """Whether height and width are in the images' ratio, up to a pixel, for sizes are rounded when they are halved."""
    (height, width), (whole, wide) = maps.shape[-2:], images.shape[-2:]
    return min(height, width) > 1 and abs(width - wide * height / whole) <= 1


def _area(maps: Tensor) -> int:
    return prod(maps.shape[-2:])
