"""Regions by hand."""

import pytest
import torch

from bench.mdsa_unet.grid import Grid


def test_regions_are_put_back_where_they_were():
    y = torch.arange(2 * 6 * 9 * 4).view(2, 6, 9, 4).float()
    grid = Grid.over(6, 9, 3, None)
    cells = grid.cells(y, heads=2)
    assert cells.shape == (2, 9, 2, 6, 2)
    assert torch.equal(cells[0, 1, 1], y[0, 0:2, 3:6, 2:].reshape(6, 2))
    assert torch.equal(grid.map(grid.parts(y, heads=2), 6, 9), y)
    assert grid.real(6, 9, y.device) is None


def test_what_the_regions_cover_beyond_the_map_is_zero_and_not_real():
    y = torch.ones(1, 3, 5, 1)
    grid = Grid.over(3, 5, 2, None)
    assert grid == Grid(rows=2, columns=2, high=2, wide=3)
    assert grid.real(3, 5, y.device).tolist() == [[True] * 6, [True, True, False] * 2, [True] * 3 + [False] * 3,
                                                  [True, True] + [False] * 4]  # fmt: skip
    assert grid.cells(y, heads=1).sum((2, 3, 4)).tolist() == grid.totals(y).sum(2).tolist() == [[6, 4, 3, 2]]
    assert torch.equal(grid.map(grid.parts(y, heads=1), 3, 5), y)


@pytest.mark.parametrize(("sides", "rows", "columns"), [((16, 24), 2, 3), ((17, 8), 3, 1)])
def test_regions_of_a_given_size(sides, rows, columns):
    assert Grid.over(*sides, None, 8) == Grid(rows, columns, 8, 8)
