"""Attention by torch's operators, whose gradients are written out, against the formula and autograd."""

import pytest
import torch

from bench.mdsa_unet.torch_attention import FEW_KEYS, attention

N, REGIONS, HEADS, PIXELS, WIDTH = 2, 3, 2, 4, 8
SCALE = 0.3


def plain(cells: torch.Tensor, kept: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
    """The formula, region by region."""
    found = torch.empty_like(cells)
    for image in range(len(cells)):
        for region in range(cells.shape[1]):
            chosen = [region] if kept is None else kept[image, region].tolist()
            keys = torch.cat([cells[image, other] for other in chosen], dim=1)
            scores = cells[image, region] @ keys.transpose(1, 2) * SCALE
            scores = scores if mask is None else scores + mask[image, region]
            found[image, region] = scores.softmax(-1) @ keys
    return found


def given(keeps: int | None, masked: bool, pixels: int = PIXELS) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    cells = torch.randn(N, REGIONS, HEADS, pixels, WIDTH, dtype=torch.float64)
    kept = None if keeps is None else torch.rand(N, REGIONS, REGIONS).topk(keeps).indices
    penalty = torch.where(torch.rand(N, REGIONS, (keeps or 1) * pixels) < 0.5, 0.0, -1e9).double()
    return cells, kept, penalty if masked else None


@pytest.mark.parametrize("pixels", [PIXELS, FEW_KEYS + 1], ids=["by products", "by torch's fused attention"])
@pytest.mark.parametrize("masked", [False, True], ids=["all count", "masked"])
@pytest.mark.parametrize("keeps", [None, 1, 2], ids=["itself", "one", "two"])
def test_it_is_the_formula_forward_and_backward(keeps, masked, pixels):
    cells, kept, mask = given(keeps, masked, pixels)
    ours, plains = cells.clone().requires_grad_(), cells.clone().requires_grad_()
    found, expected = attention(ours, kept, mask, SCALE), plain(plains, kept, mask)
    torch.testing.assert_close(found, expected)
    for output in (found, expected):
        output.sin().sum().backward()
    torch.testing.assert_close(ours.grad, plains.grad)
    with torch.no_grad():
        torch.testing.assert_close(attention(cells, kept, mask, SCALE), expected)


def test_training_does_not_keep_what_is_gathered():
    cells, kept, _ = given(2, masked=False)
    sizes: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        attention(cells.requires_grad_(), kept, None, SCALE)
    assert max(sizes) < 2 * cells.numel()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_mixed_precision_the_gradient_has_the_precision_of_what_attends(dtype):
    cells, kept, _ = given(2, masked=False)
    exact = cells.clone().requires_grad_()
    attention(exact, kept, None, SCALE).sin().sum().backward()
    ours = cells.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention(ours, kept, None, SCALE)
    found.sin().sum().backward()
    assert ours.grad.dtype == dtype
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=0.05, atol=0.1)


def test_a_gradient_of_its_gradient():
    cells, kept, mask = given(2, masked=True)
    cells.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda cells: attention(cells, kept, mask, SCALE), cells, fast_mode=True)
