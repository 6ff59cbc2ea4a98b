"""MDSA, multi-scale dynamic sparse attention: every pixel attends to the pixels of the regions most like its own.

Query, key and value are the same tensor. It is copied once into the order of regions and heads, and the kept regions
are gathered from that copy; where a region keeps only itself, nothing is gathered. On CUDA a kernel reads the kept
regions from the map itself.
"""

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.mdsa_unet.grid import Grid
from bench.mdsa_unet.layers import Chain, Depthwise, NormOfPart, Pixelwise, Pointwise, dense_gradient, slope_and_shift
from bench.mdsa_unet.memory_saving import add, add_by_image
from bench.mdsa_unet.torch_attention import attention

HEAD_WIDTH = 32
HAS_TRITON = find_spec("triton") is not None  # it comes with torch for CUDA on Linux alone


class MultiScale(nn.Module):
    """Multi-scale aggregation: each quarter of the channels has its own kernel, of 1, 3, 5 and 7 pixels a side."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        part = dim // 4
        self.inward = Pointwise(dim, dim)
        self.scales = nn.ModuleList(
            Chain(
                nn.Conv2d(part, part, kernel, padding=kernel // 2, groups=part, bias=False),
                Pointwise(part, part, bias=False),
                nn.BatchNorm2d(part),
            )
            if kernel > 1
            else Chain(NormOfPart(part))
            for kernel in (1, 3, 5, 7)
        )
        self.outward = Pointwise(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.outward(torch.cat(self._scaled(x), dim=1).relu_())

    def _scaled(self, x: Tensor) -> list[Tensor]:
        """Each quarter's features. A method of its own, so that their inputs are freed before `outward` is computed."""
        parts = self.inward(x).chunk(4, dim=1)
        return [dense_gradient(scale(part)) for scale, part in zip(self.scales, parts, strict=True)]

    @torch.no_grad()
    def folded_form(self) -> nn.Module:
        """The module with the first scale's batch norm folded into the quarter of `inward` that it follows."""
        first: Any = self.scales[0]
        if isinstance(first, nn.Identity):
            return self
        (slope, shift), inward = slope_and_shift(first[0]), cast(Any, self.inward)
        weight, bias, quarter = inward.weight.clone(), inward.bias.clone(), len(slope)
        weight[:quarter] *= slope.view(-1, 1, 1, 1)
        bias[:quarter] = bias[:quarter] * slope + shift
        inward.weight, inward.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.scales[0] = nn.Identity()
        return self


class SparseAttention(nn.Module):
    """MDSA: every pixel attends to the pixels of the `top_k` regions most like its own.

    The map is cut into `regions` x `regions`, or into regions of `region_size` pixels a side where that is given.
    Query, key and value are the aggregated map, without projections. The scale is dim**-0.5 with the full width, not
    the head's.
    """

    def __init__(self, dim: int, top_k: int, regions: int | None, region_size: int | None = None) -> None:
        super().__init__()
        self.top_k, self.regions, self.region_size = top_k, regions, region_size
        self.heads, self.scale = dim // HEAD_WIDTH, dim**-0.5
        self.aggregate = MultiScale(dim)
        self.local = Depthwise(dim, 5)
        self.project = Pixelwise(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        y = self.aggregate(x.permute(0, 3, 1, 2))
        return self.project(self.attend(y.permute(0, 2, 3, 1), self.local(y).permute(0, 2, 3, 1)))

    @torch.no_grad()
    def folded_form(self) -> nn.Module:
        """The module with the bias of `local` folded into `project`."""
        local: Any = self.local
        if local.bias is not None:
            self.project.bias = nn.Parameter(self.project.bias + self.project.weight @ local.bias)
            local.bias = None
        return self

    def attend(self, y: Tensor, local: Tensor) -> Tensor:
        """The attention of the pixels of y (N, H, W, C), plus `local`, which has the same shape.

        In inference `local` may be overwritten. Sides that the regions do not divide are padded, and the result is
        cropped.
        """
        height, width = y.shape[1:3]
        grid = Grid.over(height, width, self.regions, self.region_size)
        if y.is_cuda and HAS_TRITON and y.dtype != torch.float64:
            return add(local, self._attend_in_place(y, grid))
        attend = partial(self._attend_copies, grid=grid)
        # Added in the order of regions in which it is computed, which saves a copy.
        return grid.map(add_by_image(grid.parts(local, self.heads), attend, y), height, width)

    def _attend_in_place(self, y: Tensor, grid: Grid) -> Tensor:
        """(N, H, W, C) to the same, by the CUDA kernel."""
        from bench.mdsa_unet.kernel import attend_in_place

        kept = self.choose(y, grid, lambda: grid.totals(y))
        return attend_in_place(y, kept, grid, self.heads, self.scale)

    def _attend_copies(self, y: Tensor, grid: Grid) -> Tensor:
        """(N, H, W, C) to the regions' parts, as `Grid.parts` returns them, by copies of the kept regions."""
        cells = grid.cells(y, self.heads)
        kept = self.choose(y, grid, lambda: cells.sum(3).flatten(2))
        real = grid.real(y.shape[1], y.shape[2], y.device)
        mask = None
        if real is not None:
            # A finite penalty: for a region of padding only, the softmax of all -inf would be NaN.
            mask = torch.where(real[kept].flatten(2), 0.0, -1e9).to(y.dtype)
        found = attention(cells, None if kept.shape[2] == 1 else kept, mask, self.scale)
        return found.unflatten(3, (grid.high, grid.wide)).unflatten(1, (grid.rows, grid.columns))

    @torch.no_grad()
    def choose(self, y: Tensor, grid: Grid, totals: Callable[[], Tensor]) -> Tensor:
        """The coarse filter: for y (N, H, W, C) the indices (N, R, k) of the regions nearest to each by angle.

        A region itself comes first. `totals` gives the sums over regions (N, R, C); the angle between two sums is the
        angle between the two means.
        """
        if self.top_k == 1:
            return torch.arange(grid.regions, device=y.device).view(1, -1, 1).expand(len(y), -1, 1)
        direction = F.normalize(totals(), dim=-1)
        likeness = direction @ direction.transpose(1, 2)
        real = grid.real(y.shape[1], y.shape[2], y.device)
        if real is not None:
            likeness = likeness.masked_fill(~real.any(1), -math.inf)
        return likeness.topk(min(self.top_k, grid.regions), dim=-1).indices
