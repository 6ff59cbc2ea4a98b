"""EUF for deployment: the first convolutions of its two paths are applied to the deeper map before it is enlarged.

A sum over channels and an interpolation between pixels commute: both are linear, and they act on different axes. So the
first convolution of each path reads the deeper map while it has a quarter of the pixels, and nothing is concatenated.
The 3x3 convolution becomes a 1x1 convolution to nine maps, one for each offset of its kernel, which are enlarged,
shifted and summed, with the same zero padding. The function is the same, with half of EUF's multiply-adds, which is a
tenth less for the network. Reported multiply-adds are those of the network as in the paper.
"""

from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.mdsa_unet.layers import Pointwise, resized

OFFSETS = 9


class FoldedFuse(nn.Module):
    """EUF made from its two paths: (N, deep, h, w) and (N, skip, H, W) to the shape of the latter."""

    @torch.no_grad()
    def __init__(self, point: Any, local: Any) -> None:
        super().__init__()
        (wide, *after_wide), (narrow, *after_narrow) = point[0], local[0]
        self.width = wide.out_channels
        weight = torch.cat([wide.weight.flatten(1), by_offset(narrow.weight)])
        none = narrow.bias.new_zeros(4 * len(narrow.bias))
        bias = torch.cat([wide.bias, none, narrow.bias, none])  # at the middle offset, which no border cuts off
        self.of_deep = _pointwise(weight[:, : -self.width], None)
        self.of_skip = _pointwise(weight[:, -self.width :], bias)
        self.after_point = nn.Sequential(*after_wide, *point[1:])
        self.after_local = nn.Sequential(*after_narrow, *local[1:])

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        maps = resized(self.of_deep(deep), skip.shape[-2:]).add_(self.of_skip(skip))
        point, offsets = maps[:, : self.width], maps[:, self.width :]  # what follows may overwrite both
        return self.after_point(point) + self.after_local(sum_offsets(offsets))


def by_offset(weight: Tensor) -> Tensor:
    """A 3x3 convolution's weight (out, in, 3, 3) as (9 * out, in), for `sum_offsets`."""
    return weight.flip(2, 3).permute(2, 3, 0, 1).flatten(0, 2)


def sum_offsets(offsets: Tensor) -> Tensor:
    """The sum (N, C, H, W) of nine maps (N, 9 * C, H, W), each shifted by its offset in a 3x3 kernel.

    On a CPU `fold` takes ten times as long as nine sums of shifted maps; on CUDA it is one kernel.
    """
    return sum_by_fold(offsets) if offsets.is_cuda else sum_by_shifts(offsets)


def sum_by_fold(offsets: Tensor) -> Tensor:
    """The sum of `sum_offsets` by `F.fold`."""
    columns = offsets.unflatten(1, (OFFSETS, -1)).transpose(1, 2).flatten(3).flatten(1, 2)
    return F.fold(columns, offsets.shape[2:], 3, padding=1)


def sum_by_shifts(offsets: Tensor) -> Tensor:
    """The sum of `sum_offsets`, map by map into the one that is not shifted."""
    maps = offsets.unflatten(1, (OFFSETS, -1))
    whole = maps[:, OFFSETS // 2].clone()
    for offset, (down, right) in enumerate(product((-1, 0, 1), repeat=2)):
        if (down, right) != (0, 0):
            part = _shifted(_shifted(maps[:, offset], -down, 2), -right, 3)
            _shifted(_shifted(whole, down, 2), right, 3).add_(part)
    return whole


def _shifted(maps: Tensor, by: int, axis: int) -> Tensor:
    """The part of an axis that stays inside when it is shifted by at most one pixel."""
    return maps.narrow(axis, max(by, 0), maps.shape[axis] - abs(by))


def _pointwise(weight: Tensor, bias: Tensor | None) -> Pointwise:
    with torch.device("meta"):  # its weights are given
        layer = Pointwise(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight[:, :, None, None].contiguous(memory_format=torch.channels_last))
    layer.bias = None if bias is None else nn.Parameter(bias)
    return layer
