"""The facts about a machine that decide whether two records may be compared, and its state around a measurement."""

import hashlib
import math
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import distributions
from pathlib import Path

import psutil
from pydantic import Field, FiniteFloat, field_validator

from bench.errors import printable
from bench.machine.system import (
    PROCESSOR,
    cpu_info,
    cpu_quota,
    finite,
    gpu_state,
    gpus,
    known,
    processor,
    processors,
    text,
    throttled_s,
)
from bench.quantities import Device, Frozen, TrainingPrecision

# The C library's allocator and OpenMP affect times, so workers set these variables and records contain them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
NUMBERS = "CUDA_VISIBLE_DEVICES"  # which GPUs, not of what kind
PRETENDED = "Pretended GPU"  # how the name of a GPU begins that tests pretend to have
SET_BY_US = (*ALLOCATOR, "OMP_NUM_THREADS")
PACKAGES = ("torch", "torchvision", "timm", "lightning", "monai", "fvcore", "onnxruntime")
NATIVE_BFLOAT16 = ("amx_bf16", "avx512_bf16")
ONLINE = Path("/sys/devices/system/cpu/online")
BUSY = ("user", "nice", "system", "irq", "softirq")  # guest time is already included in user; proc_stat(5)
VARIABLES = (*SET_BY_US, "OMP_WAIT_POLICY", "KMP_AFFINITY", "TIMM_FUSED_ATTN", NUMBERS)


class Machine(Frozen):
    """Facts that are constant during a run. `fingerprint` is a hash of those that affect times.

    `cores` is the number of processors that this process may use: those it may run on, or fewer if a container's CPU
    quota is smaller. `cpu_quota` is that quota in processors; None if it is not the tighter limit.

    The fields from `cpu_vendor` to `cpu_flags`, a digest of the processor's features, tell processors of the same name
    apart; they are empty in older records. `memory_bytes` is 0 where the system does not tell it. `gpus` are those that
    CUDA sees; in older records all that there are.
    """

    cpu: str
    cpu_vendor: str = ""
    cpu_family: str = ""
    cpu_model: str = ""
    cpu_stepping: str = ""
    cpu_flags: str = ""
    cores: int = Field(ge=1)
    cpu_quota: FiniteFloat | None = None
    memory_bytes: int = Field(ge=0)
    gpus: tuple[str, ...]
    driver: str
    system: str
    python: str
    packages: dict[str, str]
    variables: dict[str, str]
    commit: str

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of the facts that make two times comparable: hardware, driver, software, variables.

        Of the visible GPUs the kind of the first counts, which is the one that is measured; not which of several equal
        ones it is, nor how many there are. So a machine is one, whether it is seen whole, through CUDA_VISIBLE_DEVICES
        or from a job of a cluster that was given one of its GPUs. A machine of an older record, which does not name its
        processor's vendor, keeps the fingerprint that it had.
        """
        software = [self.packages.get(name) for name in ("torch", "timm")]
        left_out = {*SET_BY_US, *([NUMBERS] if self.cpu_vendor else [])}
        switches = sorted((name, value) for name, value in self.variables.items() if name not in left_out)
        gpus = self.gpus[:1] if self.cpu_vendor else self.gpus
        facts = (self.cpu, self.cores, gpus, self.driver, self.system, self.python, software, switches)
        quota = () if self.cpu_quota is None else (self.cpu_quota,)
        processor = tuple(getattr(self, name) for name in PROCESSOR) if self.cpu_vendor else ()
        return hashlib.sha256(repr(facts + quota + processor).encode()).hexdigest()[:12]

    @property
    def pretended(self) -> bool:
        """Whether a test pretends that the GPU is there: what is said to be done on it, a processor does."""
        return any(name.startswith(PRETENDED) for name in self.gpus[:1])

    @property
    def title(self) -> str:
        """A short description of the machine."""
        quota = "" if self.cpu_quota is None else f" (a quota of {self.cpu_quota:g})"
        gpus = ", ".join(self.gpus) or "no GPU"
        memory = f"{self.memory_bytes / 2**30:.0f} GiB" if self.memory_bytes else "unknown memory"
        steps = {"family": self.cpu_family, "model": self.cpu_model, "stepping": self.cpu_stepping}
        known = ", ".join(f"{name} {value}" for name, value in steps.items() if value)
        cpu = f"{self.cpu} ({known})" if known else self.cpu
        return f"{cpu}, {self.cores} cores{quota}, {memory}, {gpus}"


class State(Frozen):
    """Load, clocks, temperature, other users.

    Values that cannot be read, or that older records lack, are None or missing.

    `cpu_busy_s` is the time for which the processors this process may run on have been busy since the machine started,
    `cpu_steal_s` the time a hypervisor took from them, `own_cpu_s` the part of the busy time that this process and the
    children it has waited for used. `throttled_s` is the time for which a CPU quota stopped it. `clock_s` is a
    monotonic clock, for the time between two states.
    """

    at: str
    load_1min: FiniteFloat | None
    cpu_mhz: FiniteFloat | None
    gpu: dict[str, FiniteFloat | int | str]
    clock_s: FiniteFloat | None = None
    cpu_busy_s: FiniteFloat | None = None
    cpu_steal_s: FiniteFloat | None = None
    own_cpu_s: FiniteFloat | None = None
    throttled_s: FiniteFloat | None = None
    memory_free_bytes: int | None = None

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, at: str) -> str:
        datetime.fromisoformat(at)
        return at


@cache
def this_machine() -> Machine:
    """The facts of this machine and this process."""
    (names, driver), allowed, limit = gpus(), len(processors()), cpu_quota()
    quota = None if limit is None or limit >= allowed else limit
    return Machine(
        cpu=_cpu_name(),
        **processor(platform.machine()),
        cores=allowed if quota is None else max(1, math.ceil(quota)),
        cpu_quota=quota,
        memory_bytes=known(lambda: max(0, psutil.virtual_memory().total), 0),
        gpus=names,
        driver=driver,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: known(partial(_version, name), "unknown") for name in PACKAGES},
        variables={name: printable(os.environ[name]) for name in VARIABLES if name in os.environ},
        commit=_commit(),
    )


def state() -> State:
    """The machine's state now."""
    gpu, (busy_s, steal_s) = known(gpu_state, {}), cpu_times()
    return State(
        clock_s=time.monotonic(),  # right after the processor times it is compared with
        own_cpu_s=sum(os.times()[:4]),
        cpu_busy_s=busy_s,
        cpu_steal_s=steal_s,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        load_1min=known(lambda: finite(psutil.getloadavg()[0]), None),
        cpu_mhz=_cpu_mhz(),
        gpu=gpu,
        throttled_s=throttled_s(),
        memory_free_bytes=known(lambda: int(psutil.virtual_memory().available), None),
    )


def cpu_times() -> tuple[float | None, float | None]:
    """Seconds for which this process's processors were busy, and for which a hypervisor took them (steal time).

    A value is None if the system does not report it.
    """
    return known(_cpu_times, (None, None))


def _cpu_times() -> tuple[float | None, float | None]:
    times = psutil.cpu_times(percpu=True)
    ranges = [part.split("-") for part in (text(ONLINE) or f"0-{len(times) - 1}").split(",")]
    ends = [(int(one[0]), int(one[-1])) for one in ranges]
    if sum(last - first + 1 for first, last in ends) != len(times):
        return None, None
    online = [number for first, last in ends for number in range(first, last + 1)]
    if not set(processors()) <= set(online):
        return None, None
    ours = [one for number, one in zip(online, times, strict=True) if number in processors()]
    busy_s = sum(getattr(one, name, 0.0) for one in ours for name in BUSY)
    return finite(busy_s), finite(sum(one.steal for one in ours)) if hasattr(ours[0], "steal") else None


def cuda_devices() -> int:
    """The number of GPUs that torch can use. CUDA_VISIBLE_DEVICES may hide some.

    torch is imported only if there is a GPU.
    """
    if not this_machine().gpus:
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def cuda_usable() -> bool:
    """Whether torch can use a GPU here."""
    return cuda_devices() > 0


def cpu_has(flag: str) -> bool:
    """Whether the processor has a feature, such as `amx_bf16`; False if the system does not report it."""
    return flag in cpu_info("flags").split()


def training_precision(device: Device) -> TrainingPrecision:
    """Mixed bfloat16 if the hardware multiplies it natively, else float32.

    That is on GPUs from Ampere on, and on CPUs with AMX or AVX-512 BF16, where it halves the time of a training step.
    """
    if device == "cuda":
        import torch

        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = any(map(cpu_has, NATIVE_BFLOAT16))
    return "bfloat16" if native else "float32"


def _cpu_mhz() -> float | None:
    """The mean clock of all processors."""
    return finite(known(lambda: psutil.cpu_freq().current, None)) or None  # some drivers do not report it


def _cpu_name() -> str:
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        asked = partial(subprocess.run, command, capture_output=True, text=True, check=False)
        return known(lambda: str(asked().stdout.strip()), "") or "Apple"
    return cpu_info("model name") or known(platform.processor, "") or platform.machine() or "unknown CPU"


def _version(name: str) -> str:
    return str(next((one.version for one in distributions(name=name)), "absent"))


def _commit() -> str:
    """The commit of the checkout this package runs from, with a + if files differ from it; empty outside a checkout."""
    output = partial(subprocess.check_output, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL, text=True)
    try:
        output(["git", "ls-files", "--error-unmatch", "__init__.py"])
        edited = "+" if output(["git", "status", "--porcelain", ".", "../baselines"]) else ""
        return output(["git", "rev-parse", "--short=12", "HEAD"]).strip() + edited
    except (OSError, ValueError, subprocess.CalledProcessError):
        return ""
