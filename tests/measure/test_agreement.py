"""How far outputs stray, by hand. That untrustworthy networks are refused is tested in test_latency.py."""

import pytest
import torch
from torch.nn import functional as F

from bench.errors import UserError
from bench.measure.latency import agreement, first_tensor, trusted
from bench.quantities import LatencySpec

SPEC = LatencySpec(machine="m", device="cpu", threads=1, size=32)


def maps(*logits: list[float]) -> torch.Tensor:
    """One image of one row: a list of logits for each map."""
    return torch.tensor(logits).unsqueeze(1).unsqueeze(0)


def test_agreement_of_one_map():
    """Masks 1 1 0 0 and 0 1 1 0: Dice 2 / 4."""
    found = agreement(maps([2.0, 1.0, -1.0, -4.0]), maps([-0.5, 1.0, 1.0, -4.0]))
    assert (found.max_error, found.largest, found.dice) == (2.5, 4.0, 0.5)


def test_agreement_of_several_maps_is_a_mean_over_the_classes_that_are_anywhere():
    """Labels 1 1 2 0 and 1 2 2 0: Dice 2/3 for class 1, 2/3 for class 2; class 3 is nowhere. Then 1 1 1 0: 4/5, 0."""
    plain = F.one_hot(torch.tensor([1, 1, 2, 0]), 4).T.float()[None, :, None]
    near = F.one_hot(torch.tensor([1, 2, 2, 0]), 4).T.float()[None, :, None]
    far = F.one_hot(torch.tensor([1, 1, 1, 0]), 4).T.float()[None, :, None]
    assert agreement(plain, near).dice == pytest.approx(2 / 3)
    assert agreement(plain, far).dice == pytest.approx((4 / 5 + 0) / 2)


def test_agreement_of_empty_masks():
    empty, something = maps([-1.0, -2.0]), maps([-1.0, 2.0])
    assert agreement(empty, empty).dice == 1
    assert agreement(empty, something).dice == 0


def test_agreement_of_the_first_tensors_in_half_precision():
    plain = {"name": "unet", "logits": maps([1.0, -1.0]), "aside": maps([5.0])}
    found = agreement(plain, ("unet", [maps([1.5, -1.0]).bfloat16()]))
    assert (found.max_error, found.dice) == (0.5, 1)


def test_a_copy_is_looked_at_not_memory_that_the_next_call_overwrites():
    logits = maps([1.0])
    kept = first_tensor(logits)
    logits.zero_()
    assert kept.item() == 1


def test_outputs_of_two_shapes_or_none_are_refused():
    with pytest.raises(UserError, match=r"an output of \(1, 1, 1, 1\), the plain network one of \(1, 1, 1, 2\)"):
        agreement(maps([1.0, 2.0]), maps([1.0]))
    with pytest.raises(UserError, match="a list, holds no tensor"):
        first_tensor([1, "two"])


@pytest.mark.parametrize(("precision", "allowed"), [("float32", 1e-4), ("float16", 2**-10), ("bfloat16", 2**-7)])
def test_on_cuda_two_calls_may_differ_by_the_order_of_sums(precision, allowed):
    """Relative to the largest logit, here 10."""
    spec, first = SPEC.model_copy(update={"device": "cuda", "precision": precision}), torch.tensor([10.0, 0.0])
    network = torch.nn.Identity()
    assert trusted(first, first + torch.tensor([0.0, 9.9 * allowed]), None, spec, network, first) is None
    with pytest.raises(UserError, match="another output for the same input"):
        trusted(first, first + torch.tensor([0.0, 10.1 * allowed]), None, spec, network, first)
