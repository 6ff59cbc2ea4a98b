"""EUF as it is deployed: what its two paths do to the deeper map, they do before it is made larger.

A sum over channels and an interpolation between pixels may change places, for both are linear and neither mixes what
the other mixes. So the first convolution of each path reads the deeper map while it has a quarter of the pixels, and
nothing is concatenated. The 3x3 convolution becomes a 1x1 convolution to nine maps, one for each place of its kernel,
that are shifted and summed once they are large, where the same zeros lie around them. The function stays; of EUF's
multiply-adds half go, a tenth of the network's. They are counted on the network as the paper draws it.
"""

from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.mdsa_unet.layers import Pointwise, resized

PLACES = 9


class FoldedFuse(nn.Module):
    """Made of EUF's two paths: (N, deep, h, w) and (N, skip, H, W) to the shape of the latter."""

    @torch.no_grad()
    def __init__(self, point: Any, local: Any) -> None:
        super().__init__()
        (wide, *after_wide), (narrow, *after_narrow) = point[0], local[0]
        self.width = wide.out_channels
        weight = torch.cat([wide.weight.flatten(1), by_place(narrow.weight)])
        none = narrow.bias.new_zeros(4 * len(narrow.bias))
        bias = torch.cat([wide.bias, none, narrow.bias, none])  # by the middle place, which no border cuts off
        self.of_deep = _pointwise(weight[:, : -self.width], None)
        self.of_skip = _pointwise(weight[:, -self.width :], bias)
        self.after_point = nn.Sequential(*after_wide, *point[1:])
        self.after_local = nn.Sequential(*after_narrow, *local[1:])

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        maps = resized(self.of_deep(deep), skip.shape[-2:]).add_(self.of_skip(skip))
        point, places = maps[:, : self.width], maps[:, self.width :]  # what follows may overwrite either
        return self.after_point(point) + self.after_local(summed(places))


def by_place(weight: Tensor) -> Tensor:
    """A 3x3 convolution's weight (out, in, 3, 3) as (9 * out, in), for `summed`."""
    return weight.flip(2, 3).permute(2, 3, 0, 1).flatten(0, 2)


def summed(places: Tensor) -> Tensor:
    """What each pixel gets, (N, C, H, W), of what it and its 3x3 neighbours give, (N, 9 * C, H, W), place by place.

    On a CPU torch's own sum of columns takes ten times as long as nine sums of moved maps; on CUDA it is one kernel.
    """
    return summed_as_columns(places) if places.is_cuda else summed_as_maps(places)


def summed_as_columns(places: Tensor) -> Tensor:
    columns = places.unflatten(1, (PLACES, -1)).transpose(1, 2).flatten(3).flatten(1, 2)
    return F.fold(columns, places.shape[2:], 3, padding=1)


def summed_as_maps(places: Tensor) -> Tensor:
    maps = places.unflatten(1, (PLACES, -1))
    whole = maps[:, PLACES // 2].clone()
    for place, (down, right) in enumerate(product((-1, 0, 1), repeat=2)):
        if (down, right) != (0, 0):
            given = _moved(_moved(maps[:, place], -down, 2), -right, 3)
            _moved(_moved(whole, down, 2), right, 3).add_(given)
    return whole


def _moved(maps: Tensor, by: int, axis: int) -> Tensor:
    """What is still there of an axis that is moved by at most one pixel."""
    return maps.narrow(axis, max(by, 0), maps.shape[axis] - abs(by))


def _pointwise(weight: Tensor, bias: Tensor | None) -> Pointwise:
    with torch.device("meta"):  # its weights are given
        layer = Pointwise(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight[:, :, None, None].contiguous(memory_format=torch.channels_last))
    layer.bias = None if bias is None else nn.Parameter(bias)
    return layer
