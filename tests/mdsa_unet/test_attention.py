"""Sparse attention against dense attention and choices made by hand."""

import pytest
import torch

from bench.mdsa_unet.attention import SparseAttention
from bench.mdsa_unet.grid import Grid


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
    local = torch.randn_like(y)
    torch.testing.assert_close(attention.attend(y, local.clone()), local + dense(y, 64**-0.5, heads=2))


def test_a_region_keeps_those_most_like_it():
    attention = SparseAttention(32, top_k=2, regions=2)
    directions = torch.zeros(4, 32)
    directions[0, 0], directions[1, 1], directions[2, 0], directions[3, 1] = 1.0, 1.0, 5.0, 7.0
    kept = attention.choose(directions.view(1, 2, 2, 32), Grid(2, 2, 1, 1), lambda: directions[None])
    assert kept[0].sort(-1).values.tolist() == [[0, 2], [1, 3], [0, 2], [1, 3]]  # by angle, not by length
