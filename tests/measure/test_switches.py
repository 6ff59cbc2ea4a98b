"""The switches that all measures share, and their images."""

import itertools
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.measure import energy, latency, memory, peak, profile
from bench.measure.switches import random_images, set_switches
from bench.quantities import QUANTITIES
from bench.run.dice import Scoring


def switches() -> tuple[object, ...]:
    flags = torch.backends.cudnn
    tiny = torch.tensor([1e-39]) * 0.5  # subnormal
    tf32 = torch.backends.cuda.matmul.allow_tf32, flags.allow_tf32
    return torch.get_num_threads(), *tf32, flags.benchmark, flags.deterministic, bool(tiny == 0)


def test_each_switch_is_set_whatever_it_was():
    was = switches()
    set_switches(1, tf32=True, cudnn_benchmark=True, flush_denormal=True)
    assert switches() == (1, True, True, True, False, True)
    set_switches(2, tf32=False)
    assert switches() == (2, False, False, False, False, False)
    set_switches(was[0])
    assert switches() == (was[0], False, True, False, False, False), "torch's own defaults"


@pytest.fixture
def _wrong():
    """Switches as no measurement asks for them."""
    threads = torch.get_num_threads()
    set_switches(threads + 1, tf32=True, cudnn_benchmark=True, flush_denormal=True)
    torch.backends.cudnn.deterministic = True
    yield
    set_switches(threads)


class Looks(nn.Module):
    """A network that notes the switches that are set when it runs."""

    seen: ClassVar[set[tuple[object, ...]]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add(switches())
        return self.layer(x)


def looked_at_by(quantity: str, spec: dict[str, object], monkeypatch) -> set[tuple[object, ...]]:
    """The switches that a measurement's network, or its products, ran with."""
    Looks.seen.clear()
    asked = QUANTITIES[quantity].spec(**spec)
    if quantity == "peak":
        monkeypatch.setattr(peak, "SIZES", {"cpu": (8,)})
        monkeypatch.setattr(peak, "_copy_rate", lambda spec, clock: 1.0)
        multiply = torch.mm
        monkeypatch.setattr(torch, "mm", lambda *a, **k: (Looks.seen.add(switches()), multiply(*a, **k))[1])
        peak.peak(asked)
    elif quantity == "memory":
        memory.memory(Looks, asked)
    elif quantity == "energy":
        ticks = itertools.count()
        tick = lambda: float(next(ticks))  # noqa: E731
        energy.energy(Looks(), asked, counter=tick, clock=tick, sleep=lambda seconds: None)
    else:
        more = {"progress": lambda *told: None} if quantity == "profile" else {}
        {"latency": latency.latency, "profile": profile.profile}[quantity](Looks(), asked, **more)
    return Looks.seen


QUICK = {
    "latency": {"warmup_calls": 1, "warmup_s": 0, "samples": 1, "seconds": 0},
    "energy": {"seconds": 1, "counter_steps": 1},
}  # fmt: skip


@pytest.mark.usefixtures("_wrong")
@pytest.mark.parametrize("quantity", ["peak", "latency", "memory", "energy", "profile"])
@pytest.mark.parametrize(("tf32", "benchmark"), [(False, False), (True, False), (False, True)])
def test_everything_that_runs_has_the_switches_of_its_conditions(quantity, tf32, benchmark, monkeypatch):
    size = {} if quantity == "peak" else {"size": 32}
    spec = {"machine": "m", "device": "cpu", "threads": 1, **size, **QUICK.get(quantity, {})}
    seen = looked_at_by(quantity, {**spec, "tf32": tf32, "cudnn_benchmark": benchmark}, monkeypatch)
    assert seen == {(1, tf32, tf32, benchmark, False, False)}


@pytest.mark.usefixtures("_wrong")
def test_training_and_scoring_have_torchs_own_switches_and_no_subnormals():
    """They are not conditions of a training but a part of how all are trained."""
    order, seen = SimpleNamespace(job=SimpleNamespace(spec=SimpleNamespace(train=None)), threads=1, device="cpu"), []

    def build(seed: int) -> nn.Module:
        seen.append(switches())
        raise UserError("that is enough")

    with pytest.raises(UserError, match="that is enough"):
        Scoring(SimpleNamespace(order=order, build=build))
    assert seen == [(1, False, True, False, False, True)]


def test_images_are_the_same_each_time_and_draw_from_no_other_generator():
    before = torch.get_rng_state()
    images = random_images(2, 3, 8)
    assert images.shape == (2, 3, 8, 8)
    assert 0 <= images.min() < images.max() < 1
    assert torch.equal(images, random_images(2, 3, 8))
    assert not torch.equal(images, random_images(2, 3, 8, seed=1))
    assert torch.equal(before, torch.get_rng_state())
