"""The timing loop against an injected clock, where every sample is known; and against torch's own timer, loosely."""

import itertools

import pytest
import torch
from torch import nn

from bench.measure.latency import latency
from bench.quantities import LatencySpec

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
    assert set(seen) == {((2, 3, 32, 32), torch.bfloat16, True)}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_two_clocks_agree():
    network = nn.Conv2d(3, 64, 7, padding=3)
    found = latency(network, SPEC.model_copy(update={"device": "cuda", "size": 512, "samples": 20}))
    assert len(found.event_samples_s) == len(found.samples_s)
    assert all(event <= wall for event, wall in zip(found.event_samples_s, found.samples_s, strict=True))
