"""Joules per image, from the hardware's energy counter: NVML for a GPU, RAPL for a CPU.

Such a counter is updated every 10 to 100 ms, so the measured window begins and ends at an update. Sources: NVML's
`nvmlDeviceGetTotalEnergyConsumption`; the kernel's Documentation/power/powercap. A counter covers the whole GPU, or all
CPU packages, so it includes other processes.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pynvml
import torch
from torch import nn

from bench.measure.switches import random_images, set_switches, synchronize
from bench.quantities import Energy, EnergySpec

SETTLE_S = 3.0  # seconds for a device to return to its idle power after work
IDLE_S, IDLE_STEPS = 2.0, 20
WARMUP_S, WARMUP_CALLS = 1.0, 3
POLL_S = 0.02  # delay with which an update may be seen; polling more often would cost time and power
STUCK_S = 10.0  # a counter without an update for this long is considered stuck

NO_GPU = "no NVIDIA GPU whose energy counter can be read"
NO_CPU = "no CPU whose energy counter can be read"

Clock = Callable[[], float]
Counter = Callable[[], float]  # joules since a fixed time, never decreasing; raises Unreadable


class Unreadable(Exception):
    """No counter can be read. The text gives the reason and, if there is one, the remedy."""


def energy(
    network: nn.Module, spec: EnergySpec, counter: Counter | None = None,
    clock: Clock = time.perf_counter, sleep: Callable[[float], None] = time.sleep,
) -> Energy:  # fmt: skip
    """Measure forward passes back to back in eval and inference mode, on one random batch resident on the device.

    `joules_per_image` is the energy of the window divided by its images, including idle power. Without idle power it is
    `joules_per_image - idle_watts * window_s / images`. Idle power is measured first, with the network on the device,
    after some idle seconds. The window lasts until both the seconds and the counter's updates are reached.

    TF32 and cudnn.benchmark are off, images contiguous. If no counter can be read, both figures are None and
    `unreadable` gives the reason. Tests inject `counter`, `clock` and `sleep`, in joules and seconds.
    """
    try:
        counter = counter or (nvml() if spec.device == "cuda" else Rapl().joules)
        counter()  # fails before any work if it cannot be read
        set_switches(spec.threads, tf32=False)
        batch = random_images(spec.batch, spec.channels, spec.size).to(spec.device, getattr(torch, spec.precision))
        network = network.eval().to(spec.device, batch.dtype)

        def work(calls: int) -> int:
            for _ in range(calls):
                network(batch)
            synchronize(spec.device)
            return calls * spec.batch

        with torch.inference_mode():
            work(1)
            sleep(SETTLE_S)
            idle_joules, idle_s, _, _ = _window(counter, clock, lambda: sleep(POLL_S), IDLE_S, IDLE_STEPS)
            calls = _warm_up(work, clock)
            joules, busy_s, steps, n = _window(counter, clock, lambda: work(calls), spec.seconds, spec.counter_steps)
    except (Unreadable, pynvml.NVMLError) as error:  # GPUs before Volta, and virtual ones, have no counter
        reason = str(error) if isinstance(error, Unreadable) else f"{NO_GPU}: {error}"
        return Energy(joules_per_image=None, idle_watts=None, unreadable=reason)
    return Energy(
        joules_per_image=joules / n, idle_watts=idle_joules / idle_s, images=n, window_s=busy_s,
        counter_steps=steps,
    )  # fmt: skip


# ---- the window ------------------------------------------------------------------------------------------------------


def _window(
    counter: Counter, clock: Clock, work: Callable[[], int | None], seconds: float, steps: int
) -> tuple[float, float, int, int]:
    """Joules, seconds, steps seen and images between two steps of the counter.

    The counter is read after each piece of work, which returns how many images it did, if any.
    """
    last, moved_at = counter(), clock()
    seen, images = -1, 0  # the first step opens the window
    first, opened_at = last, moved_at
    while True:
        images += work() or 0
        found, now = counter(), clock()
        if found == last:
            if now - moved_at > STUCK_S:
                raise Unreadable(f"the energy counter did not move in {STUCK_S:.0f} s")
            continue
        last, moved_at, seen = found, now, seen + 1
        if seen == 0:
            first, opened_at, images = found, now, 0
        elif now - opened_at >= seconds and seen >= steps:
            return found - first, now - opened_at, seen, images


def _warm_up(work: Callable[[int], int], clock: Clock) -> int:
    """Call until the device is warm. Returns the number of calls between two readings of the counter."""
    start, calls = clock(), 0
    while calls < WARMUP_CALLS or clock() - start < WARMUP_S:
        work(1)
        calls += 1
    return max(1, int(POLL_S * calls / (clock() - start)))


# ---- the counters ----------------------------------------------------------------------------------------------------


def nvml() -> Counter:
    """The counter of torch's present GPU, found by its UUID: NVML's numbers ignore CUDA_VISIBLE_DEVICES."""
    if not torch.cuda.is_available():
        raise Unreadable(f"{NO_GPU}: torch finds no CUDA device")
    uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3  # since the driver was loaded


class Rapl:
    """The sum over the CPU's packages. Subzones (`intel-rapl:0:0`) are part of packages, packages of `psys`."""

    def __init__(self, powercap: Path = Path("/sys/class/powercap")) -> None:
        zones = [zone for zone in sorted(powercap.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        self._zones = [zone for zone in zones if _read(zone / "name").startswith("package")]
        if not self._zones:
            raise Unreadable(
                f"{NO_CPU}: {powercap} has no intel-rapl package; it takes Linux on an Intel or AMD processor, and not "
                f"in a virtual machine"
            )
        self._ranges, self._last = self._microjoules("max_energy_range_uj"), self._microjoules("energy_uj")
        self._passed = 0

    def joules(self) -> float:
        """Joules since this object was created. Each counter may have wrapped around once since the last reading."""
        found = self._microjoules("energy_uj")
        for now, before, span in zip(found, self._last, self._ranges, strict=True):
            self._passed += (now - before) % span
        self._last = found
        return self._passed / 1e6

    def _microjoules(self, file: str) -> list[int]:
        return [int(_read(zone / file)) for zone in self._zones]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        opens = f"sudo chmod a+r {path.parent.parent}/intel-rapl:*/energy_uj"
        denied = f"{path} is for root alone; `{opens}` opens it until the next start"
        reason = denied if isinstance(error, PermissionError) else error
        raise Unreadable(f"{NO_CPU}: {reason}") from None
