"""What the operating system and the GPUs' driver report.

CPU limits are read from Linux control groups, version 1 and 2: of this process's group and of all groups above it,
because a limit on any of them applies (the kernel's documentation: admin-guide/cgroup-v2, scheduler/sched-bwc).

Whatever these files hold, a fact that cannot be read from them is said as unknown, and nothing is raised.

GPUs are read through NVIDIA's management library (NVML), without torch and without a CUDA context. CUDA numbers GPUs by
speed, fastest first, unless CUDA_DEVICE_ORDER is PCI_BUS_ID; NVML numbers them by bus. On a machine with different GPUs
name one by its UUID.
"""

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import first_line, printable
from bench.processes import starter

PROC = Path("/proc")
MOST = 2**20  # bytes of a system file that are read
T = TypeVar("T")
U = TypeVar("U")


def text(path: Path) -> str | None:
    """The stripped content of a system file; None if it does not exist or may not be read.

    Names in it that are no UTF-8 are as in the paths of Python.
    """
    with suppress(OSError, ValueError), path.open("rb") as opened:  # some can be read on few machines, or only by root
        return os.fsdecode(opened.read(MOST)).strip()
    return None


def known(question: Callable[[], T], otherwise: U) -> T | U:
    """The answer to a question to the system or a driver, or the other where it has none, for whatever reason."""
    with suppress(Exception):  # libraries raise what they like over a file that they do not understand
        return question()
    return otherwise


def finite(value: Any) -> float | None:
    """A number as a float; None for what is none, or infinite."""
    return known(lambda: found if math.isfinite(found := float(value)) else None, None)


@cache
def cpu_info(field: str) -> str:
    """The first processor's value of a field of /proc/cpuinfo, such as `model name`; empty if there is none."""
    found = re.search(rf"^{field}\s*:(.*)$", text(PROC / "cpuinfo") or "", re.MULTILINE)
    return printable(found[1].strip()) if found else ""


# The names of the fields of /proc/cpuinfo on x86, and on Arm.
PROCESSOR = {
    "cpu_vendor": ("vendor_id", "CPU implementer"), "cpu_family": ("cpu family", "CPU architecture"),
    "cpu_model": ("model", "CPU part"), "cpu_stepping": ("stepping", "CPU variant"), "cpu_flags": ("flags", "Features"),
}  # fmt: skip


def processor(otherwise: str) -> dict[str, str]:
    """The processor's vendor, family, model and stepping, and a digest of its features in any order.

    What the system does not report is empty. The vendor never is: it is then `otherwise`, such as an architecture.
    """
    found = {name: next(filter(None, map(cpu_info, fields)), "") for name, fields in PROCESSOR.items()}
    if flags := found["cpu_flags"]:
        found["cpu_flags"] = hashlib.sha256(" ".join(sorted(set(flags.split()))).encode()).hexdigest()[:12]
    return {**found, "cpu_vendor": found["cpu_vendor"] or otherwise}


@cache
def processors() -> tuple[int, ...]:
    """The numbers of the processors this process may run on.

    Read once, at the start: OpenMP may later bind the main thread to one of them.
    """
    return tuple(sorted(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)))


def cpu_quota(proc: Path = PROC) -> float | None:
    """The CPU quota of this process, in processors; None if no limit is set."""
    limits = (
        text(one / "cpu.max") or f"{text(one / 'cpu.cfs_quota_us')} {text(one / 'cpu.cfs_period_us')}"
        for one in _groups(proc)
    )
    shares = (share for limit in limits if (share := _share(limit.split())))
    return min(shares, default=None)


def _share(limit: list[str]) -> float | None:
    """Quota by period; None for no limit, which is written as `max` or -1, and for what is none."""
    if len(limit) == 2 and all(re.fullmatch("[0-9]{1,18}", one) for one in limit) and int(limit[1]):
        return int(limit[0]) / int(limit[1])
    return None


def throttled_s(proc: Path = PROC) -> float | None:
    """Seconds for which a quota has stopped this process's groups so far; None if that cannot be read."""
    stats = (text(group / "cpu.stat") or "" for group in _groups(proc))
    found = [line for one in stats if (line := re.search(r"^throttled_(usec|time) ([0-9]{1,19})$", one, re.MULTILINE))]
    return sum(int(line[2]) / {"usec": 1e6, "time": 1e9}[line[1]] for line in found) if found else None


def _groups(proc: Path) -> Iterator[Path]:
    """The folder of this process's group and of each group above it, in every hierarchy that may limit CPU time.

    In a container often only the mount itself exists, and a group outside of it is named by a path with `..`.
    """
    mounts = [line.split() for line in (text(proc / "mounts") or "").splitlines()]
    for line in (text(proc / "self" / "cgroup") or "").splitlines():
        _, controllers, name = [*line.split(":", 2), "", "", ""][:3]
        for _, mount, kind, options in (one[:4] for one in mounts if len(one) >= 4):
            second = kind == "cgroup2" and not controllers
            first = kind == "cgroup" and "cpu" in controllers.split(",") and "cpu" in options.split(",")
            if (first or second) and name:
                yield from _from_group_up(_written_out(mount), name)


def _written_out(mount: str) -> Path:
    r"""A mount's path: in /proc/mounts a space in it is `\040`."""
    return Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount))


def _from_group_up(mount: Path, name: str) -> list[Path]:
    """The folders of a group and of all above it below a mount."""
    own = mount if ".." in name.split("/") else Path(mount, name.lstrip("/"))
    return [one for one in (own, *own.parents) if one.is_relative_to(mount) and known(one.is_dir, False)]


@cache
def nvml() -> Any:
    """The initialized NVML library; None if there is no driver."""
    with suppress(Exception):  # the library raises its own types, and an OSError where the driver is missing
        import pynvml

        pynvml.nvmlInit()
        return pynvml
    return None


def gpus() -> tuple[tuple[str, ...], str]:
    """The names of the GPUs that CUDA_VISIBLE_DEVICES leaves visible, in their order, and the driver's version."""
    driver = known(lambda: _name(nvml().nvmlSystemGetDriverVersion()), "unknown") if nvml() else ""
    return tuple(known(partial(_name_of, gpu), "unknown GPU") for gpu in visible()), driver


def _name_of(gpu: Any) -> str:
    return _name(nvml().nvmlDeviceGetName(gpu))


def _name(told: str | bytes) -> str:
    """A name that a driver told, in any of its bytes."""
    return printable(told if isinstance(told, str) else os.fsdecode(told))


def visible() -> list[Any]:
    """The handles of the GPUs that CUDA sees, in its order: all, or those that CUDA_VISIBLE_DEVICES names.

    CUDA ignores a name that does not exist, and all after it.
    """
    handles, names = known(_handles, list[Any]()), os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return handles
    found: list[Any] = []
    for name in map(str.strip, names.split(",")):
        handle = known(partial(_named, name, handles), None)
        if handle is None:
            break
        found.append(handle)
    return found


def _named(name: str, handles: list[Any]) -> Any | None:
    """The GPU of this number, or whose UUID begins so; None if there is none."""
    pynvml = nvml()
    if pynvml and name.startswith("MIG-"):  # a part of a GPU
        with suppress(pynvml.NVMLError):
            return pynvml.nvmlDeviceGetHandleByUUID(name)
    named = [one for one in handles if name and pynvml.nvmlDeviceGetUUID(one).startswith(name)]
    return next(iter(handles[int(name) :] if name.isdecimal() else named), None)


def first_visible() -> Any | None:
    """The handle of the GPU that CUDA calls 0; None if CUDA sees none."""
    return next(iter(visible()), None)


def gpu_state() -> dict[str, float | int | str]:
    """The state of the first visible GPU; empty if there is none.

    Clocks (MHz), temperature and the temperature from which it slows down (degrees C), power (W), throttle reasons
    (bits), the number of processes that compute on it, and the number of those that are neither this one nor the
    one that started it. A value that the GPU does not support is a string that says so.
    """
    pynvml, gpu = nvml(), first_visible()
    if gpu is None:
        return {}
    running = partial(pynvml.nvmlDeviceGetComputeRunningProcesses, gpu)
    questions: dict[str, Callable[[], float | int]] = {
        "sm_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM),
        "memory_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_MEM),
        "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU),
        "slowdown_c": lambda: pynvml.nvmlDeviceGetTemperatureThreshold(gpu, pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
        "power_w": lambda: pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
        "throttle_reasons": lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),
        "processes": lambda: len(running()),
        "other_processes": lambda: sum(process.pid not in (os.getpid(), starter()) for process in running()),
    }
    answers: dict[str, float | int | str] = {}
    for name, ask in questions.items():
        try:
            answers[name] = _number(ask())
        except Exception as error:  # noqa: BLE001 - virtual GPUs support only some of these, and drivers differ
            answers[name] = f"not readable: {first_line(error)}"
    return answers


def first_gpu(function: str) -> Any:
    """The result of the NVML function of this name for the first visible GPU; None if it cannot be read."""
    gpu = first_visible()
    return None if gpu is None else known(lambda: getattr(nvml(), function)(gpu), None)


def _number(found: Any) -> float | int:
    """A number that a driver told. Raises ValueError for what is none."""
    if not isinstance(found, int | float) or finite(found) is None:
        raise ValueError(f"the driver says {found!r:.40}")
    return found


def _handles() -> list[Any]:
    pynvml = nvml()
    return [pynvml.nvmlDeviceGetHandleByIndex(one) for one in range(pynvml.nvmlDeviceGetCount())] if pynvml else []
