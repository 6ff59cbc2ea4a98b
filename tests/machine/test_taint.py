"""What spoils a time, case by case: just below a limit nothing is said, above it the figure and the limit."""

import pytest
from handmade import STATE

from bench.machine import State, taint

CORES = 2
BEFORE = STATE.model_copy(
    update={"clock_s": 100.0, "cpu_busy_s": 50.0, "cpu_steal_s": 1.0, "own_cpu_s": 2.0, "throttled_s": 0.5}
)
GPU: dict[str, float | int | str] = {
    "sm_mhz": 1980, "temperature_c": 60, "slowdown_c": 90, "throttle_reasons": 0, "processes": 0, "other_processes": 0
}  # fmt: skip
ALONE = {**GPU, "processes": 1}


def later(length_s: float = 10.0, **grown: float) -> State:
    """A state so much later, by which so much was added."""
    update = {"clock_s": BEFORE.clock_s + length_s, **{name: getattr(BEFORE, name) + x for name, x in grown.items()}}
    return BEFORE.model_copy(update=update)


def on_gpu(before: dict[str, float | int | str], after: dict[str, float | int | str]) -> tuple[str, ...]:
    first, last = (state.model_copy(update={"gpu": gpu}) for state, gpu in ((BEFORE, before), (later(), after)))
    assert taint(first, last, CORES, "cpu") == ()
    return taint(first, last, CORES, "cuda")


def test_a_quiet_machine_gives_no_taint():
    assert taint(BEFORE, later(cpu_busy_s=19.0, own_cpu_s=18.5, cpu_steal_s=0.1), CORES, "cpu") == ()


def test_older_records_give_no_taint():
    assert taint(STATE, STATE, CORES, "cuda") == ()
    assert taint(STATE, later(cpu_busy_s=19.0), CORES, "cpu") == ()


def test_other_processes():
    assert taint(BEFORE, later(cpu_busy_s=10.99, own_cpu_s=10.0), CORES, "cpu") == ()
    assert taint(BEFORE, later(cpu_busy_s=15.0, own_cpu_s=10.0), CORES, "cpu") == (
        "other processes used 25 % of the 2 cores' time (limit 5 %)",
    )


def test_a_clock_that_counts_more_own_than_busy_time_is_no_fault():
    assert taint(BEFORE, later(cpu_busy_s=19.9, own_cpu_s=20.0), CORES, "cpu") == ()


def test_what_a_hypervisor_took():
    assert taint(BEFORE, later(cpu_steal_s=0.39), CORES, "cpu") == ()
    assert taint(BEFORE, later(cpu_steal_s=0.5), CORES, "cpu") == (
        "the hypervisor took 2.5 % of the 2 cores' time (limit 2 %)",
    )


def test_too_short_a_time_has_no_shares():
    assert taint(BEFORE, later(0.4, cpu_busy_s=0.8, cpu_steal_s=0.8), CORES, "cpu") == ()


def test_a_quota_that_held_it_back():
    assert taint(BEFORE, later(throttled_s=0.25), CORES, "cpu") == (
        "a CPU quota held the process back for 250 ms (limit 0 ms)",
    )


def test_several_reasons_are_all_told():
    assert len(taint(BEFORE, later(cpu_busy_s=15.0, cpu_steal_s=2.0, throttled_s=0.1), CORES, "cpu")) == 3


def test_a_gpu_of_its_own_gives_no_taint():
    assert on_gpu(GPU, ALONE) == ()
    assert on_gpu({**GPU, "throttle_reasons": 0x1}, {**ALONE, "throttle_reasons": 0x2}) == ()


@pytest.mark.parametrize(
    ("bits", "names"),
    [(0x4, "power cap"), (0x40 | 0x1, "heat, by hardware"), (0x8 | 0x20, "hardware slowdown, heat, by software"),
     (0x8000, "reason 0x8000")],
)  # fmt: skip
def test_a_throttled_gpu(bits, names):
    told = (f"the GPU held its clock back: {names} (limit: none but idle and application clocks)",)
    assert on_gpu(GPU, {**ALONE, "throttle_reasons": bits}) == told
    assert on_gpu({**GPU, "throttle_reasons": bits}, ALONE) == told


def test_a_hot_gpu():
    assert on_gpu(GPU, {**ALONE, "temperature_c": 89}) == ()
    assert on_gpu(GPU, {**ALONE, "temperature_c": 90}) == ("the GPU was at 90 degrees C (it slows down from 90 on)",)


@pytest.mark.parametrize(
    ("before", "after", "others"),
    [
        ((0, 0), (1, 0), 0),
        ((0, 0), (1, 1), 0),  # in a container this process has another number, and is the one that is there
        ((0, 0), (2, 1), 1),
        ((0, 0), (2, 2), 1),
        ((1, 1), (1, 0), 1),  # it left while the time was taken
        ((3, 3), (4, 3), 3),
    ],
)
def test_others_on_the_gpu(before, after, others):
    states = [
        {**GPU, "processes": every, "other_processes": strangers}
        for every, strangers in (before, after)
    ]  # fmt: skip
    assert on_gpu(*states) == ((f"{others} other processes used the GPU (limit 0)",) if others else ())


@pytest.mark.parametrize(
    ("before", "after", "others"),
    [
        ((1, 0), (1, 0), 0),
        ((1, 1), (1, 1), 0),  # in a container this process has another number, and is the one that is there
        ((2, 1), (1, 0), 1),
        ((2, 2), (2, 2), 1),
    ],
)
def test_others_on_a_gpu_that_this_process_used_before(before, after, others):
    first, last = (
        state.model_copy(update={"gpu": {**GPU, "processes": every, "other_processes": strangers}})
        for state, (every, strangers) in ((BEFORE, before), (later(), after))
    )
    told = (f"{others} other processes used the GPU (limit 0)",) if others else ()
    assert taint(first, last, CORES, "cuda", on_gpu=True) == told


def test_the_limit_is_a_share_of_the_cores_that_the_job_uses():
    """Another process that uses half a core is a fortieth of 20 cores, and a quarter of the two that the job uses."""
    busy = later(cpu_busy_s=25.0, own_cpu_s=20.0, cpu_steal_s=1.0)
    assert taint(BEFORE, busy, 20, "cpu") == ()
    assert taint(BEFORE, busy, 2, "cpu") == (
        "other processes used 25 % of the 2 cores' time (limit 5 %)",
        "the hypervisor took 5 % of the 2 cores' time (limit 2 %)",
    )


def test_records_that_counted_all_processes_alike_tell_nothing_of_others():
    first = {name: GPU[name] for name in GPU if name != "other_processes"}
    assert on_gpu({**first, "processes": 1}, {**first, "processes": 2}) == ()


def test_a_clock_that_fell():
    told = "the GPU's clock fell by 50 %, from 1980 to 990 MHz (limit 10 %)"
    assert on_gpu(GPU, {**ALONE, "sm_mhz": 1790}) == ()
    assert on_gpu(GPU, {**ALONE, "sm_mhz": 990}) == (told,)
    assert on_gpu(GPU, {**ALONE, "sm_mhz": 990, "throttle_reasons": 0x1}) == ()


def test_what_nvml_refused_is_not_judged():
    refused: dict[str, float | int | str] = dict.fromkeys(GPU, "not readable: Not Supported")
    assert on_gpu(refused, refused) == ()
