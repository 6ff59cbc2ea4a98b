"""How far outputs stray, by hand, and wrong folds. Other untrustworthy networks are refused in test_latency.py."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.errors import UserError
from bench.measure.agreement import agreement, outputs_of, refuse_random, wake_norms
from bench.measure.forms import folded, onnx, prepared
from bench.measure.latency import latency
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


def test_agreement_in_half_precision():
    plain = {"name": "unet", "logits": maps([1.0, -1.0])}
    found = agreement(plain, ("unet", [maps([1.5, -1.0]).bfloat16()]))
    assert (found.max_error, found.dice) == (0.5, 1)


def test_all_outputs_count_by_the_one_that_is_furthest_off_for_its_size():
    plain = [maps([100.0, -100.0]), {"aside": maps([0.5])}]
    found = agreement(plain, [maps([101.0, -100.0]), {"aside": maps([0.25])}])
    assert (found.max_error, found.largest, found.dice) == (0.25, 0.5, 1)
    nothing = agreement([maps([0.0]), maps([2.0])], [maps([1e-9]), maps([1.0])])
    assert (nothing.max_error, nothing.largest) == (pytest.approx(1e-9), 0.0), "nothing is far off from zero alone"


def test_a_copy_is_looked_at_not_memory_that_the_next_call_overwrites():
    logits = maps([1.0])
    (kept,) = outputs_of(logits)
    logits.zero_()
    assert kept.item() == 1


def test_outputs_of_two_shapes_or_none_are_refused():
    with pytest.raises(UserError, match=r"an output of \(1, 1, 1, 1\), the plain network one of \(1, 1, 1, 2\)"):
        agreement(maps([1.0, 2.0]), maps([1.0]))
    with pytest.raises(UserError, match=r"of \(1, 1, 1, 1\), the plain network one of \(1, 1, 1, 1\), \(1, 1, 1, 2\)"):
        agreement([maps([1.0]), maps([1.0, 2.0])], maps([1.0]))
    with pytest.raises(UserError, match="a list, holds no tensor"):
        outputs_of([1, "two"])


@pytest.mark.parametrize(("precision", "allowed"), [("float32", 1e-4), ("float16", 2**-10), ("bfloat16", 2**-7)])
def test_on_cuda_two_calls_may_differ_by_the_order_of_sums(precision, allowed):
    """Relative to the largest logit, here 10."""
    spec, first = SPEC.model_copy(update={"device": "cuda", "precision": precision}), torch.tensor([10.0, 0.0])
    refuse_random([first], [first + torch.tensor([0.0, 9.9 * allowed])], spec)
    with pytest.raises(UserError, match="another output for the same input"):
        refuse_random([first, first], [first, first + torch.tensor([0.0, 10.1 * allowed])], spec)
    with pytest.raises(UserError, match="another output for the same input"):
        refuse_random([first, first], [first], spec)


# ---- folds, on weights whose norms do something ----------------------------------------------------------------------

FOLDED = SPEC.model_copy(update={"form": "folded", "warmup_calls": 1, "warmup_s": 0, "samples": 1, "seconds": 0})


def fresh() -> nn.Module:
    """A network as it is built: its norms do nothing in eval mode."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))


def without_norms(network: nn.Module, batch: torch.Tensor) -> nn.Module:
    """A fold that drops norms."""
    return nn.Sequential(*(module for module in network if not isinstance(module, nn.BatchNorm2d)))


def without_statistics(network: nn.Module, batch: torch.Tensor) -> nn.Module:
    """A fold that takes weight and bias of a norm, and not its mean and variance."""
    norm = network[1]
    norm.running_mean.zero_()
    norm.running_var.fill_(1)
    return folded.fold(network, batch)


def without_weights(network: nn.Module, batch: torch.Tensor) -> nn.Module:
    """A fold that takes mean and variance of a norm, and not its weight."""
    nn.init.ones_(network[1].weight)
    return folded.fold(network, batch)


def by_brightness(network: nn.Module, batch: torch.Tensor) -> nn.Module:
    """A fold that is right for the first image alone, because it holds something of it."""
    held = network(batch).detach()

    class Holds(nn.Module):
        def forward(self, x):
            return held + 0 * network(x)

    return Holds()


@pytest.mark.parametrize("wrong", [without_norms, without_statistics, without_weights, by_brightness])
def test_a_wrong_fold_is_refused(wrong, monkeypatch):
    monkeypatch.setattr(folded, "transform", lambda network, batch: wrong(copy.deepcopy(network), batch))
    with pytest.raises(UserError, match="the form folded, contiguous does not give the network's output"):
        latency(fresh(), FOLDED)


def test_the_wrong_folds_are_right_on_norms_that_do_nothing():
    """So a comparison on a network as it is built would not see them."""
    network, batch = fresh().eval(), torch.rand(2, 3, 8, 8)
    for wrong in (without_norms, without_statistics, without_weights):
        torch.testing.assert_close(wrong(copy.deepcopy(network), batch)(batch), network(batch), rtol=1e-4, atol=1e-4)


def test_a_right_fold_is_trusted_and_one_that_does_nothing_is_told():
    found = latency(fresh(), FOLDED)
    assert found.agreement.max_error <= 1e-5 * found.agreement.largest
    assert found.note == ""
    found = latency(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)), FOLDED)
    assert found.agreement.max_error == 0
    assert found.note == "nothing in this network could be folded"


def test_a_fold_that_spoils_a_second_output_is_refused(monkeypatch):
    class Two(nn.Module):
        def __init__(self, factor: float = 1.0) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return {"logits": 100 * x, "aside": x[:, :1] * self.factor}

    monkeypatch.setattr(folded, "transform", lambda network, batch: Two(1.01))
    with pytest.raises(UserError, match="does not give the network's output"):
        latency(Two(), FOLDED)


@pytest.mark.parametrize("form", ["eager", "folded", "onnx"])
def test_every_form_reads_both_batches(form):
    if form == "onnx":
        for package in onnx.PACKAGES:
            pytest.importorskip(package)
    batch, other = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    network = fresh().eval()
    made = prepared(network, batch.clone(), SPEC.model_copy(update={"form": form}))
    with torch.inference_mode():
        for images in (batch, other, batch):
            made.batch.copy_(images)
            torch.testing.assert_close(outputs_of(made.run())[0], network(images))


class Named(nn.Module):
    """A norm of somebody's own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))


class OwnNorm(Named):
    pass


NORMS = [nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.LayerNorm((4, 2)),
         nn.GroupNorm(2, 4), OwnNorm()]  # fmt: skip


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: type(norm).__name__)
def test_norms_that_do_nothing_are_woken_alike_each_time(norm):
    one, other = copy.deepcopy(norm), copy.deepcopy(norm)
    for network in (one, other):
        wake_norms(nn.Sequential(network))
    assert (one.weight > 0.79).all()
    assert (one.weight < 1.21).all()
    assert one.weight.unique().numel() > 1
    assert 0 < one.bias.abs().max() <= 0.1
    if getattr(one, "running_var", None) is not None:
        assert 0.5 <= one.running_var.min() < one.running_var.max() <= 1.5
        assert 0 < one.running_mean.abs().max() <= 0.1
    assert all(torch.equal(x, y) for x, y in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_trained_norms_and_other_layers_stay_as_they_are():
    norm = nn.BatchNorm2d(4)
    norm.running_var.copy_(torch.tensor([1e-3, 1.0, 2.0, 50.0]))
    norm.running_mean.fill_(3.0)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    network = nn.Sequential(norm, nn.Linear(4, 4), nn.BatchNorm2d(4, affine=False, track_running_stats=False), Named())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wake_norms(network)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


class Selects(nn.Module):
    """Scales its input by the larger of two weights that are equal up to their last bits, or else by much more."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0 - 2**-22))

    def forward(self, x):
        return x * torch.where(self.first > self.second, 1.0, 1.01)


def test_a_tie_that_rounding_breaks_otherwise_is_no_other_function(monkeypatch):
    def otherwise(network: nn.Module, batch: torch.Tensor) -> nn.Module:
        other = copy.deepcopy(network)
        nn.init.constant_(other.second, 2.0)
        return other

    monkeypatch.setattr(folded, "transform", otherwise)
    assert latency(Selects(), FOLDED).agreement.max_error == pytest.approx(0.01, rel=0.01)
    sure = Selects()
    nn.init.constant_(sure.second, 0.9)
    with pytest.raises(UserError, match="does not give the network's output"):
        latency(sure, FOLDED)
