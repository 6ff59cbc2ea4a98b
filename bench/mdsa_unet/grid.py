"""The regions into which a map is divided, and its pixels in the order of the regions."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Grid(NamedTuple):
    """`rows` x `columns` regions of `high` x `wide` pixels each; pixels beyond the map are padding."""

    rows: int
    columns: int
    high: int
    wide: int

    @classmethod
    def over(cls, height: int, width: int, regions: int | None, region_size: int | None) -> "Grid":
        """The grid of a map of height x width pixels: `regions` a side, else regions of `region_size` pixels a side."""
        if regions is not None:
            return cls(regions, regions, -(-height // regions), -(-width // regions))
        assert region_size is not None, "give regions or region_size"
        return cls(-(-height // region_size), -(-width // region_size), region_size, region_size)

    @property
    def regions(self) -> int:
        """R, the number of regions."""
        return self.rows * self.columns

    @property
    def pixels(self) -> int:
        """P, the number of pixels of a region."""
        return self.high * self.wide

    def fits(self, height: int, width: int) -> bool:
        """Whether there is no padding."""
        return (self.rows * self.high, self.columns * self.wide) == (height, width)

    def padded(self, y: Tensor) -> Tensor:
        """(N, H, W, C) padded with zeros below and to the right to the size that the regions cover."""
        height, width = y.shape[1:3]
        if self.fits(height, width):
            return y
        return F.pad(y, (0, 0, 0, self.columns * self.wide - width, 0, self.rows * self.high - height))

    def parts(self, y: Tensor, heads: int) -> Tensor:
        """(N, H, W, C) to (N, rows, columns, heads, high, wide, C / heads); a view where there is no padding."""
        n, dim = y.shape[0], y.shape[3]
        whole = self.padded(y).view(n, self.rows, self.high, self.columns, self.wide, heads, dim // heads)
        return whole.permute(0, 1, 3, 5, 2, 4, 6)

    def map(self, parts: Tensor, height: int, width: int) -> Tensor:
        """The inverse of `parts`, without the padding."""
        whole = parts.permute(0, 1, 4, 2, 5, 3, 6).flatten(5).flatten(3, 4).flatten(1, 2)
        return whole[:, :height, :width]

    def cells(self, y: Tensor, heads: int) -> Tensor:
        """(N, H, W, C) to (N, R, heads, P, C / heads): each region's pixels, head by head; one copy."""
        return self.parts(y, heads).flatten(4, 5).flatten(1, 2)

    def totals(self, y: Tensor) -> Tensor:
        """(N, H, W, C) to (N, R, C): the sum over each region's pixels."""
        return self.parts(y, heads=1).sum((4, 5)).flatten(1, 3)

    def real(self, height: int, width: int, device: torch.device) -> Tensor | None:
        """(R, P): True where a region's pixel lies in the map; None where all do."""
        if self.fits(height, width):
            return None
        ones = torch.ones(1, height, width, 1, dtype=torch.bool, device=device)
        return self.cells(ones, heads=1)[0, :, 0, :, 0]
