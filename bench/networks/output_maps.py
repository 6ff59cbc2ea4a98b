"""The maps of logits in a network's output: one, or several with deep supervision, in a tuple, a list or a dict."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.nn import functional as F


def logit_maps(output: Any, classes: int) -> list[Tensor]:
    """The maps (N, classes, H, W) in an output, the main one first: the largest.

    Of equals the least nested, then the first.

    For one class a map may come as (N, H, W), and two channels, of background and foreground, are accepted too:
    `binary` makes one of them. Everything else in the output is ignored.
    """
    wanted = (classes, 2) if classes == 1 else (classes,)
    found = [(t[:, None] if classes == 1 and t.dim() == 3 else t, depth) for t, depth in tensors_in(output)]
    maps = [(t, depth) for t, depth in found if t.dim() == 4 and t.shape[1] in wanted]
    ordered = sorted(maps, key=lambda one: (-one[0].shape[-2] * one[0].shape[-1], one[1]))  # equal ones stay in order
    return [t for t, _ in ordered]


def tensors_in(output: Any, depth: int = 0) -> Iterator[tuple[Tensor, int]]:
    """The tensors in an output, each with its depth of nesting in tuples, lists and dicts."""
    if isinstance(output, Tensor):
        yield output, depth
    elif isinstance(output, dict | list | tuple):
        for one in output.values() if isinstance(output, dict) else output:
            yield from tensors_in(one, depth + 1)


def binary(logits: Tensor, classes: int) -> Tensor:
    """Convert two maps to one if one class is required: foreground minus background, the logit of the softmax."""
    return logits[:, 1:] - logits[:, :1] if classes == 1 and logits.shape[1] == 2 else logits


def resized(maps: Tensor, height: int, width: int) -> Tensor:
    """The maps resized by bilinear interpolation; unchanged if they already have this size."""
    if tuple(maps.shape[-2:]) == (height, width):
        return maps
    return F.interpolate(maps, (height, width), mode="bilinear", align_corners=False)


def supervised(output: Any, classes: int, size: tuple[int, int], loss: Callable[[Tensor], Tensor]) -> Tensor:
    """A loss over all maps of an output, each resized to `size`.

    Each further map has half the weight of the one before. The weights add up to 1 (of three maps 4/7, 2/7, 1/7), as in
    nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z), so that a network with deep supervision trains with
    steps as large as one without.
    """
    losses = [loss(resized(binary(maps, classes).float(), *size)) for maps in logit_maps(output, classes)]
    halves = [0.5**number for number in range(len(losses))]
    first, *others = [half / sum(halves) * one for half, one in zip(halves, losses, strict=True)]
    return sum(others, start=first)
