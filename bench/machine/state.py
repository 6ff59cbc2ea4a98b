"""The machine's state around a measurement: what changes from one minute to the next and spoils a time."""

import os
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from bench.machine.cgroup import throttled_s
from bench.machine.gpu import gpu_state, nvml
from bench.machine.system import cpu_lines, keyed, processors, text
from bench.quantities import Frozen


class State(Frozen):
    """Load, clocks, heat, other users. What cannot be read is None or left out, and so it is in records older than it.

    `cpu_busy_s` is the time for which the processors this process may run on have been busy since the machine started,
    `cpu_steal_s` the time a hypervisor took from them, `own_cpu_s` the part of the busy time that this process and the
    children it has waited for used. `throttled_s` is for how long a quota held it back, `clock_s` a clock that gives
    the differences of all these a length.
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
    """The machine's state now; what cannot be read is None or left out, never guessed."""
    gpu, clocks = gpu_state(nvml(), os.environ.get("CUDA_VISIBLE_DEVICES")), cpu_lines("cpu MHz")
    kilobytes = keyed(Path("/proc/meminfo")).get("MemAvailable")
    busy_s, steal_s = cpu_times(text(Path("/proc/stat")) or "", processors())
    return State(
        clock_s=time.monotonic(),  # with the processor times, for they are compared
        own_cpu_s=sum(os.times()[:4]),
        cpu_busy_s=busy_s,
        cpu_steal_s=steal_s,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        load_1min=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        cpu_mhz=sum(map(float, clocks)) / len(clocks) if clocks else None,
        gpu=gpu,
        throttled_s=throttled_s(),
        memory_free_bytes=None if kilobytes is None else 1024 * kilobytes,
    )


def cpu_times(stat: str, numbers: Collection[int]) -> tuple[float | None, float | None]:
    """Seconds for which the processors of these numbers were busy, and for which they were stolen, from /proc/stat.

    Busy is user, nice, system and interrupts; guests are in user already. None where one of them is not listed.
    Source: proc_stat(5).
    """
    lines = (line.split() for line in stat.splitlines())
    ticks = {words[0]: [int(word) for word in words[1:]] for words in lines if words and words[0].startswith("cpu")}
    names = [f"cpu{number}" for number in numbers]
    if not all(len(ticks.get(name, ())) >= 8 for name in names):
        return None, None
    a_second = os.sysconf("SC_CLK_TCK")
    busy = sum(sum(ticks[name][column] for column in (0, 1, 2, 5, 6)) for name in names)
    return busy / a_second, sum(ticks[name][7] for name in names) / a_second
