"""Outputs that cannot be trained or scored are told apart before anything is."""

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.measure.output import refuse_other_outputs
from bench.quantities import DiceSpec

SPEC = DiceSpec(dataset="d", data="e", weights="f", classes=2, size=32)


class Returns(nn.Module):
    def __init__(self, output) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: torch.Tensor):
        return self.output(x)


def maps(x: torch.Tensor) -> torch.Tensor:
    return x[:, :2]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda x: (maps(x), maps(x)), "a tuple of 2"),
        (lambda x: {"out": maps(x), "aux": maps(x)}, "a dict of out, aux"),
        (lambda x: maps(x)[:, :, ::4, ::4], r"a tensor \(1, 2, 8, 8\)"),
        (lambda x: x, r"a tensor \(1, 3, 32, 32\)"),
        (lambda x: None, "a NoneType"),
    ],
)
def test_refusals(output, said):
    with pytest.raises(UserError, match=rf"returns {said} for an image .* need one tensor \(1, 2, 32, 32\)"):
        refuse_other_outputs(Returns(output), SPEC)


def test_what_fits_passes_and_nothing_is_drawn_or_switched():
    network = Returns(maps)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    refuse_other_outputs(network, SPEC)
    assert network.training
    assert torch.equal(before, torch.get_rng_state())
