"""What NVIDIA's management library (NVML) says, without torch and without a CUDA context.

CUDA numbers GPUs from the fastest on unless CUDA_DEVICE_ORDER is PCI_BUS_ID, NVML by bus; on a machine with unlike GPUs
name one by its UUID.
"""

import os
from functools import cache
from typing import Any


@cache
def nvml() -> Any | None:
    """The library, ready to be asked; None where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own types, and an OSError where the driver's file is missing
        return None
    return pynvml


def gpus(library: Any | None) -> tuple[tuple[str, ...], str]:
    """The names of all GPUs, whether CUDA_VISIBLE_DEVICES hides them or not, and the driver's version."""
    if library is None:
        return (), ""
    names = tuple(library.nvmlDeviceGetName(handle) for handle in _handles(library))
    return names, library.nvmlSystemGetDriverVersion()


def first_visible(library: Any | None, visible: str | None) -> Any | None:
    """The GPU that CUDA calls 0: the first one, or the first that CUDA_VISIBLE_DEVICES names by number or UUID.

    None where there is none, or where what is named is not there, for CUDA then sees nothing either.
    """
    if library is None:
        return None
    handles = _handles(library)
    first = "0" if visible is None else visible.split(",")[0].strip()
    if first.isdecimal():
        return handles[int(first)] if int(first) < len(handles) else None
    if first.startswith("MIG-"):
        try:
            return library.nvmlDeviceGetHandleByUUID(first)
        except library.NVMLError:
            return None
    named = (handle for handle in handles if first and library.nvmlDeviceGetUUID(handle).startswith(first))
    return next(named, None)


def gpu_state(library: Any | None, visible: str | None) -> dict[str, float | int | str]:
    """The first visible GPU: clocks (MHz), temperature and where it slows down for heat (degrees C), power (W),
    throttle reasons (bits), how many processes compute on it, and how many of them are neither this one nor its parent.
    """
    handle = first_visible(library, visible)
    if library is None or handle is None:
        return {}
    questions = {
        "sm_mhz": lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM),
        "memory_mhz": lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_MEM),
        "temperature_c": lambda: library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU),
        "slowdown_c": lambda: library.nvmlDeviceGetTemperatureThreshold(
            handle, library.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
        ),
        "power_w": lambda: library.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttle_reasons": lambda: library.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        "processes": lambda: len(library.nvmlDeviceGetComputeRunningProcesses(handle)),
        "other_processes": lambda: len(_strangers(library, handle)),
    }
    answers: dict[str, float | int | str] = {}
    for name, ask in questions.items():
        try:
            answers[name] = ask()
        except library.NVMLError as error:  # virtual GPUs answer only some of these
            answers[name] = f"not readable: {error}"
    return answers


def persistent(library: Any | None, visible: str | None) -> bool | None:
    """Whether the driver keeps the first visible GPU awake between programs; None where that cannot be read."""
    answer = _asked("nvmlDeviceGetPersistenceMode", library, visible)
    return None if answer is None else bool(answer)


def compute_capability(library: Any | None, visible: str | None) -> tuple[int, int] | None:
    """The generation of the first visible GPU, such as (8, 0); None where that cannot be read."""
    answer = _asked("nvmlDeviceGetCudaComputeCapability", library, visible)
    return None if answer is None else (answer[0], answer[1])


def _handles(library: Any) -> list[Any]:
    return [library.nvmlDeviceGetHandleByIndex(number) for number in range(library.nvmlDeviceGetCount())]


def _strangers(library: Any, handle: Any) -> list[int]:
    running = library.nvmlDeviceGetComputeRunningProcesses(handle)
    return [process.pid for process in running if process.pid not in (os.getpid(), os.getppid())]


def _asked(function: str, library: Any | None, visible: str | None) -> Any | None:
    handle = first_visible(library, visible)
    if library is None or handle is None:
        return None
    try:
        return getattr(library, function)(handle)
    except library.NVMLError:
        return None
