"""The timing loop against an injected clock, where every sample is known; networks that must not be timed."""

import itertools

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.measure.latency import _timer, latency
from bench.quantities import Latency, LatencySpec

SPEC = LatencySpec(machine="m", device="cpu", threads=1, size=32, warmup_calls=3, warmup_s=0, samples=4, seconds=0)


class Clocked(nn.Module):
    """A network whose n-th call takes the n-th of the given times, on a clock of its own."""

    def __init__(self, times: list[float]) -> None:
        super().__init__()
        self.now, self.times, self.calls = 0.0, itertools.chain(times, itertools.repeat(times[-1])), 0

    def clock(self) -> float:
        return self.now

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.calls += 1
        self.now += next(self.times)
        return x


def timed(times: list[float], **conditions: object) -> tuple[list[float], list[float]]:
    network = Clocked(times)
    found = latency(network, SPEC.model_copy(update=conditions), clock=network.clock)
    assert network.calls == len(found.warmup_s) + len(found.samples_s)
    return list(found.warmup_s), list(found.samples_s)


def test_every_call_is_kept_and_warm_up_stands_apart():
    warmup, samples = timed([1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert warmup == [1.0, 1.0, 1.0]
    assert samples == [2.0, 3.0, 4.0, 5.0]


def test_warm_up_goes_on_until_it_is_flat():
    warmup, samples = timed([9.0, 8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert warmup[-3:] == [1.0] * 3
    assert samples == [1.0] * 4


def test_a_warm_up_that_never_gets_flat_ends():
    warmup, _ = timed([2.0**n for n in range(60)])
    assert len(warmup) == 10 * SPEC.warmup_calls


def test_at_least_so_many_samples_and_so_many_seconds():
    assert len(timed([1.0], samples=4, seconds=6.5)[1]) == 7
    assert len(timed([1.0], samples=9, seconds=2.0)[1]) == 9


def test_warm_up_lasts_its_seconds_too():
    assert len(timed([0.25], warmup_s=2.0)[0]) == 8


def test_the_batch_is_as_the_conditions_say():
    seen = []

    class Looks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((tuple(x.shape), x.dtype, x.is_contiguous(memory_format=torch.channels_last)))
            return x

    latency(Looks(), SPEC.model_copy(update={"batch": 2, "precision": "bfloat16", "memory_format": "channels_last"}))
    # The plain network on two batches, to compare with.
    assert seen[:2] == [((2, 3, 32, 32), torch.float32, False)] * 2
    assert set(seen[2:]) == {((2, 3, 32, 32), torch.bfloat16, True)}


# ---- outputs ---------------------------------------------------------------------------------------------------------


class Does(nn.Module):
    """A network that does what is given, and counts its calls."""

    def __init__(self, what) -> None:
        super().__init__()
        self.what, self.calls = what, 0

    def forward(self, x):
        self.calls += 1
        return self.what(x, self.calls)


def of(what, **conditions: object) -> Latency:
    return latency(Does(what), SPEC.model_copy(update=conditions))


def overwrites(x, calls, memory=torch.zeros(1)):  # noqa: B008
    return memory.fill_(calls)


TRIAL = {
    "a tuple": (lambda x, calls: (x, x[:, :1]), None),
    "a dict": (lambda x, calls: {"logits": x, "name": "unet"}, None),
    "its own input": (lambda x, calls: x, None),
    "numbers": (lambda x, calls: x.argmax(1), None),
    "no tensor": (lambda x, calls: ["unet"], "holds no tensor"),
    "random": (lambda x, calls: torch.rand_like(x), "another output for the same input"),
    "dropout left on": (lambda x, calls: nn.functional.dropout(x, training=True), "another output for the same input"),
    "counts calls": (lambda x, calls: x + calls, "another output for the same input"),
    "overwrites its output": (overwrites, "another output for the same input"),
    "another shape": (lambda x, calls: x[:, : calls % 2 + 1], "another output for the same input"),
    "NaN": (lambda x, calls: x / 0 * 0, "3072 of 3072 values of the output are NaN or infinite"),
    "infinite": (lambda x, calls: torch.where(x == x.max(), torch.inf, x), "1 of 3072 values"),
}


@pytest.mark.parametrize(("what", "refused"), TRIAL.values(), ids=list(TRIAL))
@pytest.mark.parametrize("conditions", [{}, {"warmup_calls": 1, "samples": 1}, {"form": "folded"}], ids=str)
def test_trial(what, refused, conditions):
    if refused is None:
        assert len(of(what, **conditions).samples_s) >= 1
    else:
        with pytest.raises(UserError, match=refused):
            of(what, **conditions)


def test_a_plain_network_is_called_for_its_times_alone():
    network = Does(lambda x, calls: x)
    found = latency(network, SPEC)
    assert network.calls == len(found.warmup_s) + len(found.samples_s)
    assert (found.prepare_s, found.agreement) == (None, None)


def by_layout(factor: float):
    """Another function where the batch comes channels-last."""
    return lambda x, calls: x * factor if x.is_contiguous(memory_format=torch.channels_last) else x


def test_a_form_that_strays_is_refused_with_how_far():
    with pytest.raises(
        UserError, match=r"form eager, channels_last does not give the network's output.*max_error 0\.00[12]"
    ):
        of(by_layout(1 + 2e-3), memory_format="channels_last")
    found = of(by_layout(1 + 5e-4), memory_format="channels_last")
    assert found.agreement.max_error == pytest.approx(5e-4 * found.agreement.largest, rel=1e-2)
    assert (found.agreement.dice, found.prepare_s) == (1, None)


def test_tf32_is_a_condition_of_the_form_and_never_of_the_plain_network():
    seen = []

    def looks(x, calls):
        seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return x

    of(looks, tf32=True)
    assert set(seen) == {(True, True)}
    seen.clear()
    of(looks, tf32=True, form="folded")
    assert seen[0] == (False, False)
    assert set(seen[2:]) == {(True, True)}
    of(looks)
    assert seen[-1] == (False, False)


def test_tf32_is_shown_and_not_judged():
    assert of(by_layout(1 + 2e-3), memory_format="channels_last", tf32=True).agreement.max_error > 1e-3


def test_what_half_precision_loses_is_shown():
    """Values below 1 have a spacing of 2^-8 in bfloat16, so they are off by up to 2^-9."""
    found = of(lambda x, calls: x, precision="bfloat16", size=64).agreement
    assert 2**-10 < found.max_error <= 2**-9


def test_an_overflow_in_float16_is_refused_with_what_to_do():
    assert of(lambda x, calls: x * 7e4, precision="bfloat16").agreement.largest > 65504
    with pytest.raises(UserError, match="float16 ends at 65504: time it in bfloat16 or float32"):
        of(lambda x, calls: x * 7e4, precision="float16")


def test_a_form_is_timed_and_told():
    ticks = itertools.count()
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    found = latency(network, SPEC.model_copy(update={"form": "folded"}), clock=lambda: next(ticks))
    assert (found.prepare_s, found.samples_s[0]) == (1, 1)
    assert found.agreement.max_error <= 1e-5 * found.agreement.largest


class FakeEvent:
    """Stands in for a CUDA event."""

    log: list[str]

    def record(self) -> None:
        self.log.append("event")

    def elapsed_time(self, other) -> float:
        return 3.0  # milliseconds


def test_the_clock_runs_for_the_call_alone():
    log = []
    call = _timer(
        lambda: log.append("run"), SPEC,
        clock=lambda: log.append("clock") or len(log), look=lambda output: log.append("look"),
    )  # fmt: skip
    assert call() == (2, None)
    assert log == ["clock", "run", "clock", "look"]


def test_on_cuda_the_clock_stops_when_the_device_is_done_and_the_output_is_looked_at_after(monkeypatch):
    log = FakeEvent.log = []
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: FakeEvent())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("synchronize"))
    call = _timer(
        lambda: log.append("run"), SPEC.model_copy(update={"device": "cuda"}),
        clock=lambda: log.append("clock") or len(log), look=lambda output: log.append("look"),
    )  # fmt: skip
    assert call() == (5, 0.003)
    assert log == ["synchronize", "clock", "event", "run", "event", "synchronize", "clock", "look"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_two_clocks_agree():
    network = nn.Conv2d(3, 64, 7, padding=3)
    found = latency(network, SPEC.model_copy(update={"device": "cuda", "size": 512, "samples": 20}))
    assert len(found.event_samples_s) == len(found.samples_s)
    assert all(event <= wall for event, wall in zip(found.event_samples_s, found.samples_s, strict=True))
