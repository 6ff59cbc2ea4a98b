"""Sparse attention against dense attention and choices made by hand."""

import pytest
import torch
from torch import nn

from bench.mdsa_unet.attention import MANY, SparseAttention, attention, frugally


def dense(y: torch.Tensor, scale: float, heads: int) -> torch.Tensor:
    """Plain multi-head attention of every pixel to every pixel, written out."""
    n, height, width, dim = y.shape
    q = y.view(n, -1, heads, dim // heads).transpose(1, 2)
    found = (q @ q.transpose(2, 3) * scale).softmax(-1) @ q
    return found.transpose(1, 2).reshape(n, height, width, dim)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 7)])
def test_keeping_all_regions_is_dense_attention_and_padding_takes_no_part(height, width):
    attention = SparseAttention(64, top_k=9, regions=3)
    y = torch.randn(2, height, width, 64)
    torch.testing.assert_close(attention.attend(y), dense(y, 64**-0.5, heads=2))


def test_a_region_keeps_those_most_like_it():
    attention = SparseAttention(32, top_k=2, regions=2)
    directions = torch.zeros(4, 32)
    directions[0, 0], directions[1, 1], directions[2, 0], directions[3, 1] = 1.0, 1.0, 5.0, 7.0
    kept = attention.choose(directions[None], real=None)[0].sort(-1).values.tolist()
    assert kept == [[0, 2], [1, 3], [0, 2], [1, 3]]  # by angle, not by length


@pytest.mark.parametrize("queries", [MANY // 2, MANY], ids=["by products", "by torch's fused attention"])
@pytest.mark.parametrize("masked", [False, True])
def test_both_ways_give_the_same(queries, masked):
    torch.manual_seed(0)
    q, k = torch.randn(2, 3, 2, queries, 32), torch.randn(2, 3, 2, 20, 32)
    mask = torch.where(torch.rand(2, 3, 1, 1, 20) < 0.5, 0.0, -1e9) if masked else None
    scores = q @ k.transpose(3, 4) * 0.1
    expected = (scores if mask is None else scores + mask).softmax(-1) @ k
    torch.testing.assert_close(attention(q, k, mask, 0.1), expected, rtol=1e-4, atol=1e-5)


def test_frugally_changes_no_output_and_no_gradient_and_keeps_nothing_inside():
    torch.manual_seed(0)
    inside = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    x = torch.randn(3, 5, 4, requires_grad=True)
    kept: list[torch.Size] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        found = frugally(inside, x)
    expected = inside(x)
    torch.testing.assert_close(found, expected)
    assert torch.Size([3, 5, 8]) not in kept
    for given, right in zip(*(torch.autograd.grad(y.sum(), x) for y in (found, expected)), strict=True):
        torch.testing.assert_close(given, right)
    with torch.no_grad():
        torch.testing.assert_close(frugally(inside, x), expected)
