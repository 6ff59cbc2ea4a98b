"""The machine's facts that decide whether two records may be compared."""

import hashlib
import math
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from bench.machine.cgroup import cpu_quota
from bench.machine.gpu import gpus, nvml
from bench.machine.system import cpu_lines, processors
from bench.quantities import Device, Frozen, TrainingPrecision

# What the C library and OpenMP do changes a time, so workers run under these and records show them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
SET_BY_US = (*ALLOCATOR, "OMP_NUM_THREADS")
NATIVE_BFLOAT16 = ("amx_bf16", "avx512_bf16")
TELLING = (*SET_BY_US, "OMP_WAIT_POLICY", "KMP_AFFINITY", "TIMM_FUSED_ATTN", "CUDA_VISIBLE_DEVICES")


class Environment(Frozen):
    """Facts that hold for a whole run. `fingerprint` is a hash of those that change a time.

    `cores` is how many processors this process may keep busy: those it may run on, or fewer where a container's quota
    of processor time is smaller. That quota is `cpu_quota`, in processors; None where it does not bind.
    """

    cpu: str
    cores: int
    cpu_quota: float | None = None
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
        # A quota only where there is one: machines without keep the fingerprints they had before it was looked for.
        quota = () if self.cpu_quota is None else (self.cpu_quota,)
        return hashlib.sha256(repr(facts + quota).encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """The machine in a few words."""
        gpus = f", {', '.join(self.gpus)}" if self.gpus else ", no GPU"
        quota = "" if self.cpu_quota is None else f" (a quota of {self.cpu_quota:g})"
        return f"{self.cpu}, {self.cores} cores{quota}, {self.memory_bytes / 2**30:.0f} GiB{gpus}"


@cache
def environment() -> Environment:
    """The facts of this machine and this process."""
    names, driver = gpus(nvml())
    cores, quota = usable(len(processors()), cpu_quota())
    return Environment(
        cpu=_cpu_name(),
        cores=cores,
        cpu_quota=quota,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        gpus=names,
        driver=driver,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={
            name: _version(name)
            for name in ("torch", "torchvision", "timm", "lightning", "monai", "fvcore", "onnxruntime")
        },
        variables={name: os.environ[name] for name in TELLING if name in os.environ},
        commit=_commit(),
    )


def usable(allowed: int, quota: float | None) -> tuple[int, float | None]:
    """How many of the allowed processors a quota lets be busy, and the quota if it is what binds.

    >>> usable(8, 2.5), usable(8, 8.0), usable(8, None)
    ((3, 2.5), (8, None), (8, None))
    """
    if quota is None or quota >= allowed:
        return allowed, None
    return math.ceil(quota), quota


def cuda_usable() -> bool:
    """Whether torch can use a GPU here. torch is imported only where there is a GPU to ask about."""
    if not environment().gpus:
        return False
    import torch

    return torch.cuda.is_available()


def cuda_devices() -> int:
    """How many GPUs torch can use here; CUDA_VISIBLE_DEVICES may hide some."""
    if not cuda_usable():
        return 0
    import torch

    return torch.cuda.device_count()


def cuda_multiplies_bfloat16() -> bool:
    """Whether the GPU multiplies bfloat16 itself; older ones emulate it, and are slower in it than in float32."""
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def cpu_has(flag: str) -> bool:
    """Whether the processor names this feature, `amx_bf16` for one; False where the system does not tell."""
    return flag in next(iter(cpu_lines("flags")), "").split()


def training_precision(device: Device) -> TrainingPrecision:
    """Mixed bfloat16 where the hardware multiplies it natively, else float32.

    Natively: GPUs from Ampere on, and CPUs with AMX or with AVX-512 BF16 (which halves the time of a training step).
    """
    native = cuda_multiplies_bfloat16() if device == "cuda" else any(map(cpu_has, NATIVE_BFLOAT16))
    return "bfloat16" if native else "float32"


def _cpu_name() -> str:
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "Apple"
    return next(iter(cpu_lines("model name")), platform.processor() or platform.machine())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _commit() -> str:
    """The commit of the checkout this package runs from, with a + where files differ from it; empty outside one."""
    package = Path(__file__).parents[1]
    git = ["git", "-C", str(package)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, check=True)
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        edits = subprocess.run([*git, "status", "--porcelain", "--", str(package), str(package.parent / "baselines")],
                               capture_output=True, text=True, check=True)  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+" if edits.stdout.strip() else "")
