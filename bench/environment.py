"""The machine's facts that decide whether two records may be compared, and its state around a measurement.

Facts are read without importing torch, so that a run can be planned at once.
"""

import hashlib
import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.quantities import Frozen

# What the C library and OpenMP do changes a time, so workers run under these and records show them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
SET_BY_US = (*ALLOCATOR, "OMP_NUM_THREADS")
TELLING = (*SET_BY_US, "OMP_WAIT_POLICY", "KMP_AFFINITY", "TIMM_FUSED_ATTN", "CUDA_VISIBLE_DEVICES")


class Environment(Frozen):
    """Facts that hold for a whole run. `fingerprint` is a hash of those that change a time."""

    cpu: str
    cores: int
    memory_bytes: int
    gpus: tuple[str, ...]
    driver: str
    system: str
    python: str
    packages: dict[str, str]
    variables: dict[str, str]
    commit: str

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of the facts that make two times comparable: hardware, driver, software, switches."""
        software = [self.packages.get(name) for name in ("torch", "timm")]
        switches = sorted((name, value) for name, value in self.variables.items() if name not in SET_BY_US)
        facts = (self.cpu, self.cores, self.gpus, self.driver, self.system, self.python, software, switches)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """The machine in a few words."""
        gpus = f", {', '.join(self.gpus)}" if self.gpus else ", no GPU"
        return f"{self.cpu}, {self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB{gpus}"


class State(Frozen):
    """What may change from one minute to the next and spoils a time: load, clocks, heat, other users of the GPU."""

    at: str
    load_1min: float | None
    cpu_mhz: float | None
    gpu: dict[str, float | int | str]


@cache
def environment() -> Environment:
    """The facts of this machine and this process."""
    gpus, driver = _gpus()
    return Environment(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        gpus=gpus,
        driver=driver,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: _version(name) for name in ("torch", "torchvision", "timm", "lightning", "monai", "fvcore")},
        variables={name: os.environ[name] for name in TELLING if name in os.environ},
        commit=_commit(),
    )


def cuda_usable() -> bool:
    """Whether torch can use a GPU here. torch is imported only where there is a GPU to ask about."""
    if not environment().gpus:
        return False
    import torch

    return torch.cuda.is_available()


def cuda_multiplies_bfloat16() -> bool:
    """Whether the GPU multiplies bfloat16 itself; older ones emulate it, and are slower in it than in float32."""
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def state() -> State:
    """The machine's state now; what cannot be read is None or left out, never guessed."""
    return State(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        load_1min=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        cpu_mhz=_cpu_mhz(),
        gpu=_gpu_state(),
    )


def _cpu_lines(field: str) -> list[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return [line.split(":", 1)[1].strip() for line in lines if line.startswith(field)]


def _cpu_name() -> str:
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "Apple"
    return next(iter(_cpu_lines("model name")), platform.processor() or platform.machine())


def _cpu_mhz() -> float | None:
    clocks = [float(text) for text in _cpu_lines("cpu MHz")]
    return sum(clocks) / len(clocks) if clocks else None


def cpu_has(flag: str) -> bool:
    """Whether the processor names this feature, `amx_bf16` for one; False where the system does not tell."""
    return flag in next(iter(_cpu_lines("flags")), "").split()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _commit() -> str:
    """The commit of the checkout this package runs from, with a + where files differ from it; empty outside one."""
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=True)
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        edits = subprocess.run([*git, "status", "--porcelain", "--", str(folder), str(folder.parent / "baselines")],
                               capture_output=True, text=True, check=True)  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+" if edits.stdout.strip() else "")


def _nvml() -> Any | None:
    """NVIDIA's management library, ready to be asked; None where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own types, and an OSError where the driver's file is missing
        return None
    return pynvml


def _gpus() -> tuple[tuple[str, ...], str]:
    nvml = _nvml()
    if nvml is None:
        return (), ""
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    return tuple(nvml.nvmlDeviceGetName(handle) for handle in handles), nvml.nvmlSystemGetDriverVersion()


def _gpu_state() -> dict[str, float | int | str]:
    """The first GPU's clocks (MHz), temperature (degrees C), power (W), throttle reasons (bits) and processes."""
    nvml = _nvml()
    if nvml is None or nvml.nvmlDeviceGetCount() == 0:
        return {}
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    questions = {
        "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttle_reasons": lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
        "processes": lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)),
    }
    answers: dict[str, float | int | str] = {}
    for name, ask in questions.items():
        try:
            answers[name] = ask()
        except nvml.NVMLError as error:  # virtual GPUs answer only some of these
            answers[name] = f"not readable: {error}"
    return answers
