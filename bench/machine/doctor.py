"""What a machine must be like for its times to be worth something, and what to do where it is not.

Nothing is changed here: clocks and governors belong to whoever owns the machine.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.machine.facts import Environment, cpu_has
from bench.machine.gpu import compute_capability, nvml, persistent
from bench.machine.state import State
from bench.machine.system import cpu_lines, keyed, number, processors, text
from bench.machine.taint import gpu_spoiled, held_back, hypervisor_took, others_used, share_of_others
from bench.quantities import Device

Mark = Literal["ok", "note", "bad"]
NATIVE = {"bfloat16": ("amx_bf16", "avx512_bf16"), "float16": ("amx_fp16", "avx512_fp16")}
NATIVE_FROM = {"bfloat16": (8, 0), "float16": (5, 3)}  # CUDA compute capability that computes in it


@dataclass(frozen=True)
class Finding:
    """One thing about the machine: `ok`, `note` (keep it in mind), or `bad` (it spoils times), and what to do."""

    mark: Mark
    what: str
    todo: str = ""


def findings(
    facts: Environment, before: State, after: State, device: Device, cuda: bool, root: Path = Path("/")
) -> list[Finding]:
    """What helps and what spoils times on this device, worst first.

    `before` and `after` are states some time apart in which nothing was measured; `cuda` is whether torch can use a
    GPU. What the system does not tell is left out. `root` is where the system's files are.
    """
    found = [
        *_processor_time(before, after, facts.cores),
        *_quota(facts, before, after),
        *_frequency(root / "sys/devices/system/cpu"),
        *_siblings(root / "sys/devices/system/cpu"),
        *_swap(root / "proc/meminfo"),
        *_virtual(),
        *_halves(device, nvml()),
        *_gpu(facts, before, after, device, cuda),
    ]
    return sorted(found, key=lambda finding: ("bad", "note", "ok").index(finding.mark))


def _processor_time(before: State, after: State, cores: int) -> Iterator[Finding]:
    share = share_of_others(before, after, cores)
    if share is None:
        yield Finding("note", "this system does not tell what other processes use")
    elif spoiled := others_used(before, after, cores):
        yield Finding("bad", spoiled, "stop them or wait until they are done; `top` shows which they are")
    else:
        yield Finding("ok", f"other processes use {100 * share:.1f} % of the {cores} cores' time")
    if stolen := hypervisor_took(before, after, cores):
        yield Finding("bad", stolen, "measure when its neighbours are quiet, or on a machine of your own")


def _quota(facts: Environment, before: State, after: State) -> Iterator[Finding]:
    if facts.cpu_quota is None:
        return
    told = f"this container may use {facts.cpu_quota:g} processors' time, spread over more of them"
    if held := held_back(before, after):
        yield Finding("bad", held, "lift the quota")
    if facts.cpu_quota != facts.cores:
        pauses = f"{told}: {facts.cores} threads are stopped for part of every period"
        yield Finding("bad", pauses, f"set the quota to {facts.cores}, or pin whole processors (cpuset) in its place")
    else:
        yield Finding("note", told, "pin whole processors (cpuset) in its place")


def _frequency(cpus: Path) -> Iterator[Finding]:
    governors = sorted({found for path in cpus.glob("cpu[0-9]*/cpufreq/scaling_governor") if (found := text(path))})
    if governors == ["performance"]:
        yield Finding("ok", "the governor is performance")
    elif governors:
        yield Finding(
            "note",
            f"the governor is {', '.join(governors)}: a clock that first has to rise slows the first calls",
            "`sudo cpupower frequency-set -g performance`, if the machine is yours",
        )
    no_turbo, boost = number(cpus / "intel_pstate/no_turbo"), number(cpus / "cpufreq/boost")
    if no_turbo == 0 or (no_turbo is None and boost == 1):
        yield Finding("note", "turbo is on: the clock follows heat and load", "compare only times of one run")
    elif no_turbo == 1 or boost == 0:
        yield Finding("ok", "turbo is off")


def _siblings(cpus: Path) -> Iterator[Finding]:
    ours = processors()
    cores = {text(cpus / f"cpu{one}/topology/thread_siblings_list") for one in ours}
    if None in cores:
        return
    if len(cores) < len(ours):
        yield Finding(
            "note",
            f"{len(ours)} processors are {len(cores)} cores (SMT): two threads on one core share its units",
            "bind to one processor a core (`taskset`) for times of single cores",
        )


def _swap(meminfo: Path) -> Iterator[Finding]:
    memory = keyed(meminfo)
    used = memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)
    if used > 0:
        yield Finding(
            "note",
            f"{used / 2**10:.0f} MiB are swapped out: memory is or was short",
            "end what needs the memory; `free -h` shows how much is left",
        )


def _virtual() -> Iterator[Finding]:
    if cpu_has("hypervisor"):
        yield Finding("note", "this is a virtual machine: neighbours may slow it unseen", "repeat on another day")


def _halves(device: Device, library: Any | None) -> Iterator[Finding]:
    """Whether half precision is computed by the hardware or emulated."""
    generation = compute_capability(library, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if (generation is None) if device == "cuda" else not cpu_lines("flags"):
        return
    for precision, flags in NATIVE.items():
        if generation is not None and device == "cuda":
            by = ["compute capability {}.{}".format(*generation)] if generation >= NATIVE_FROM[precision] else []
        else:
            by = [flag for flag in flags if cpu_has(flag)]
        if by:
            yield Finding("ok", f"{precision} is native ({', '.join(by)})")
        else:
            yield Finding("note", f"{precision} is emulated: its times say nothing of hardware that computes it")


def _gpu(facts: Environment, before: State, after: State, device: Device, cuda: bool) -> Iterator[Finding]:
    if facts.gpus and not cuda:
        yield Finding(
            "note",
            f"torch cannot use the GPU ({facts.gpus[0]}, driver {facts.driver})",
            "install a build of torch for this driver's CUDA, or look at CUDA_VISIBLE_DEVICES",
        )
    if device != "cuda":
        return
    for spoiled in gpu_spoiled(before, after):
        yield Finding("bad", spoiled, "`nvidia-smi` shows processes, heat and power limits; wait, or take another GPU")
    if persistent(nvml(), os.environ.get("CUDA_VISIBLE_DEVICES")) is False:
        yield Finding("note", "the GPU's driver sleeps between programs", "`sudo nvidia-smi -pm 1`, if it is yours")
