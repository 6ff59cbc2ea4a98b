"""Joules per image, from the hardware's energy counter (`bench.measure.meters`).

Such a counter is updated every 10 to 100 ms, so a measured window begins and ends at an update. Several windows are
measured, each from the temperature that the idle device had, because a hot chip leaks more.
"""

import time
from collections.abc import Callable

import torch
from torch import nn

from bench.measure.meters import Counter, Meter, Thermometer, Unreadable, meter_of
from bench.measure.switches import Mark, nothing, random_images, switch_as, synchronize
from bench.quantities import Energy, EnergySpec
from bench.quantities.energy import Window

SETTLE_S = 3.0  # seconds for a device to return to its idle power after work
IDLE_S, IDLE_STEPS = 2.0, 20
WARMUP_S, WARMUP_CALLS = 1.0, 3
WARMER_C = 2.0  # a window may begin so much above the start temperature
COOL_S = 60.0  # a device that has not cooled down to that by then is measured as it is
POLL_S = 0.02  # delay with which an update may be seen; polling more often would cost time and power
STUCK_S = 10.0  # a counter without an update for this long is considered stuck

Clock = Callable[[], float]
Sleep = Callable[[float], None]


def energy(
    network: nn.Module, spec: EnergySpec, counter: Counter | None = None, celsius: Thermometer | None = None,
    clock: Clock = time.perf_counter, sleep: Sleep = time.sleep, mark: Mark = nothing,
) -> Energy:  # fmt: skip
    """Measure forward passes back to back in eval and inference mode, on one random batch resident on the device.

    `joules_per_image` is the energy of all windows divided by their images, including idle power. Without idle power it
    is `joules_per_image - idle_watts * window_s / images`. Idle power is measured first, with the network on the
    device, after some idle seconds. Before each window the device cools down to the temperature that it had then, or,
    without a thermometer, rests for some seconds. A window lasts until both the seconds and the counter's updates are
    reached.

    TF32 and cudnn.benchmark are as the spec says, images contiguous. If no counter can be read, both figures are None
    and `unreadable` gives the reason. `mark` is called before the first window and after the last. Tests inject
    `counter`, `celsius`, `clock` and `sleep`, in joules, degrees C and seconds.
    """
    try:
        meter = Meter(counter, celsius=celsius) if counter else meter_of(spec.device)
        meter.joules()  # fails before any work if it cannot be read
        switch_as(spec)
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
            start = _temperature(meter)
            mark()
            idle = _window(meter.joules, clock, lambda: sleep(POLL_S), IDLE_S, IDLE_STEPS)
            calls, windows = _warm_up(work, clock), list[Window]()
            for _ in range(spec.windows):
                began_c = _cool_down(meter, start, clock, sleep)
                found = _window(meter.joules, clock, lambda: work(calls), spec.seconds, spec.counter_steps)
                windows.append(found.model_copy(update={"start_celsius": began_c}))
            mark()
    except Unreadable as error:
        return Energy(joules_per_image=None, idle_watts=None, unreadable=str(error))
    images = sum(one.images for one in windows)
    return Energy(
        joules_per_image=sum(one.joules for one in windows) / images, idle_watts=idle.joules / idle.window_s,
        images=images, window_s=sum(one.window_s for one in windows),
        counter_steps=sum(one.counter_steps for one in windows), windows=tuple(windows), zones=meter.zones,
    )  # fmt: skip


# ---- the window ------------------------------------------------------------------------------------------------------


def _window(counter: Counter, clock: Clock, work: Callable[[], int | None], seconds: float, steps: int) -> Window:
    """What passed between two steps of the counter.

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
            return Window(joules=found - first, window_s=now - opened_at, images=images, counter_steps=seen)


def _warm_up(work: Callable[[int], int], clock: Clock) -> int:
    """Call until the device is warm. Returns the number of calls between two readings of the counter."""
    start, calls = clock(), 0
    while calls < WARMUP_CALLS or clock() - start < WARMUP_S:
        work(1)
        calls += 1
    return max(1, int(POLL_S * calls / (clock() - start)))


# ---- the temperature -------------------------------------------------------------------------------------------------


def _temperature(meter: Meter) -> float | None:
    """Degrees C; None without a thermometer."""
    try:
        return meter.celsius() if meter.celsius else None
    except Unreadable:  # virtual GPUs may have a counter and no thermometer
        return None


def _cool_down(meter: Meter, start: float | None, clock: Clock, sleep: Sleep) -> float | None:
    """Rest until the device is as cool as at the start, at least for the time that it takes to reach its idle power.

    Returns its temperature then.
    """
    began = clock()
    sleep(SETTLE_S)
    found = _temperature(meter)
    while start is not None and found is not None and found > start + WARMER_C and clock() - began < COOL_S:
        sleep(SETTLE_S)
        found = _temperature(meter)
    return found
