"""Findings about a machine: what helps its times, what distorts them, and what to do about it.

Nothing is changed here: clocks and governors belong to whoever owns the machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from bench.machine.facts import NATIVE_BFLOAT16, Machine, cpu_has
from bench.machine.gpu import first_gpu
from bench.machine.state import State
from bench.machine.system import cpu_info, processors, text
from bench.machine.taint import OTHERS, Cause, disturbances, share_of_others
from bench.quantities import Device

Mark = Literal["ok", "note", "bad"]
CPUS = Path("/sys/devices/system/cpu")  # where Linux describes the processors
# Who computes in half precision natively: a CPU by its features, a GPU from a compute capability on.
NATIVE = {"bfloat16": (NATIVE_BFLOAT16, (8, 0)), "float16": (("amx_fp16", "avx512_fp16"), (5, 3))}
ADVICE = {
    Cause.OTHERS: "stop them or wait until they are done; `top` shows which they are",
    Cause.HYPERVISOR: "measure when its neighbors are quiet, or on a machine of your own",
    Cause.QUOTA: "lift the quota",
    Cause.GPU: "`nvidia-smi` shows processes, heat and power limits; wait, or take another GPU",
}


@dataclass(frozen=True)
class Finding:
    """One thing about the machine: `ok`, `note` (keep it in mind) or `bad` (it distorts times), and what to do."""

    mark: Mark
    what: str
    todo: str = ""


def findings(facts: Machine, before: State, after: State, device: Device, cuda: bool) -> list[Finding]:
    """What helps and what distorts times on this device, worst first.

    `before` and `after` are states some time apart in which nothing was measured; `cuda` is whether torch can use a
    GPU. What the system does not tell is left out.
    """
    found = [Finding("bad", why, ADVICE[cause]) for cause, why in disturbances(before, after, facts.cores, device)]
    found += _other_processes(share_of_others(before, after, facts.cores), facts.cores)
    found += [*_quota(facts), *_frequency(), *_threads_on_one_core(), *_memory_and_host()]
    found += [*_half_precision(device), *_gpu(facts, device, cuda)]
    return sorted(found, key=lambda finding: ("bad", "note", "ok").index(finding.mark))


def _other_processes(share: float | None, cores: int) -> Iterator[Finding]:
    if share is None:
        yield Finding("note", "this system does not tell what other processes use")
    elif share <= OTHERS:
        yield Finding("ok", f"other processes use {100 * share:.1f} % of the {cores} cores' time")


def _quota(facts: Machine) -> Iterator[Finding]:
    if facts.cpu_quota is not None:
        quota = f"this container may use {facts.cpu_quota:g} processors' time, spread over more of them"
        pauses, advice = f"{facts.cores} threads are stopped for part of every period", "pin whole processors (cpuset)"
        if facts.cpu_quota == facts.cores:
            yield Finding("note", quota, f"{advice} instead")
        else:
            yield Finding("bad", f"{quota}: {pauses}", f"set the quota to {facts.cores}, or {advice} instead")


def _frequency() -> Iterator[Finding]:
    governors = sorted({found for path in CPUS.glob("cpu[0-9]*/cpufreq/scaling_governor") if (found := text(path))})
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
    ours = processors()
    cores = {text(CPUS / f"cpu{one}/topology/thread_siblings_list") for one in ours}
    if None not in cores and len(cores) < len(ours):
        shared = f"{len(ours)} processors are {len(cores)} cores (SMT): two threads on one core share its units"
        yield Finding("note", shared, "bind to one processor a core (`taskset`) for times of single cores")


def _memory_and_host() -> Iterator[Finding]:
    if used := psutil.swap_memory().used:
        swapped = f"{used / 2**20:.0f} MiB are swapped out: memory is or was short"
        yield Finding("note", swapped, "end what needs the memory; `free -h` shows how much is left")
    if cpu_has("hypervisor"):
        yield Finding("note", "this is a virtual machine: neighbors may slow it unseen", "repeat on another day")


def _half_precision(device: Device) -> Iterator[Finding]:
    """Whether half precision is computed by the hardware or emulated; nothing where the hardware does not tell."""
    capability = tuple(first_gpu("nvmlDeviceGetCudaComputeCapability") or ()) if device == "cuda" else ()
    if not (capability if device == "cuda" else cpu_info("flags")):
        return
    for precision, (features, least) in NATIVE.items():
        native = [feature for feature in features if cpu_has(feature)]
        if device == "cuda":
            native = ["compute capability {}.{}".format(*capability)] if capability >= least else []
        if native:
            yield Finding("ok", f"{precision} is native ({', '.join(native)})")
        else:
            yield Finding("note", f"{precision} is emulated: its times say nothing of hardware that computes it")


def _gpu(facts: Machine, device: Device, cuda: bool) -> Iterator[Finding]:
    if facts.gpus and not cuda:
        unusable = f"torch cannot use the GPU ({facts.gpus[0]}, driver {facts.driver})"
        advice = "install a build of torch for this driver's CUDA, or look at CUDA_VISIBLE_DEVICES"
        yield Finding("note", unusable, advice)
    if device == "cuda" and first_gpu("nvmlDeviceGetPersistenceMode") == 0:
        yield Finding("note", "the GPU's driver sleeps between programs", "`sudo nvidia-smi -pm 1`, if it is yours")
