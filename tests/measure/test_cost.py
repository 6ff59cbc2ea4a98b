"""Both counters against closed formulas, against each other, and on networks built to fool one of them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.measure.cost import by_fvcore, by_torch, cost, formulas
from bench.networks import NETWORKS
from bench.quantities import CostSpec


@pytest.mark.parametrize("formula", formulas())
@pytest.mark.parametrize("counter", [by_fvcore, by_torch])
def test_closed_formulas(counter, formula):
    network, x, macs = formulas()[formula]
    by_operator, _ = counter(network, x)
    assert sum(n for name, n in by_operator.items() if not name.endswith("_norm")) == macs


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


class Lookup(nn.Module):
    """An operator that works and that no counter has a formula for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cdist(x, x)


def test_what_is_not_counted_is_listed():
    found = cost(Lookup(), CostSpec(size=8))
    assert "aten::cdist" in found.fvcore.uncounted
    assert any("cdist" in name for name in found.torch.uncounted)


def test_parameters_frozen_and_bytes():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1).half())
    network[0].requires_grad_(False)
    found = cost(nn.Sequential(network[0], network[1]), CostSpec(size=8))
    assert (found.parameters, found.trainable_parameters) == (112 + 8, 8)
    assert found.parameter_bytes == 4 * 120
    assert found.buffer_bytes == 4 * 8 + 8  # means, variances, and the count of batches as int64


def test_mdsa_unet_costs_what_its_design_says():
    """At 224 pixels: 4.501 G by fvcore, of which convolutions 2.700, linear 1.574 and matrix products 0.183."""
    found = cost(NETWORKS["mdsa_unet"].build(3, 1, 224), CostSpec())
    parts = found.fvcore.by_operator
    assert found.fvcore.macs / 1e9 == pytest.approx(4.501, abs=5e-4)
    assert parts["conv"] / 1e9 == pytest.approx(2.700, abs=5e-4)
    assert parts["linear"] / 1e9 == pytest.approx(1.574, abs=5e-4)
    assert (parts["matmul"] + parts["attention"]) / 1e9 == pytest.approx(0.183, abs=5e-4)
    assert found.doubt == ""
