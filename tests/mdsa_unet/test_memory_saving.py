"""Saving memory changes no output and no gradient."""

import pytest
import torch
from torch import nn

from bench.mdsa_unet.memory_saving import AT_A_TIME, add, add_by_image, recomputed


def inside() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))


def test_recomputed_changes_no_output_and_no_gradient_and_keeps_nothing_inside():
    function = inside()
    x = torch.randn(3, 5, 4, requires_grad=True)
    kept: list[torch.Size] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        found = recomputed(function, x)
    expected = function(x)
    torch.testing.assert_close(found, expected)
    assert torch.Size([3, 5, 8]) not in kept
    for given, right in zip(*(torch.autograd.grad(y.sum(), x) for y in (found, expected)), strict=True):
        torch.testing.assert_close(given, right)
    with torch.no_grad():
        torch.testing.assert_close(recomputed(function, x), expected)


@pytest.mark.parametrize("training", [False, True])
def test_what_is_added_to_is_overwritten_in_inference_alone(training):
    whole, other = torch.ones(3), torch.full((3,), 2.0)
    with torch.set_grad_enabled(training):
        assert add(whole, other).tolist() == [3, 3, 3]
    assert whole.tolist() == ([1, 1, 1] if training else [3, 3, 3])


@pytest.mark.parametrize(("values", "parts"), [(1, [1, 1, 1]), (40, [2, 1]), (10**6, [3])])
def test_a_sum_is_taken_in_place_and_some_images_at_a_time_in_inference_alone(monkeypatch, values, parts):
    monkeypatch.setitem(AT_A_TIME, "cpu", values)
    layers, seen = inside(), []

    def function(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return layers(x)

    whole, x = torch.randn(3, 5, 4), torch.randn(3, 5, 4)
    expected, before = whole + function(x), whole.clone()
    assert torch.equal(add_by_image(whole, function, x), expected)
    assert torch.equal(whole, before)
    with torch.no_grad():
        torch.testing.assert_close(add_by_image(whole, function, x), expected)
    torch.testing.assert_close(whole, expected.detach())
    assert seen == [3, 3, *parts]
