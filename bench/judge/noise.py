"""Times a network against itself, and judges the machine by what comes out.

Whatever differs when one network is timed twice, under two names, is noise of the machine. No real difference smaller
than that can be seen on it.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.machine.doctor import Finding, Mark
from bench.quantities import Device, Latency, LatencySpec
from bench.quantities.budget import find_budget
from bench.run.job import Job
from bench.run.plan import Clock, Plan, plan
from bench.run.store import Record
from bench.run.study import Study
from bench.run.worker import Order, run
from bench.stats.ratio import COVERAGE, Ratio, ratio

NETWORK = "mdsa_unet"  # the network that this project is about, and a fast one
RESOLUTION = 0.05  # a machine that cannot tell two times apart which differ by this share is not fit to compare them
PAIRS = 10  # of processes at least, unless it is to be quick
MOST = 40  # pairs after which a machine whose noise is still too large is called so
DISTURBED = 0.1  # share of disturbed processes from which on the machine is not fit
RUNS = 20  # so many runs tell whether 95 % of their intervals contain 1

Tell = Callable[[str, float, str], None]  # hears what is done now, the seconds left, and whether it may be more
Pair = tuple[Record, Record]  # the network's two processes in one round


@dataclass(frozen=True)
class NoiseRun:
    """The pairs of one run of a network against itself; `time_pairs` adds to them."""

    pairs: list[Pair] = field(default_factory=list)

    @property
    def sound(self) -> list[Pair]:
        """The pairs that count: those in which nothing else used the machine. All, where fewer than two are left.

        What decides is who used the processor, never how long a pair took.
        """
        sound = [pair for pair in self.pairs if not _disturbances(pair)]
        return sound if len(sound) > 1 else self.pairs

    @property
    def ratio(self) -> Ratio:
        """The first name's time over the second's."""
        return ratio(*self._samples)

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON: the interval, each process's median in seconds, and how many pairs were left out."""
        first, second = ([statistics.median(samples) for samples in side] for side in self._samples)
        return {
            "ratio": self.ratio.value, "low": self.ratio.low, "high": self.ratio.high,
            "resolution": self.ratio.resolution, "contains_1": not self.ratio.differs,
            "first_medians_s": first, "second_medians_s": second, "left_out": len(self.pairs) - len(self.sound),
        }  # fmt: skip

    @property
    def _samples(self) -> list[list[tuple[float, ...]]]:
        """Under each of the two names, the seconds that each process measured."""
        sides = zip(*self.sound, strict=True)
        return [[record.result.samples_s for record in side if isinstance(record.result, Latency)] for side in sides]


def _disturbances(pair: Pair) -> list[str]:
    """What spoiled each process that was disturbed; a line each."""
    return ["; ".join(record.taints) for record in pair if record.taints]


class Failed(Exception):
    """A measurement that ended without a result. Its text says why."""


def noise_plan(device: Device, quick: bool) -> Plan:
    """What `bench run` would do to time the network, in more and shorter processes; in as many as may be needed.

    Of 100 pairs measured on two quiet cores the spread was 4 %, nearly all of it between processes and not within them:
    five pairs resolved 4 % at the median and 5 % in 13 of 20 runs, the same pairs taken as tens 5 % in all runs. With
    busy neighbors the spread was 8 to 12 %, and not one run of ten pairs resolved 5 %.
    """
    full = replace(find_budget("paper"), processes=MOST, samples=12, seconds=0.6)
    budget = find_budget("quick") if quick else full
    return plan(Study((NETWORK,), ("latency",), budget, "synthetic", None, device))


def measure(planned: Plan, job: Job, folder: Path) -> Record:
    """Do a job of the plan in a process of its own. Raises Failed where it has no result."""
    order = Order(job=job, out=folder, data_root=None, device=planned.study.device, threads=planned.asked.threads)
    record = run(order, lambda event: None)
    if record.status != "ok":
        raise Failed(f"{record.outcome}: {record.error}")
    return record


def time_pairs(timed: NoiseRun, planned: Plan, clock: Clock, runs: int, tell: Tell) -> None:
    """Time the network under two names in turn, each in a fresh process, round by round as `bench run` does.

    The pairs are added to `timed` one by one. It ends when the interval is narrow enough, not before `PAIRS` sound
    pairs; or with the plan. Whether the interval contains 1 plays no part in that; of 4000 simulated runs at each of
    seven spreads 93 to 95 % do. `runs` is how many such runs are still to come, this one included. Raises Failed where
    a process has no result.
    """
    jobs = [job for job in planned.jobs if isinstance(job.spec, LatencySpec)]
    least = min(PAIRS, len(jobs))
    more = " or more" if least < len(jobs) else ""
    with tempfile.TemporaryDirectory(prefix="bench-doctor-") as folder:
        for number, job in enumerate(jobs):
            both = []
            of = f"{least}{more}" if number < least else f"at most {len(jobs)}"
            for half, name in enumerate("AB"):
                waiting = 2 * (max(least, number + 1) + least * (runs - 1) - number) - half
                tell(f"timing {NETWORK} as {name}, pair {number + 1} of {of}", clock.left([job] * waiting), more)
                started = time.monotonic()
                both.append(measure(planned, job, Path(folder) / name))
                clock.learn(job, clock.guess(job), time.monotonic() - started)
            timed.pairs.append((both[0], both[1]))
            if len(timed.sound) >= least and timed.ratio.resolution <= RESOLUTION:
                return


def resolution(runs: Sequence[NoiseRun]) -> float | None:
    """The smallest difference that this machine can resolve, as a share: the median of the runs."""
    return statistics.median(one.ratio.resolution for one in runs) if runs else None


def containing_1(runs: Sequence[NoiseRun]) -> int:
    """How many of the runs' intervals contain 1."""
    return sum(not one.ratio.differs for one in runs)


def judge_noise(runs: Sequence[NoiseRun], short: bool = False) -> Iterator[Finding]:
    """What the runs say of the machine; nothing where there were none. `short` is whether they had too few pairs."""
    pairs = [pair for one in runs for pair in one.pairs]
    if disturbed := [line for pair in pairs for line in _disturbances(pair)]:
        told = f"{len(disturbed)} of {2 * len(pairs)} processes were disturbed and are left out with their partners"
        mark: Mark = "bad" if len(disturbed) > DISTURBED * 2 * len(pairs) else "note"
        yield Finding(mark, f"{told}; one of them: {disturbed[0]}", "measure when nothing else runs")
    contain, wanted = containing_1(runs), int(COVERAGE * len(runs))
    if len(runs) >= RUNS:
        told = f"{contain} of {len(runs)} intervals contain 1 (limit {wanted})"
        yield Finding("ok", told) if contain >= wanted else Finding("bad", told, "find what else runs here")
    elif missed := len(runs) - contain:  # one in twenty leaves out 1 by chance, so a few of them prove nothing
        told = f"{missed} of {len(runs)} intervals {'leaves' if missed == 1 else 'leave'} out 1"
        yield Finding("note", f"{told}, as one in twenty does by chance", f"`--repeat {RUNS}` tells if it was chance")
    if (smallest := resolution(runs)) is None:
        return
    figure = f"{100 * smallest:.2g} %" if smallest < 0.1 else f"{100 * smallest:.0f} %"
    told = f"{figure} is the smallest difference that can be told from chance here"
    limit = f" (limit {100 * RESOLUTION:.0f} %)"
    if smallest <= RESOLUTION:
        yield Finding("ok", told)
    elif short:
        yield Finding("note", told + limit, "let the check run in full: fewer pairs of processes tell less")
    else:
        yield Finding("bad", told + limit, "find what else runs, or compare on a quieter machine")
