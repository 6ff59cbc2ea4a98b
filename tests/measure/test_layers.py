"""Layers that no count of parameters sees are named."""

from functools import partial

import pytest
import torch
from torch import nn

from bench.measure.cost import cost
from bench.measure.layers import quantized, unregistered
from bench.quantities import CostSpec


class Holds(nn.Module):
    """Convolutions in what `hold` makes of them, and one that is registered."""

    def __init__(self, hold):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.inner = nn.Module()
        self.inner.held = hold(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))

    def forward(self, x):
        x, held = self.first(x), self.inner.held
        for layer in held.values() if isinstance(held, dict | nn.ModuleDict) else held:
            x = (layer[0] if isinstance(layer, list) else layer)(x)
        return x


HELD = {
    "list": lambda a, b: [a, b],
    "dict": lambda a, b: {"a": a, "b": b},
    "lists in a tuple": lambda a, b: ([a], [b]),
}


@pytest.mark.parametrize("hold", HELD.values(), ids=HELD)
def test_layers_in_plain_lists_are_named_and_counted(hold):
    found = cost(Holds(hold), CostSpec(size=8))
    assert found.parameters == 16
    assert found.torch.macs == found.fvcore.macs == 64 * (12 + 16 + 16)
    assert found.doubt == "not among the parameters: layers in a plain list or dictionary, inner.held (40 parameters)"


class Keeps:
    def __init__(self, conv):
        self.conv = conv

    def __call__(self, x):
        return self.conv(x)


class Hides(nn.Module):
    """A convolution that `hide` puts out of sight, and one that is registered."""

    def __init__(self, hide):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.hidden = hide(nn.Conv2d(4, 4, 1))

    def forward(self, x):
        return self.hidden(self.first(x))


@pytest.mark.parametrize(
    "hide",
    [lambda conv: lambda x: conv(x) * 2, partial, lambda conv: conv.forward, Keeps],
    ids=["closure", "partial", "method", "object"],
)
def test_weights_that_no_module_holds_are_named_and_counted(hide):
    network = Hides(hide)
    found = cost(network, CostSpec(size=8))
    assert found.parameters == 16
    assert found.torch.macs == found.fvcore.macs == 64 * (12 + 16)
    assert found.doubt == "not among the parameters: weights that forward uses from elsewhere (20 parameters)"
    assert network(torch.rand(1, 3, 8, 8)).requires_grad


def test_a_scripted_part_is_not_called_quantized():
    assert quantized(nn.Sequential(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())))) == ()


@pytest.mark.parametrize(
    "hold", [lambda a, b: nn.ModuleList([a, b]), lambda a, b: nn.ModuleDict({"a": a, "b": b}), nn.Sequential]
)
def test_registered_layers_are_not_named(hold):
    network = Holds(hold)
    network.also = [network.first]
    assert unregistered(network) == ()
    assert cost(network, CostSpec(size=8)).doubt == ""


@pytest.mark.filterwarnings("ignore")
def test_quantized_layers_are_named():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(8, 8), nn.Linear(8, 8))
    assert quantized(network) == ()
    network = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    found = cost(network, CostSpec(size=8))
    assert quantized(network) == found.uncounted == ("2 quantized LinearPackedParams",)
    assert "quantized.linear_dynamic (no formula)" in found.doubt
    assert "not among the parameters: 2 quantized" in found.doubt
