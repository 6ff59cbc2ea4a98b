"""The machine's state around a measurement: what changes from one minute to the next and distorts a time."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.machine.gpu import gpu_state
from bench.machine.system import processors, text, throttled_s
from bench.quantities import Frozen

ONLINE = Path("/sys/devices/system/cpu/online")
BUSY = ("user", "nice", "system", "irq", "softirq")  # guests are counted in user already; proc_stat(5)


class State(Frozen):
    """Load, clocks, temperature, other users. What cannot be read is None or missing, also in older records.

    `cpu_busy_s` is the time for which the processors this process may run on have been busy since the machine started,
    `cpu_steal_s` the time a hypervisor took from them, `own_cpu_s` the part of the busy time that this process and the
    children it has waited for used. `throttled_s` is for how long a CPU quota stopped it. `clock_s` is a clock that
    tells how long the time between two states was.
    """

    at: str
    load_1min: float | None
    cpu_mhz: float | None
    gpu: dict[str, float | int | str]
    clock_s: float | None = None
    cpu_busy_s: float | None = None
    cpu_steal_s: float | None = None
    own_cpu_s: float | None = None
    throttled_s: float | None = None
    memory_free_bytes: int | None = None


def state() -> State:
    """The machine's state now."""
    gpu, (busy_s, steal_s) = gpu_state(), cpu_times()
    return State(
        clock_s=time.monotonic(),  # right after the processor times it is compared with
        own_cpu_s=sum(os.times()[:4]),
        cpu_busy_s=busy_s,
        cpu_steal_s=steal_s,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        load_1min=psutil.getloadavg()[0],
        cpu_mhz=_cpu_mhz(),
        gpu=gpu,
        throttled_s=throttled_s(),
        memory_free_bytes=psutil.virtual_memory().available,
    )


def cpu_times() -> tuple[float | None, float | None]:
    """Seconds for which the processors of this process were busy, and for which a hypervisor took them.

    None where the system does not report one of them.
    """
    times = psutil.cpu_times(percpu=True)
    ranges = [part.split("-") for part in (text(ONLINE) or f"0-{len(times) - 1}").split(",")]
    online = [number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)]
    if len(online) != len(times) or not set(processors()) <= set(online):
        return None, None
    ours = [one for number, one in zip(online, times, strict=True) if number in processors()]
    busy_s = sum(getattr(one, name, 0.0) for one in ours for name in BUSY)
    return busy_s, sum(one.steal for one in ours) if hasattr(ours[0], "steal") else None


def _cpu_mhz() -> float | None:
    """The mean clock of all processors."""
    try:
        clock = psutil.cpu_freq()
    except (NotImplementedError, OSError):  # drivers that do not tell the current clock
        return None
    return clock.current or None if clock else None
