"""The switches that all measures share, and their images."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from bench.measure import memory as memory_module
from bench.measure import peak as peak_module
from bench.measure.energy import energy
from bench.measure.latency import latency
from bench.measure.memory import memory
from bench.measure.peak import peak
from bench.measure.profile import profile
from bench.measure.switches import random_images, set_switches
from bench.quantities import QUANTITIES, EnergySpec, LatencySpec, MemorySpec, PeakSpec, ProfileSpec


def switches() -> tuple[object, ...]:
    """Threads, the four switches of precision, then benchmark, deterministic, subnormal numbers."""
    cuda, flags, onednn = torch.backends.cuda.matmul, torch.backends.cudnn, torch.backends.mkldnn.conv
    tiny = torch.tensor([1e-39]) * 0.5  # subnormal
    tf32 = torch.get_float32_matmul_precision() != "highest", onednn.fp32_precision == "tf32"
    forced = torch.are_deterministic_algorithms_enabled() or flags.deterministic
    tf32 = cuda.allow_tf32, flags.allow_tf32, *tf32
    return torch.get_num_threads(), *tf32, flags.benchmark, forced, bool(tiny == 0)


@pytest.fixture(autouse=True)
def _restored():
    threads = torch.get_num_threads()
    yield
    set_switches(threads)


def set_wrong(tf32: bool) -> None:
    """What a network's code may have set, by torch's newer switches and by its older ones."""
    torch.backends.fp32_precision = "tf32" if tf32 else "ieee"
    torch.backends.cudnn.conv.fp32_precision = "tf32" if tf32 else "ieee"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)


def test_each_switch_is_set_whatever_it_was():
    set_switches(1, tf32=True, cudnn_benchmark=True, flush_denormal=True)
    assert switches() == (1, True, True, True, True, True, False, True)
    set_wrong(tf32=False)
    set_switches(2)
    assert switches() == (2, False, False, False, False, False, False, False)
    set_wrong(tf32=True)
    set_switches(2)
    assert switches() == (2, False, False, False, False, False, False, False)
    torch.set_float32_matmul_precision("medium")
    set_switches(2)
    assert switches() == (2, False, False, False, False, False, False, False)


# ---- every measure ---------------------------------------------------------------------------------------------------


class Headstrong(nn.Sequential):
    """A network whose code sets switches itself."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 1, 1))
        set_wrong(tf32=True)


PASS = {"machine": "m", "device": "cpu", "threads": 2, "size": 32}


def run_peak(monkeypatch, **given: object) -> None:
    monkeypatch.setattr(peak_module, "SIZES", {"cpu": (8,)})
    monkeypatch.setattr(peak_module, "COPY_BYTES", {"cpu": 2**10})
    monkeypatch.setattr(peak_module, "last_level_cache_bytes", lambda: 0)
    convolve, layer = torch.conv2d, nn.Identity()
    monkeypatch.setattr(torch, "conv2d", lambda *args: layer(convolve(*args)))  # whose call is seen
    set_wrong(tf32=True)
    peak(PeakSpec(machine="m", device="cpu", threads=2, **given))


def run_memory(monkeypatch, **given: object) -> None:
    monkeypatch.setattr(memory_module, "_call_libc", lambda *_: None)  # it would change the whole process
    monkeypatch.setattr(memory_module, "HighWater", lambda: SimpleNamespace(peak=lambda: 2**40))
    for mode in ("inference", "training"):
        memory(Headstrong, MemorySpec(**PASS, mode=mode, **given))


def run_latency(monkeypatch, **given: object) -> None:
    short = {"warmup_calls": 1, "warmup_s": 0, "samples": 1, "seconds": 0}
    latency(Headstrong(), LatencySpec(**PASS, **short, **given))


def run_energy(monkeypatch, **given: object) -> None:
    spec = EnergySpec(**PASS, seconds=1, counter_steps=1, **given)
    ticks = itertools.count()
    energy(Headstrong(), spec, lambda: float(next(ticks)), lambda: 40.0, sleep=lambda s: None)


def run_profile(monkeypatch, **given: object) -> None:
    profile(Headstrong(), ProfileSpec(**PASS, **given), lambda *_: None)


MEASURES = {
    "peak": run_peak,
    "memory": run_memory,
    "latency": run_latency,
    "energy": run_energy,
    "profile": run_profile,
}


def test_no_measure_is_left_out():
    assert set(MEASURES) == {name for name, one in QUANTITIES.items() if "threads" in one.spec.model_fields}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("on", [False, True])
def test_every_measure_runs_with_the_switches_of_its_conditions_and_no_others(monkeypatch, name, on):
    seen = set()
    watch = register_module_forward_pre_hook(lambda module, args: seen.add(switches()) or None)
    try:
        MEASURES[name](monkeypatch, **({"tf32": True, "cudnn_benchmark": True} if on else {}))
    finally:
        watch.remove()
    assert seen == {(2, *[on] * 5, False, False)}


# ---- images ----------------------------------------------------------------------------------------------------------


def test_images_are_the_same_each_time_and_draw_from_no_other_generator():
    before = torch.get_rng_state()
    images = random_images(2, 3, 8)
    assert images.shape == (2, 3, 8, 8)
    assert 0 <= images.min() < images.max() < 1
    assert torch.equal(images, random_images(2, 3, 8))
    assert not torch.equal(images, random_images(2, 3, 8, seed=1))
    assert torch.equal(before, torch.get_rng_state())
