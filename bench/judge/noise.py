"""The measurements behind `bench doctor`: a look at the idle machine, its peak rates, and a network against itself.

Whatever differs when a network is timed twice under two names is the machine's noise, and no real difference smaller
than that can be seen on it.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.machine import Environment, State, state, taint
from bench.machine.doctor import Finding, Mark
from bench.quantities import Device, Latency, LatencySpec, Peak, PeakSpec
from bench.quantities.budget import find_budget
from bench.run.job import Job
from bench.run.local import Clock
from bench.run.plan import Plan, Question, plan
from bench.run.store import Record
from bench.run.worker import Order, run
from bench.stats.ratio import Ratio, ratio

NETWORK = "mdsa_unet"  # the network that this project is about, and a fast one
WATCH_S = 1.0
RESOLUTION = 0.05  # a machine that cannot tell two times apart which differ by this share is not fit to compare them
PAIRS = 10  # of processes at least, in a full check
MOST = 40  # pairs after which a machine that is still too loud is called so
DISTURBED = 0.1  # share of disturbed processes from which on the machine is not fit
RUNS = 20  # so many same-against-same runs tell whether 95 % of their intervals contain 1

Tell = Callable[[str, float, str], None]  # hears what is done now, the seconds left, and whether it may be more


@dataclass(frozen=True)
class Pair:
    """The network's two processes in one round."""

    first: Record
    second: Record

    @cached_property
    def disturbances(self) -> list[str]:
        """What spoiled each process that was disturbed; a line each."""
        found = [_taint(record) for record in (self.first, self.second)]
        return ["; ".join(sentences) for sentences in found if sentences]


@dataclass(frozen=True)
class Same:
    """A network against itself: the rounds of one run.

    A pair that something else disturbed says nothing of the network, and is left out; what tells is who used the
    processor, never how long the pair took. Where fewer than two are sound, all are shown.
    """

    pairs: tuple[Pair, ...]

    @cached_property
    def sound(self) -> tuple[Pair, ...]:
        """The pairs that count."""
        sound = tuple(pair for pair in self.pairs if not pair.disturbances)
        return sound if len(sound) > 1 else self.pairs

    @cached_property
    def ratio(self) -> Ratio:
        """The first name's time over the second's."""
        return ratio(*([_samples(record) for record in side] for side in self._sides))

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON: the interval, each process's median in seconds, and how many pairs were left out."""
        first, second = ([statistics.median(_samples(record)) for record in side] for side in self._sides)
        return {
            "ratio": self.ratio.value, "low": self.ratio.low, "high": self.ratio.high,
            "resolution": self.ratio.resolution, "contains_1": not self.ratio.differs,
            "first_medians_s": first, "second_medians_s": second, "left_out": len(self.pairs) - len(self.sound),
        }  # fmt: skip

    @property
    def _sides(self) -> tuple[list[Record], list[Record]]:
        return [pair.first for pair in self.sound], [pair.second for pair in self.sound]


@dataclass
class Checkup:
    """All that has been found so far."""

    device: Device
    quick: bool
    facts: Environment
    findings: list[Finding] = field(default_factory=list)
    peak: Peak | None = None
    same: list[Same] = field(default_factory=list)

    @property
    def fit(self) -> bool:
        """Whether nothing that was found spoils times."""
        return all(finding.mark != "bad" for finding in self.findings)

    @property
    def resolution(self) -> float | None:
        """The smallest difference that this machine can resolve, as a share; the median of the runs."""
        return statistics.median(one.ratio.resolution for one in self.same) if self.same else None

    @property
    def containing(self) -> int:
        """How many of the runs' intervals contain 1."""
        return sum(not one.ratio.differs for one in self.same)

    def as_json(self) -> dict[str, Any]:
        """Everything, in base units."""
        return {
            "machine": {**self.facts.model_dump(mode="json"), "fingerprint": self.facts.fingerprint},
            "device": self.device, "quick": self.quick, "fit": self.fit,
            "findings": [vars(finding) for finding in self.findings],
            "peak": self.peak.model_dump(mode="json", exclude={"quantity"}) if self.peak else None,
            "same": [one.facts for one in self.same], "containing_1": self.containing, "resolution": self.resolution,
        }  # fmt: skip


class Failed(Exception):
    """A measurement that ended without a result. Its text says why."""


def planned_for(device: Device, quick: bool) -> Plan:
    """What `bench run` would do to time the network, in more and shorter processes; in as many as may be needed.

    Of 100 pairs measured on two quiet cores the spread was 4 %, nearly all of it between processes and not within them:
    five pairs resolved 4 % at the median and 5 % in 13 of 20 runs, the same pairs taken as tens 5 % in all runs. With
    loud neighbours the spread was 8 to 12 %, and not one run of ten pairs resolved 5 %.
    """
    full = replace(find_budget("paper"), processes=MOST, samples=12, seconds=0.6)
    budget = find_budget("quick") if quick else full
    return plan(Question((NETWORK,), ("latency",), budget, "synthetic", None, device))


def watch() -> tuple[State, State]:
    """Two states, between which this program does nothing."""
    before = state()
    time.sleep(WATCH_S)
    return before, state()


def peak_rates(planned: Plan) -> Peak:
    """The plan's peak rates, measured in a process of their own."""
    job = next(job for job in planned.jobs if isinstance(job.spec, PeakSpec))
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        result = _measured(planned, job, Path(folder)).result
    assert isinstance(result, Peak)
    return result


def rounds(planned: Plan, clock: Clock, runs: int, tell: Tell) -> Iterator[Pair]:
    """Time the network under two names in turn, each in a fresh process, round by round as `bench run` does.

    It ends when the interval is narrow enough, not before `PAIRS` sound pairs; or with the plan. Whether the interval
    contains 1 plays no part in that; of 4000 simulated runs at each of seven spreads 93 to 95 % do.
    `runs` is how many such runs are still to come, this one included. Raises Failed where a process has no result.
    """
    jobs = [job for job in planned.jobs if isinstance(job.spec, LatencySpec)]
    least = min(PAIRS, len(jobs))
    pairs: list[Pair] = []
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        for number, job in enumerate(jobs):
            both = []
            for half, name in enumerate("AB"):
                waiting = 2 * (max(least, number + 1) + least * (runs - 1) - number) - half
                more = " or more" if least < len(jobs) else ""
                pair = f"{number + 1} of {least}{more}" if number < least else f"{number + 1} of at most {len(jobs)}"
                tell(f"timing {NETWORK} as {name}, pair {pair}", clock.left([job] * waiting), more)
                started = time.monotonic()
                both.append(_measured(planned, job, Path(folder) / name))
                clock.learn(job, clock.guess(job), time.monotonic() - started)
            pairs.append(Pair(*both))
            yield pairs[-1]
            same = Same(tuple(pairs))
            if len(same.sound) >= least and same.ratio.resolution <= RESOLUTION:
                return


def judge(found: Checkup, stopped: bool = False) -> list[Finding]:
    """What the runs of a network against itself say of the machine; nothing where there were none."""
    if found.resolution is None:
        return []
    return [*_disturbed(found), *_agrees(found), _resolves(found.resolution, found.quick or stopped)]


def _resolves(resolution: float, short: bool) -> Finding:
    figure = f"{100 * resolution:.2g} %" if resolution < 0.1 else f"{100 * resolution:.0f} %"
    told = f"{figure} is the smallest difference that can be told from chance here"
    if resolution <= RESOLUTION:
        return Finding("ok", told)
    limit = f"{told} (limit {100 * RESOLUTION:.0f} %)"
    if short:
        return Finding("note", limit, "let the check run in full: fewer pairs of processes tell less")
    return Finding("bad", limit, "find what else runs, or compare on a quieter machine")


def _agrees(found: Checkup) -> Iterator[Finding]:
    """One in twenty intervals leaves out 1 by chance, so few of them prove nothing."""
    runs, contain = len(found.same), found.containing
    if runs >= RUNS:
        wanted = int(0.95 * runs)
        told = f"{contain} of {runs} intervals contain 1 (limit {wanted})"
        yield Finding("ok", told) if contain >= wanted else Finding("bad", told, "find what else runs here")
    elif contain < runs:
        missed = f"{runs - contain} of {runs} intervals {'leaves' if runs - contain == 1 else 'leave'} out 1"
        yield Finding("note", f"{missed}, as one in twenty does by chance", f"`--repeat {RUNS}` tells if it was chance")


def _disturbed(found: Checkup) -> Iterator[Finding]:
    pairs = [pair for one in found.same for pair in one.pairs]
    disturbed = [line for pair in pairs for line in pair.disturbances]
    if disturbed:
        told = f"{len(disturbed)} of {2 * len(pairs)} processes were disturbed and are left out with their partners"
        mark: Mark = "bad" if len(disturbed) > DISTURBED * 2 * len(pairs) else "note"
        yield Finding(mark, f"{told}; one of them: {disturbed[0]}", "measure when nothing else runs")


def _measured(planned: Plan, job: Job, folder: Path) -> Record:
    order = Order(job=job, out=folder, data_root=None, device=planned.question.device, threads=planned.threads)
    record = run(order, lambda event: None)
    if record.status != "ok":
        raise Failed(f"{record.status.replace('_', ' ')}: {record.error}")
    return record


def _taint(record: Record) -> tuple[str, ...]:
    assert isinstance(record.job.spec, LatencySpec)
    return taint(record.before, record.after, record.environment.cores, record.job.spec.device)


def _samples(record: Record) -> tuple[float, ...]:
    assert isinstance(record.result, Latency)
    return record.result.samples_s
