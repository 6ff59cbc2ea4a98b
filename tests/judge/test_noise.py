"""A network against itself, from records made by hand: what the check concludes of them."""

import numpy as np
import pytest
from handmade import STATE, latency_record, record

from bench.judge import noise
from bench.judge.noise import MOST, PAIRS, RESOLUTION, Failed, NoiseRun, Pair, containing_1, judge_noise, resolution
from bench.machine import this_machine
from bench.quantities import LatencySpec, PeakSpec
from bench.run.clock import Clock

BUSY = (
    STATE.model_copy(update={"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0}),
    STATE.model_copy(update={"clock_s": 10.0, "cpu_busy_s": 5.0, "own_cpu_s": 0.0}),
)


def timed(first: float, second: float, process: int) -> Pair:
    return latency_record("mdsa_unet", (first,), process), latency_record("mdsa_unet", (second,), process)


def same(*quotients: float) -> NoiseRun:
    """A run in whose rounds the first took so many times as long as the second."""
    return NoiseRun([timed(0.05 * quotient, 0.05, process) for process, quotient in enumerate(quotients)])


def findings(*runs: NoiseRun, short: bool = False):
    return list(judge_noise(runs, short))


def measured(monkeypatch, run, quick: bool = False) -> tuple[NoiseRun, list[str]]:
    """What comes of a check whose worker is `run`, and what it said meanwhile."""
    monkeypatch.setattr(noise, "run", run)
    planned, found, told = noise.noise_plan("cpu", quick), NoiseRun(), []
    noise.time_pairs(found, planned, Clock(planned), 1, lambda doing, *_: told.append(doing))
    return found, told


QUIET = same(1.001, 0.999, 1.0, 1.002, 0.998)
OFF = same(1.021, 1.019, 1.02, 1.02, 1.02)
NOISY = same(1.5, 0.6, 1.1, 0.7, 1.3)


def test_without_a_run_nothing_is_judged():
    assert findings() == []


def test_a_quiet_machine_resolves_small_differences():
    (finding,) = findings(QUIET)
    assert finding.mark == "ok"
    assert finding.what.startswith("0.2 % is the smallest difference")


def test_a_noisy_machine_is_not_fit_but_a_short_check_does_not_prove_it():
    (finding,) = findings(NOISY)
    assert (finding.mark, "limit 5 %" in finding.what) == ("bad", True)
    assert [one.mark for one in findings(NOISY, short=True)] == ["note"]


def test_one_interval_that_leaves_out_1_may_be_chance():
    missed, resolved = findings(QUIET, OFF)
    assert (missed.mark, missed.what.split(",")[0]) == ("note", "1 of 2 intervals leaves out 1")
    assert resolved.mark == "ok"


@pytest.mark.parametrize(("off", "mark"), [(0, "ok"), (1, "ok"), (2, "bad")])
def test_of_twenty_intervals_nineteen_must_contain_1(off, mark):
    runs = [*[OFF] * off, *[QUIET] * (20 - off)]
    assert containing_1(runs) == 20 - off
    assert findings(*runs)[0].mark == mark
    assert findings(*runs)[0].what == f"{20 - off} of 20 intervals contain 1 (limit 19)"


def disturbed() -> Pair:
    """A pair of which the first process took ten times as long, for others used the processor meanwhile."""
    before, after = BUSY
    slow = latency_record("mdsa_unet", (0.5,)).model_copy(update={"before": before, "after": after})
    return slow, latency_record("mdsa_unet", (0.05,))


def test_a_disturbed_pair_is_left_out_and_told():
    run = NoiseRun([*QUIET.pairs, disturbed()])
    assert run.ratio == QUIET.ratio
    assert run.facts["left_out"] == 1
    finding, *_ = findings(run)
    assert finding.mark == "note"
    assert finding.what == (
        "1 of 12 processes were disturbed and are left out with their partners; "
        "one of them: other processes used 25 % of the 2 cores' time (limit 5 %)"
    )


def test_many_disturbed_processes_spoil_the_check():
    finding, *_ = findings(NoiseRun([*QUIET.pairs, disturbed(), disturbed()]))
    assert finding.mark == "bad"
    assert findings(NoiseRun([disturbed(), disturbed()]))[0].mark == "bad"


def test_a_full_check_goes_on_until_enough_pairs_are_sound(monkeypatch):
    before, after = BUSY
    told = []

    def run(order, tell):
        told.append(order)
        found = latency_record("mdsa_unet", (0.05 + 1e-5 * len(told),), order.job.spec.process)
        return found.model_copy(update={"before": before, "after": after}) if len(told) == 3 else found

    found, _ = measured(monkeypatch, run)
    assert (len(found.pairs), len(found.sound)) == (PAIRS + 1, PAIRS)


def test_the_facts_of_runs():
    assert containing_1([QUIET, OFF]) == 1
    assert QUIET.facts["contains_1"] is True
    assert OFF.facts["ratio"] == pytest.approx(1.02)
    assert QUIET.facts["second_medians_s"] == [0.05] * 5
    assert resolution([QUIET, OFF]) == pytest.approx(sum(one.ratio.resolution for one in (QUIET, OFF)) / 2)


def test_pairs_time_the_same_job_in_turn_under_two_names(monkeypatch):
    asked = []

    def run(order, tell):
        asked.append(order)
        return latency_record("mdsa_unet", (0.05,), order.job.spec.process)

    found, told = measured(monkeypatch, run, quick=True)
    jobs = [job for job in noise.noise_plan("cpu", quick=True).jobs if isinstance(job.spec, LatencySpec)]
    assert len(found.pairs) == len(jobs) == 3
    assert [order.job for order in asked] == [job for job in jobs for _ in "AB"]
    assert [order.out.name for order in asked] == ["A", "B"] * 3
    assert {order.threads for order in asked} == {this_machine().cores}
    assert not any(order.out.parent.exists() for order in asked)
    assert told[1].startswith("timing mdsa_unet as B, pair 1 of 3")


@pytest.mark.parametrize(("spread", "pairs"), [(0.001, PAIRS), (0.5, MOST)])
def test_a_full_check_goes_on_while_the_machine_is_too_noisy_for_what_it_has(monkeypatch, spread, pairs):
    chance = np.random.default_rng(0)

    def run(order, tell):
        seconds = 0.05 * float(np.exp(spread * chance.standard_normal()))
        return latency_record("mdsa_unet", (seconds,), order.job.spec.process)

    found, told = measured(monkeypatch, run)
    assert told[0].startswith(f"timing mdsa_unet as A, pair 1 of {PAIRS}")
    assert told[-1].startswith(f"timing mdsa_unet as B, pair {pairs} of {'at most 40' if pairs > PAIRS else '10'}")
    assert [first.job.spec.process for first, _ in found.pairs] == list(range(pairs))


def test_it_ends_as_soon_as_the_interval_is_narrow_enough(monkeypatch):
    chance = np.random.default_rng(5)

    def run(order, tell):
        seconds = 0.05 * float(np.exp(0.08 * chance.standard_normal()))
        return latency_record("mdsa_unet", (seconds,), order.job.spec.process)

    found, _ = measured(monkeypatch, run)
    assert PAIRS < len(found.pairs) < MOST
    assert found.ratio.resolution <= RESOLUTION < NoiseRun(found.pairs[:-1]).ratio.resolution


def test_a_worker_without_a_result_says_why(monkeypatch, tmp_path):
    spec = PeakSpec(machine="m", device="cpu", threads=1)
    failed = record("machine", spec, None, status="out_of_memory", error="none left")
    monkeypatch.setattr(noise, "run", lambda order, tell: failed)
    with pytest.raises(Failed, match="out of memory: none left"):
        noise.measure(noise.noise_plan("cpu", quick=True), failed.job, tmp_path)
