"""Parameters, bytes, and two counts beside each other; what happens where one fails. More in test_counters.py."""

import os

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.measure.cost import cost, formulas
from bench.measure.counters import by_fvcore, by_torch
from bench.networks import NETWORKS
from bench.networks.adapt import inside, made
from bench.networks.table import Shapes
from bench.quantities import CostSpec


class Fooling(nn.Module):
    """Fused attention, `padding='same'`, functional convolution with a bare parameter, and the attention fast path."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(3, 8, 3, padding="same")
        self.bare = nn.Parameter(torch.randn(8, 8, 1, 1))
        self.layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(self.same(x), self.bare)
        rows = x.flatten(2).transpose(1, 2)
        rows = self.layer(rows + F.scaled_dot_product_attention(rows, rows, rows))
        return rows.transpose(1, 2).unflatten(2, x.shape[-2:])


def test_a_network_built_to_fool_the_counters_is_counted_right():
    pixels = 8 * 8
    convolutions = pixels * (8 * 3 * 9 + 8 * 8)
    attention = 2 * pixels * pixels * 8
    layer = pixels * (4 * 8 * 8 + 2 * 8 * 16) + attention
    found = cost(Fooling(), CostSpec(size=8))
    assert found.torch.macs == convolutions + attention + layer
    assert found.convolutions_and_matmuls[0] == found.torch.macs
    assert found.doubt == ""


class Untraceable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing():
            raise RuntimeError("no tracing here")
        return F.conv2d(x, torch.ones(1, 3, 1, 1))


def test_a_counter_that_fails_is_shown_as_failed_and_the_other_one_counts():
    found = cost(Untraceable(), CostSpec(size=8))
    assert found.fvcore.macs is None
    assert found.torch.macs == 8 * 8 * 3
    assert found.doubt == "fvcore failed: RuntimeError: no tracing here"


class Aborts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing():
            os.abort()
        return self.conv(x)


def test_a_tracer_that_ends_its_process_loses_neither_parameters_nor_the_other_count():
    found = cost(Aborts(), CostSpec(size=8))
    assert (found.parameters, found.torch.macs, found.fvcore.macs) == (4, 64 * 3, None)
    assert found.doubt == "fvcore failed: its process was killed by SIGABRT"


class Fallback(nn.Module):
    """A part that raises, whose caller falls back: what code with optional fast kernels does."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.slow = Untraceable(), nn.Conv2d(3, 1, 3, padding=1)
        self.fast.forward = self.refuse

    def refuse(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no kernel for this device")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        try:
            return self.fast(x)
        except RuntimeError:
            return self.slow(x)


def test_an_exception_that_is_caught_leaves_the_counts_right():
    found = cost(Fallback(), CostSpec(size=32))
    assert (found.parameters, found.torch.macs, found.fvcore.macs) == (28, 32 * 32 * 27, 32 * 32 * 27)
    assert found.doubt == ""


class TwoMaps(nn.Module):
    """A second map from layers of its own, and images of 16 pixels."""

    image_size = 16

    def __init__(self, in_channels: int = 3, num_classes: int = 1) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(in_channels, num_classes, 3, padding=1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert x.shape[-1] == 16
        return self.first(x), self.second(x)


def test_a_network_is_counted_itself_and_not_what_adapts_it():
    network = made(TwoMaps, "TwoMaps", Shapes(3, 1, 32), {})
    assert inside(network) is not network
    found = cost(network, CostSpec(size=32))
    assert found.torch.macs == found.fvcore.macs == 2 * 16 * 16 * 27
    assert found.doubt == ""


def test_all_reasons_for_doubt_are_listed(monkeypatch):
    wrong = {"two": (nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2), 5)}
    monkeypatch.setattr("bench.measure.cost.formulas", lambda: wrong)
    doubt = cost(Untraceable(), CostSpec(size=8)).doubt
    said = ["fvcore failed: RuntimeError: no tracing here", "fvcore has no right formula for two"]
    assert doubt.split("; ") == [*said, "torch has no right formula for two"]


class Lookup(nn.Module):
    """An operator that works and that no counter has a formula for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cdist(x, x)


def test_what_is_not_counted_is_listed():
    found = cost(Lookup(), CostSpec(size=8))
    assert "aten::cdist" in found.fvcore.uncounted
    assert any("cdist" in name for name in found.torch.uncounted)
    assert "aten._cdist_forward (no formula)" in found.doubt


def test_parameters_frozen_and_bytes():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1).half())
    network[0].requires_grad_(False)
    found = cost(nn.Sequential(network[0], network[1]), CostSpec(size=8))
    assert (found.parameters, found.trainable_parameters) == (112 + 8, 8)
    assert found.parameter_bytes == 4 * 120
    assert found.buffer_bytes == 4 * 8 + 8  # means, variances, and the count of batches as int64


def test_mdsa_unet_costs_what_its_design_says():
    """At 224 pixels: 4.501 G by fvcore, of which matrix products 0.183, convolutions 2.700 and linear layers 1.574.

    A linear layer of a map is done as a convolution of one pixel.
    """
    found = cost(NETWORKS["mdsa_unet"].build(3, 1, 224), CostSpec())
    parts = found.fvcore.by_operator
    assert found.fvcore.macs / 1e9 == pytest.approx(4.501, abs=5e-4)
    assert parts["conv"] / 1e9 == pytest.approx(2.700 + 1.574, abs=1e-3)
    assert sum(parts[name] for name in ("matmul", "bmm", "baddbmm")) / 1e9 == pytest.approx(0.183, abs=5e-4)
    assert found.doubt == ""


def test_a_counter_that_misses_a_formula_is_named(monkeypatch):
    wrong = {"two": (nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2), 5), "broken": (nn.Conv2d(3, 1, 1), torch.rand(4), 5)}
    monkeypatch.setattr("bench.measure.cost.formulas", lambda: wrong)
    found = cost(nn.Conv2d(3, 4, 3), CostSpec(size=8))
    assert found.fvcore.missed == found.torch.missed == ("two", "broken")
    assert "two, broken" in found.doubt


def test_parameters_that_modules_share_count_once():
    first, second = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
    second.weight = first.weight
    assert cost(nn.Sequential(first, second), CostSpec(size=8)).parameters == 81 + 3 + 3


def test_bytes_of_half_and_complex_weights():
    assert cost(nn.Conv2d(3, 4, 1).half(), CostSpec(size=8)).parameter_bytes == 2 * 16
    network = nn.Conv2d(3, 4, 1)
    network.spectrum = nn.Parameter(torch.zeros(5, dtype=torch.complex64))
    found = cost(network, CostSpec(size=8))
    assert (found.parameters, found.parameter_bytes) == (16 + 5, 4 * 16 + 8 * 5)


def test_lazy_modules_have_their_parameters_counted():
    found = cost(nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()), CostSpec(size=8))
    assert found.parameters == 4 * 3 * 9 + 4 + 8
    assert found.torch.macs == 36 * 4 * 27


class Remembers(nn.Module):
    """Convolves more often the more it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return sum(self.conv(x) for _ in range(int(self.calls)))


def test_counting_a_network_twice_gives_the_same_and_leaves_it_as_it_was():
    network = Remembers().train()
    first, second = (cost(network, CostSpec(size=8)) for _ in range(2))
    assert first == second
    assert first.doubt == ""
    assert int(network.calls) == 0
    assert network.training
    assert not network.conv._forward_hooks


def test_a_network_that_cannot_be_copied_is_counted_itself():
    network = nn.Conv2d(3, 4, 1)
    network.part_of_a_graph = network.weight * 2
    assert cost(network, CostSpec(size=8)).torch.macs == 64 * 12


@pytest.mark.parametrize("formula", formulas())
@pytest.mark.parametrize("counter", [by_fvcore, by_torch])
def test_closed_formulas(counter, formula):
    network, x, macs = formulas()[formula]
    by_operator = counter(network, x).by_operator
    assert sum(n for name, n in by_operator.items() if not name.endswith("_norm")) == macs
