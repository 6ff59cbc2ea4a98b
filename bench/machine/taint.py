"""Why a time is not to be trusted, from the machine's state before and after it.

The load average is not used: it decays over minutes and holds the run's own earlier jobs. Nor is the processor's clock:
a virtual machine shows a constant, and elsewhere it is the mean of busy and sleeping cores.
"""

from bench.machine.state import State
from bench.quantities import Device

OTHERS = 0.05  # share of the cores' time that other processes may use
STEAL = 0.02  # share of it that a hypervisor may take
CLOCK_FALL = 0.10  # share by which a GPU's clock may fall
SHORTEST_S = 0.5  # over less, processor times counted in hundredths of a second tell no share

# Bits of NVML's clocks throttle reasons. Idle and application clocks are nobody's fault.
IDLE, HARMLESS = 0x1, 0x1 | 0x2
REASONS = {
    0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost", 0x20: "heat, by software",
    0x40: "heat, by hardware", 0x80: "power brake", 0x100: "display clocks", 0x200: "board limit",
    0x400: "reliability limit",
}  # fmt: skip


def taint(before: State, after: State, cores: int, device: Device) -> tuple[str, ...]:
    """Sentences, each with the figure and its limit, why a time measured between two states is spoiled; none if sound.

    Both states are read by the process that measures, the first before it touches the GPU. `cores` is the machine's
    `Environment.cores`. On `cuda` both processor and GPU are judged. What was not read is not judged.
    """
    found = [
        others_used(before, after, cores),
        hypervisor_took(before, after, cores),
        held_back(before, after),
        *(gpu_spoiled(before, after) if device == "cuda" else ()),
    ]
    return tuple(sentence for sentence in found if sentence)


def share_of_others(before: State, after: State, cores: int) -> float | None:
    """Busy time that was not the measuring process's own, over what the cores had to give."""
    busy, own = _growth(before.cpu_busy_s, after.cpu_busy_s), _growth(before.own_cpu_s, after.own_cpu_s)
    return None if busy is None or own is None else _share(max(0.0, busy - own), before, after, cores)


def others_used(before: State, after: State, cores: int) -> str:
    """Whether other processes took processor time; an empty text where they took too little to matter."""
    share = share_of_others(before, after, cores)
    if share is None or share <= OTHERS:
        return ""
    return f"other processes used {_percent(share)} of the {cores} cores' time (limit {_percent(OTHERS)})"


def hypervisor_took(before: State, after: State, cores: int) -> str:
    """Whether other virtual machines on the same host took processor time."""
    stolen = _growth(before.cpu_steal_s, after.cpu_steal_s)
    share = None if stolen is None else _share(stolen, before, after, cores)
    if share is None or share <= STEAL:
        return ""
    return f"the hypervisor took {_percent(share)} of the {cores} cores' time (limit {_percent(STEAL)})"


def held_back(before: State, after: State) -> str:
    """Whether a quota stopped the process."""
    grown = _growth(before.throttled_s, after.throttled_s)
    return f"a CPU quota held the process back for {1e3 * grown:.3g} ms (limit 0 ms)" if grown else ""


def gpu_spoiled(before: State, after: State) -> tuple[str, ...]:
    """What was wrong with the GPU."""
    found = _throttled(before, after), _hot(before, after), _shared(before, after), _slowed(before, after)
    return tuple(sentence for sentence in found if sentence)


def _throttled(before: State, after: State) -> str:
    bits = 0
    for one in (before, after):
        bits |= int(_figure(one, "throttle_reasons") or 0)
    bits &= ~HARMLESS
    if not bits:
        return ""
    named = [name for bit, name in REASONS.items() if bits & bit]
    unknown = bits & ~sum(REASONS)
    reasons = ", ".join([*named, *([f"reason {unknown:#x}"] if unknown else [])])
    return f"the GPU held its clock back: {reasons} (limit: none but idle and application clocks)"


def _hot(before: State, after: State) -> str:
    read = [(_figure(one, "temperature_c"), _figure(one, "slowdown_c")) for one in (before, after)]
    over = [(heat, limit) for heat, limit in read if heat is not None and limit is not None and heat >= limit]
    if not over:
        return ""
    heat, limit = max(over)
    return f"the GPU was at {heat:.0f} degrees C (it slows down from {limit:.0f} on)"


def _shared(before: State, after: State) -> str:
    """Afterwards this process is on the GPU too, which a container may know by another number."""
    strangers = _figure(before, "other_processes") or 0
    every, others = _figure(after, "processes"), _figure(after, "other_processes")
    if every is not None and others is not None:
        strangers = max(strangers, min(others, every - 1))
    return f"{strangers:.0f} other processes used the GPU (limit 0)" if strangers > 0 else ""


def _slowed(before: State, after: State) -> str:
    """An idle GPU clocks down of its own accord, so that says nothing."""
    first, last = _figure(before, "sm_mhz"), _figure(after, "sm_mhz")
    idle = int(_figure(after, "throttle_reasons") or 0) & IDLE
    if not first or last is None or idle or (fall := 1 - last / first) <= CLOCK_FALL:
        return ""
    return (
        f"the GPU's clock fell by {_percent(fall)}, from {first:.0f} to {last:.0f} MHz (limit {_percent(CLOCK_FALL)})"
    )


def _growth(first: float | None, last: float | None) -> float | None:
    return None if first is None or last is None else last - first


def _share(seconds: float, before: State, after: State, cores: int) -> float | None:
    length = _growth(before.clock_s, after.clock_s)
    return None if length is None or length < SHORTEST_S else seconds / (length * cores)


def _figure(read: State, name: str) -> float | None:
    """What NVML said, if it was a number and not a refusal."""
    value = read.gpu.get(name)
    return None if isinstance(value, str) else value


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
