"""Why a time cannot be trusted, from the machine's state before and after it.

The load average is not used: it decays over minutes and contains the run's own earlier jobs. Nor is the processor's
clock: a virtual machine shows a constant, and elsewhere it is the mean of busy and sleeping cores.
"""

import math
from collections.abc import Iterator
from enum import Enum

from bench.machine.state import State
from bench.quantities import Device

OTHERS = 0.05  # share of the cores' time that other processes may use
STEAL = 0.02  # share of it that a hypervisor may take
CLOCK_FALL = 0.10  # share by which a GPU's clock may fall
SHORTEST_S = 0.5  # processor times are counted in hundredths of a second, so shorter times give no share

# Bits of NVML's clock throttle reasons. Idle and application clocks are no disturbance.
IDLE, HARMLESS = 0x1, 0x1 | 0x2
REASONS = {
    0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost", 0x20: "heat, by software",
    0x40: "heat, by hardware", 0x80: "power brake", 0x100: "display clocks", 0x200: "board limit",
    0x400: "reliability limit",
}  # fmt: skip


Cause = Enum("Cause", ["OTHERS", "HYPERVISOR", "QUOTA", "GPU"])


def taint(before: State, after: State, cores: int, device: Device) -> tuple[str, ...]:
    """Why a time measured between two states is distorted; empty where nothing speaks against it.

    Each reason is a sentence with the figure and its limit. Both states are read by the process that measures, the
    first before it touches the GPU. `cores` is the machine's `Machine.cores`. On `cuda` both processor and GPU are
    judged. What could not be read is not judged.
    """
    return tuple(reason for _, reason in disturbances(before, after, cores, device))


def disturbances(before: State, after: State, cores: int, device: Device) -> Iterator[tuple[Cause, str]]:
    """The reasons of `taint`, each with its cause."""
    stolen = _share(_growth("cpu_steal_s", before, after), before, after, cores)
    for cause, verb, share, limit in (
        (Cause.OTHERS, "other processes used", share_of_others(before, after, cores), OTHERS),
        (Cause.HYPERVISOR, "the hypervisor took", stolen, STEAL),
    ):
        if share is not None and share > limit:
            yield cause, f"{verb} {_percent(share)} of the {cores} cores' time (limit {_percent(limit)})"
    if stopped := _growth("throttled_s", before, after):
        yield Cause.QUOTA, f"a CPU quota held the process back for {1e3 * stopped:.3g} ms (limit 0 ms)"
    if device == "cuda":
        yield from ((Cause.GPU, reason) for reason in _of_gpu(before, after))


def share_of_others(before: State, after: State, cores: int) -> float | None:
    """The busy time of other processes, as a share of the cores' time; None where it was not read."""
    busy, own = _growth("cpu_busy_s", before, after), _growth("own_cpu_s", before, after)
    return None if busy is None or own is None else _share(max(0.0, busy - own), before, after, cores)


def _of_gpu(before: State, after: State) -> Iterator[str]:
    # A text in place of a number says why NVML could not read it.
    first, last = ({name: x for name, x in one.gpu.items() if not isinstance(x, str)} for one in (before, after))
    bits_before, bits_after = (int(one.get("throttle_reasons", 0)) for one in (first, last))
    if bits := (bits_before | bits_after) & ~HARMLESS:
        named = [name for bit, name in REASONS.items() if bits & bit]
        unknown = bits & ~sum(REASONS)
        reasons = ", ".join([*named, *([f"reason {unknown:#x}"] if unknown else [])])
        yield f"the GPU held its clock back: {reasons} (limit: none but idle and application clocks)"
    heats = [(one.get("temperature_c", -math.inf), one.get("slowdown_c", math.inf)) for one in (first, last)]
    if over := [(heat, limit) for heat, limit in heats if heat >= limit]:
        yield "the GPU was at {:.0f} degrees C (it slows down from {:.0f} on)".format(*max(over))
    # Afterwards this process is on the GPU too, and a container may know it by another number.
    others_after = min(last.get("other_processes", 0), last.get("processes", 0) - 1)
    if (others := max(first.get("other_processes", 0), others_after)) > 0:
        yield f"{others:.0f} other processes used the GPU (limit 0)"
    was, now = first.get("sm_mhz", 0), last.get("sm_mhz", 0)
    idle = bits_after & IDLE  # an idle GPU lowers its clock by itself
    if was and now and not idle and (fall := 1 - now / was) > CLOCK_FALL:
        change = f"by {_percent(fall)}, from {was:.0f} to {now:.0f} MHz"
        yield f"the GPU's clock fell {change} (limit {_percent(CLOCK_FALL)})"


def _growth(name: str, before: State, after: State) -> float | None:
    first, last = getattr(before, name), getattr(after, name)
    return None if first is None or last is None else last - first


def _share(seconds: float | None, before: State, after: State, cores: int) -> float | None:
    length = _growth("clock_s", before, after)
    return None if seconds is None or length is None or length < SHORTEST_S else seconds / (length * cores)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
