"""What NVIDIA's management library (NVML) says about the GPUs, without torch and without a CUDA context.

CUDA numbers GPUs from the fastest on unless CUDA_DEVICE_ORDER is PCI_BUS_ID, NVML by bus. On a machine with different
GPUs name one by its UUID.
"""

import os
from collections.abc import Callable
from functools import cache, partial
from typing import Any


@cache
def nvml() -> Any:
    """The initialized library; None where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own types, and an OSError where the driver's file is missing
        return None
    return pynvml


def gpus() -> tuple[tuple[str, ...], str]:
    """The names of all GPUs, also of those that CUDA_VISIBLE_DEVICES hides, and the driver's version."""
    pynvml = nvml()
    if pynvml is None:
        return (), ""
    return tuple(map(pynvml.nvmlDeviceGetName, _handles(pynvml))), pynvml.nvmlSystemGetDriverVersion()


def first_visible() -> Any | None:
    """The handle of the GPU that CUDA calls 0: the first, or the first that CUDA_VISIBLE_DEVICES names.

    None where there is none, or where the named one does not exist; CUDA then sees no GPU either.
    """
    pynvml = nvml()
    if pynvml is None:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if first.startswith("MIG-"):
        try:
            return pynvml.nvmlDeviceGetHandleByUUID(first)
        except pynvml.NVMLError:
            return None
    handles = _handles(pynvml)
    named = [one for one in handles if first and pynvml.nvmlDeviceGetUUID(one).startswith(first)]
    return next(iter(handles[int(first) :] if first.isdecimal() else named), None)


def gpu_state() -> dict[str, float | int | str]:
    """The state of the first visible GPU; empty where there is none.

    Clocks (MHz), temperature and the temperature from which it slows down (degrees C), power (W), throttle reasons
    (bits), how many processes compute on it, and how many of them are neither this one nor its parent. What the GPU
    does not support is a text that says so.
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
        "other_processes": lambda: sum(process.pid not in (os.getpid(), os.getppid()) for process in running()),
    }
    answers: dict[str, float | int | str] = {}
    for name, ask in questions.items():
        try:
            answers[name] = ask()
        except pynvml.NVMLError as error:  # virtual GPUs support only some of these
            answers[name] = f"not readable: {error}"
    return answers


def first_gpu(function: str) -> Any:
    """What an NVML function of this name returns for the first visible GPU; None where it cannot be read."""
    pynvml, gpu = nvml(), first_visible()
    try:
        return None if gpu is None else getattr(pynvml, function)(gpu)
    except pynvml.NVMLError:
        return None


def _handles(pynvml: Any) -> list[Any]:
    return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
