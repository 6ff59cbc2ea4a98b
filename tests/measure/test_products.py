"""Elementwise products that are summed later are counted, whatever lies between; scalings and residuals are not."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.measure.cost import Call
from bench.measure.counters import by_torch

PRODUCTS = 24 * 24 * 8  # of 24 rows of 8 with each other
WEIGHTS = torch.ones(4, 3, 3, 3)


def written_in_place(x: Tensor) -> Tensor:
    y = x[:, :, None].expand(-1, -1, 24, -1).clone()
    return y.mul_(x[:, None]).sum(-1)


def looped(x: Tensor) -> Tensor:
    """A 3x3 convolution of 3 by 4 channels, product by product into a map of zeros."""
    padded, out = F.pad(x.view(1, 3, 8, 8), (1, 1, 1, 1)), torch.zeros(1, 4, 8, 8)
    for o in range(4):
        for i in range(3):
            for row in range(3):
                for column in range(3):
                    out[:, o] += WEIGHTS[o, i, row, column] * padded[:, i, row : row + 8, column : column + 8]
    return out


def onto_a_bias(x: Tensor) -> Tensor:
    """A 1x1 convolution, product by product onto a map that begins as the bias."""
    x, out = x.view(1, 3, 8, 8), torch.ones(4).view(1, 4, 1, 1).expand(1, 4, 8, 8).clone()
    for i in range(3):
        out += WEIGHTS[None, :, i, :1, :1] * x[:, i : i + 1]
    return out


BETWEEN = {
    "nothing": lambda p: p, "clone": lambda p: p.clone(), "copy_": lambda p: torch.empty_like(p).copy_(p),
    "views": lambda p: p.flatten(0, 1).transpose(0, 1), "relu": lambda p: p.relu(),
    "in place": lambda p: p.relu_().mul_(2),
    "casts": lambda p: p.double().half().float(), "a bias": lambda p: p + torch.ones(8), "twice": lambda p: p * p,
    "concatenation": lambda p: torch.cat([p[:, :12], p[:, 12:]]),
}  # fmt: skip
SUMS = {
    "sum": lambda p: p.sum(-1), "mean": lambda p: p.mean(-1), "einsum": lambda p: torch.einsum("...i->...", p),
    "avg_pool": lambda p: F.avg_pool1d(p.flatten(0, -2), 8), "cumsum": lambda p: p.cumsum(-1),
    "adaptive pooling": lambda p: F.adaptive_avg_pool1d(p.flatten(0, -2), 1),
}  # fmt: skip


def summed(function, x: Tensor) -> str:
    return "; ".join(by_torch(Call(function), x).missed)


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
@pytest.mark.parametrize("total", SUMS.values(), ids=SUMS)
def test_products_that_are_summed_stay_marked(between, total):
    found = summed(lambda x: total(between(x[:, :, None] * x[:, None])), torch.rand(1, 24, 8))
    assert found == f"{PRODUCTS:,} elementwise products that are then summed"


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (written_in_place, PRODUCTS),
        (looped, 64 * 4 * 27),
        (onto_a_bias, 64 * 4 * 3),
        (lambda x: (torch.complex(x, x) * torch.complex(x, x)).sum(-1), 24 * 8),
        (lambda x: torch.stack([x * x, x * x]).sum(0), 2 * 24 * 8),
        (lambda x: x * x + x * x, 2 * 24 * 8),
        (lambda x: F.max_pool1d(x * x, 2).sum(-1), 24 * 4),
    ],
    ids=["mul_", "loop", "loop onto a bias", "complex", "stack", "two products", "max pooling"],
)
def test_products_that_are_added_are_marked(function, count):
    assert summed(function, torch.rand(1, 24, 8)) == f"{count:,} elementwise products that are then summed"


@pytest.mark.parametrize(
    "function",
    [lambda x: (0.5 * x).sum(-1), lambda x: x + x * x, lambda x: (x * x).relu(), lambda x: (x + x).sum(-1)],
    ids=["a number", "a residual", "no sum", "no product"],
)
def test_what_is_no_sum_of_products_is_not_marked(function):
    assert summed(function, torch.rand(1, 24, 8)) == ""
