"""The kernel for CUDA against the same attention in PyTorch: in Triton's interpreter where there is no GPU."""

import os
import subprocess
import sys
from functools import partial

import pytest
import torch

from bench.mdsa_unet.attention import HAS_TRITON, SparseAttention
from bench.mdsa_unet.grid import Grid

pytestmark = pytest.mark.skipif(not HAS_TRITON, reason="Triton is not installed; it comes with torch for Linux")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
here = pytest.mark.skipif(DEVICE == "cpu" and not INTERPRETED, reason="run by test_in_the_interpreter")


@pytest.mark.slow
@pytest.mark.skipif(DEVICE == "cuda" or INTERPRETED, reason="the tests run as they are")
def test_in_the_interpreter():
    """In a process of its own, for Triton must not have been imported before it is told to interpret."""
    asked = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        asked, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CASES) + 1} passed" in done.stdout


@pytest.fixture
def attend_in_place():
    from bench.mdsa_unet.kernel import attend_in_place

    return attend_in_place


CASES = {
    "as at 224: a region of 8x8 keeps itself": (2, 8, 16, 64, None, 8, 1),
    "as at 224: 4x4, four kept": (1, 12, 12, 32, 3, None, 4),
    "as at 224: 2x2, sixteen kept": (1, 8, 10, 32, None, 2, 16),
    "a region longer than a block": (1, 20, 10, 32, None, 10, 2),
    "padding below and to the right": (2, 5, 7, 32, 2, None, 3),
    "regions that are all padding, and kept": (1, 5, 9, 32, 4, None, 13),
}


@here
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_it_gives_what_pytorch_gives_forward_and_backward(attend_in_place, case):
    n, height, width, dim, regions, region_size, top_k = case
    torch.manual_seed(0)
    attention = SparseAttention(dim, top_k, regions, region_size)
    grid = Grid.over(height, width, regions, region_size)
    y = torch.randn(n, height, width, dim, device=DEVICE)
    gradient = torch.randn_like(y)
    kept = attention.choose(y, grid, partial(grid.totals, y))
    slow, fast = (
        found(y.clone().requires_grad_(), gradient)
        for found in (
            partial(run, lambda x: grid.map(attention._attend_copies(x, grid), height, width)),
            partial(run, lambda x: attend_in_place(x, kept, grid, attention.heads, attention.scale)),
        )
    )
    for expected, given in zip(slow, fast, strict=True):
        torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)


def run(function, x, gradient):
    found = function(x)
    return found.detach(), *torch.autograd.grad(found, x, gradient)


@here
def test_half_precision_sums_in_float32(attend_in_place):
    grid = Grid.over(16, 16, 2, None)
    y = torch.randn(1, 16, 16, 32, device=DEVICE)
    kept = torch.arange(4, device=DEVICE).expand(1, 4, 4).contiguous()
    exact = attend_in_place(y, kept, grid, 1, 32**-0.5)
    half = attend_in_place(y.to(torch.float16), kept, grid, 1, 32**-0.5)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), exact, rtol=2e-3, atol=2e-3)
