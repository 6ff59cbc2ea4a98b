"""Checks whether times measured on a machine can be trusted: what distorts them, and what to do about it.

The load average is not used: it decays over minutes and contains the run's own earlier jobs. The processor's clock is
not used either: a virtual machine reports a constant, and elsewhere it is the mean of busy and idle cores. Nothing is
changed here: clocks and governors are left to the owner of the machine.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from bench.errors import printable
from bench.machine.facts import NATIVE_BFLOAT16, Machine, State, cpu_has
from bench.machine.system import cpu_info, finite, first_gpu, known, processors, text
from bench.quantities import Device

Mark = Literal["ok", "note", "bad"]
CPUS = Path("/sys/devices/system/cpu")  # where Linux describes the processors
OTHERS = 0.05  # share of the cores' time that other processes may use
STEAL = 0.02  # share of it that a hypervisor may take
CLOCK_FALL = 0.10  # share by which a GPU's clock may fall
SHORTEST_S = 0.5  # processor times are counted in hundredths of a second, so shorter times give no share
# Native half precision: CPU features of which one is needed, and the minimum compute capability of a GPU.
NATIVE = {"bfloat16": (NATIVE_BFLOAT16, (8, 0)), "float16": (("amx_fp16", "avx512_fp16"), (5, 3))}

# Bits of NVML's clock throttle reasons. Idle and application clocks are not disturbances.
IDLE, HARMLESS = 0x1, 0x1 | 0x2
REASONS = {
    0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost", 0x20: "heat, by software",
    0x40: "heat, by hardware", 0x80: "power brake", 0x100: "display clocks", 0x200: "board limit",
    0x400: "reliability limit",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A finding about the machine: `ok`, `note` (for information) or `bad` (it distorts times), and what to do."""

    mark: Mark
    what: str
    todo: str = ""


def taint(before: State, after: State, cores: int, device: Device, on_gpu: bool = False) -> tuple[str, ...]:
    """Why a time measured between two states is distorted; empty if it can be trusted.

    Each reason is a sentence with the figure and its limit. Both states are read by the process that measures; `on_gpu`
    is whether it used the GPU before the first. `cores` is the number of cores that it uses: what others may use is a
    share of their time, however many more the machine has. On `cuda` both processor and GPU are judged. What could not
    be read is not judged.
    """
    return tuple(one.what for one in _between(before, after, cores, device, on_gpu) if one.mark == "bad")


def pretended(facts: Machine, device: Device) -> tuple[str, ...]:
    """Why no figure of this device is a measurement: a test pretends that there is a GPU. Empty where none does."""
    is_so = device == "cuda" and facts.pretended
    return ("the GPU is pretended by a test, and nothing was measured on one",) if is_so else ()


def findings(facts: Machine, before: State, after: State, device: Device, cuda: bool) -> list[Finding]:
    """Findings on what helps and what distorts times on this device, worst first.

    `before` and `after` are states some time apart in which nothing was measured; `cuda` is whether torch can use a
    GPU. Facts that the system does not report are left out.
    """
    found = [*_between(before, after, facts.cores, device), *_quota(facts), *_frequency(), *_threads_on_one_core()]
    found += [*_memory_and_host(), *_half_precision(device), *_gpu(facts, device, cuda)]
    return sorted(found, key=lambda finding: ("bad", "note", "ok").index(finding.mark))


def _between(before: State, after: State, cores: int, device: Device, on_gpu: bool = False) -> Iterator[Finding]:
    """Findings about the time between two states."""
    names = ("clock_s", "cpu_busy_s", "own_cpu_s", "cpu_steal_s", "throttled_s")
    length, busy, own, stolen, stopped = (_growth(getattr(before, name), getattr(after, name)) for name in names)
    cores_s = length * cores if length >= SHORTEST_S else math.nan
    others, stolen = (busy - own) / cores_s, stolen / cores_s
    if math.isnan(others):
        yield Finding("note", "this system does not tell what other processes use")
    elif others <= OTHERS:
        yield Finding("ok", f"other processes use {100 * max(others, 0):.1f} % of the {cores} cores' time")
    else:
        used = f"other processes used {_percent(others)} of the {cores} cores' time (limit {_percent(OTHERS)})"
        yield Finding("bad", used, "stop them or wait until they are done; `top` shows which they are")
    if stolen > STEAL:
        took = f"the hypervisor took {_percent(stolen)} of the {cores} cores' time (limit {_percent(STEAL)})"
        yield Finding("bad", took, "measure when its neighbors are quiet, or on a machine of your own")
    if stopped > 0:
        held = f"a CPU quota held the process back for {1e3 * stopped:.3g} ms (limit 0 ms)"
        yield Finding("bad", held, "lift the quota")
    if device == "cuda":
        advice = "`nvidia-smi` shows processes, heat and power limits; wait, or take another GPU"
        yield from (Finding("bad", reason, advice) for reason in _gpu_between(before, after, on_gpu))


def _growth(first: float | None, last: float | None) -> float:
    """The increase of a counter; NaN, which exceeds no limit, if it was not read."""
    return math.nan if first is None or last is None else last - first


def _gpu_between(before: State, after: State, on_gpu: bool) -> Iterator[str]:
    # A string instead of a number gives the reason why NVML could not read it.
    told = ({name: finite(x) for name, x in one.gpu.items() if not isinstance(x, str)} for one in (before, after))
    first, last = ({name: x for name, x in one.items() if x is not None} for one in told)
    bits_before, bits_after = (int(one.get("throttle_reasons", 0)) for one in (first, last))
    if bits := (bits_before | bits_after) & ~HARMLESS:
        unknown = bits & ~sum(REASONS)
        reasons = ", ".join(name for bit, name in {**REASONS, unknown: f"reason {unknown:#x}"}.items() if bits & bit)
        yield f"the GPU held its clock back: {reasons} (limit: none but idle and application clocks)"
    heats = [(one.get("temperature_c", -math.inf), one.get("slowdown_c", math.inf)) for one in (first, last)]
    if over := [(heat, limit) for heat, limit in heats if heat >= limit]:
        yield "the GPU was at {:.0f} degrees C (it slows down from {:.0f} on)".format(*max(over))
    # Afterwards, or from the first, this process is on the GPU too, and a container may know it by another number.
    counts = [(one.get("other_processes", 0), one.get("processes", 0) - ours)
              for one, ours in ((first, on_gpu), (last, True))]  # fmt: skip
    if (others := max(map(min, counts))) > 0:
        yield f"{others:.0f} other processes used the GPU (limit 0)"
    was, now = first.get("sm_mhz", 0), last.get("sm_mhz", 0)
    # An idle GPU lowers its clock by itself.
    if was and now and not bits_after & IDLE and (fall := 1 - now / was) > CLOCK_FALL:
        change = f"by {_percent(fall)}, from {was:.0f} to {now:.0f} MHz"
        yield f"the GPU's clock fell {change} (limit {_percent(CLOCK_FALL)})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _quota(facts: Machine) -> Iterator[Finding]:
    if facts.cpu_quota is not None:
        quota = f"this container may use {facts.cpu_quota:g} processors' time, spread over more of them"
        pauses, advice = f"{facts.cores} threads are stopped for part of every period", "pin whole processors (cpuset)"
        if facts.cpu_quota == facts.cores:
            yield Finding("note", quota, f"{advice} instead")
        else:
            yield Finding("bad", f"{quota}: {pauses}", f"set the quota to {facts.cores}, or {advice} instead")


def _frequency() -> Iterator[Finding]:
    paths = known(lambda: list(CPUS.glob("cpu[0-9]*/cpufreq/scaling_governor")), [])
    governors = sorted({printable(found) for path in paths if (found := text(path))})
    if governors == ["performance"]:
        yield Finding("ok", "the governor is performance")
    elif governors:
        slow_start = f"the governor is {', '.join(governors)}: a clock that first has to rise slows the first calls"
        yield Finding("note", slow_start, "`sudo cpupower frequency-set -g performance`, if the machine is yours")
    no_turbo, boost = text(CPUS / "intel_pstate/no_turbo"), text(CPUS / "cpufreq/boost")
    if no_turbo == "0" or (no_turbo is None and boost == "1"):
        yield Finding("note", "turbo is on: the clock follows heat and load", "compare only times of one run")
    elif no_turbo == "1" or boost == "0":
        yield Finding("ok", "turbo is off")


def _threads_on_one_core() -> Iterator[Finding]:
    ours, cores = processors(), {text(CPUS / f"cpu{one}/topology/thread_siblings_list") for one in processors()}
    if None not in cores and len(cores) < len(ours):
        shared = f"{len(ours)} processors are {len(cores)} cores (SMT): two threads on one core share its units"
        yield Finding("note", shared, "bind to one processor a core (`taskset`) for times of single cores")


def _memory_and_host() -> Iterator[Finding]:
    if used := known(lambda: int(psutil.swap_memory().used), 0):
        swapped = f"{used / 2**20:.0f} MiB are swapped out: memory is or was short"
        yield Finding("note", swapped, "end what needs the memory; `free -h` shows how much is left")
    if cpu_has("hypervisor"):
        yield Finding("note", "this is a virtual machine: neighbors may slow it unseen", "repeat on another day")


def _half_precision(device: Device) -> Iterator[Finding]:
    """Whether half precision is computed natively or emulated; empty if the hardware does not report it."""
    capability = first_gpu("nvmlDeviceGetCudaComputeCapability") if device == "cuda" else cpu_info("flags")
    for precision, (features, least) in NATIVE.items() if capability else ():
        native = [feature for feature in features if cpu_has(feature)]
        if device == "cuda":
            native = ["compute capability {}.{}".format(*capability)] if tuple(capability) >= least else []
        if native:
            yield Finding("ok", f"{precision} is native ({', '.join(native)})")
        else:
            yield Finding("note", f"{precision} is emulated: its times say nothing of hardware that computes it")


def _gpu(facts: Machine, device: Device, cuda: bool) -> Iterator[Finding]:
    for why in pretended(facts, device):
        yield Finding("bad", why, "unset the variables of the test, or measure on a real GPU")
    if facts.gpus and not cuda:
        unusable = f"torch cannot use the GPU ({facts.gpus[0]}, driver {facts.driver})"
        yield Finding("note", unusable, "install a torch for this driver's CUDA, or look at CUDA_VISIBLE_DEVICES")
    if device == "cuda" and first_gpu("nvmlDeviceGetPersistenceMode") == 0:
        yield Finding("note", "the GPU's driver sleeps between programs", "`sudo nvidia-smi -pm 1`, if it is yours")
