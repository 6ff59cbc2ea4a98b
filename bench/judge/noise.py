"""Times a network against itself to measure the noise of the machine.

When one network is timed under two names, any difference is noise of the machine. Real differences smaller than this
noise cannot be detected on it.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.files import temporary_folder
from bench.machine.doctor import Finding, Mark
from bench.quantities import Device, Latency, LatencySpec
from bench.quantities.budget import find_budget
from bench.run.clock import Clock
from bench.run.job import Job
from bench.run.plan import Plan, plan
from bench.run.store import Record
from bench.run.study import Study
from bench.run.worker import Order, run
from bench.stats.ratio import COVERAGE, Ratio, ratio

NETWORK = "mdsa_unet"  # the network of this project, which is fast
RESOLUTION = 0.05  # a machine must resolve relative differences of this size to be fit for comparing times
PAIRS = 10  # minimum number of pairs of processes, except with `quick`
MOST = 40  # maximum number of pairs; if the noise is still too large then, the machine is not fit
DISTURBED = 0.1  # share of disturbed processes above which the machine is not fit
RUNS = 20  # number of runs needed to tell whether 95 % of the intervals contain 1

Tell = Callable[[str, float, str], None]  # receives the activity, the seconds left, and " or more" or ""
Pair = tuple[Record, Record]  # the network's two processes in one round


@dataclass(frozen=True)
class NoiseRun:
    """The pairs of one run of a network against itself; `time_pairs` adds to them."""

    pairs: list[Pair] = field(default_factory=list)

    @property
    def sound(self) -> list[Pair]:
        """The pairs without disturbance by other processes; all pairs if fewer than two are left.

        The selection depends only on processor use by others, never on the measured times.
        """
        sound = [pair for pair in self.pairs if not _disturbances(pair)]
        return sound if len(sound) > 1 else self.pairs

    @property
    def ratio(self) -> Ratio:
        """The ratio of the first name's time to the second's."""
        return ratio(*self._samples)

    @property
    def facts(self) -> dict[str, Any]:
        """Values for JSON: the interval, each process's median in seconds, and the number of pairs left out."""
        first, second = ([statistics.median(samples) for samples in side] for side in self._samples)
        return {
            "ratio": self.ratio.value, "low": self.ratio.low, "high": self.ratio.high,
            "resolution": self.ratio.resolution, "contains_1": not self.ratio.differs,
            "first_medians_s": first, "second_medians_s": second, "left_out": len(self.pairs) - len(self.sound),
        }  # fmt: skip

    @property
    def _samples(self) -> list[list[tuple[float, ...]]]:
        """The times that each process measured, in seconds, for each of the two names."""
        sides = zip(*self.sound, strict=True)
        return [[record.result.samples_s for record in side if isinstance(record.result, Latency)] for side in sides]


def _disturbances(pair: Pair) -> list[str]:
    """One line for each disturbed process, with the reasons."""
    return ["; ".join(record.taints) for record in pair if record.taints]


class Failed(Exception):
    """A measurement ended without a result. The text gives the reason."""


def noise_plan(device: Device, quick: bool) -> Plan:
    """A plan that times the network as `bench run` does, but in more and shorter processes.

    Basis: the spread of 100 pairs measured on two quiet cores was 4 %, almost all of it between processes. Runs of five
    pairs resolved 4 % at the median, and 5 % in 13 of 20 runs; runs of ten of the same pairs always resolved 5 %. With
    busy neighbors the spread was 8 to 12 %, and no run of ten pairs resolved 5 %.
    """
    full = replace(find_budget("paper"), processes=MOST, samples=12, seconds=0.6)
    budget = find_budget("quick") if quick else full
    return plan(Study((NETWORK,), ("latency",), budget, (), device))


def measure(planned: Plan, job: Job, folder: Path) -> Record:
    """Run a job of the plan in its own process. Raises Failed if it has no result."""
    order = Order(job=job, out=folder, device=planned.study.device, threads=planned.asked.threads)
    record = run(order, lambda event: None)
    if record.status != "ok":
        raise Failed(f"{record.outcome}: {record.error}")
    return record


def time_pairs(timed: NoiseRun, planned: Plan, clock: Clock, runs: int, tell: Tell) -> None:
    """Time the network under two names in turn, each in a fresh process, round by round as `bench run` does.

    Pairs are appended to `timed`. Timing ends when the interval is narrow enough, after at least `PAIRS` undisturbed
    pairs (or as many as the plan has), or at the end of the plan. Whether the interval contains 1 does not affect this;
    of 4000 simulated runs at each of seven spreads 93 to 95 % do. `runs` is the number of runs still to do, including
    this one. Raises Failed if a process has no result.
    """
    jobs = [job for job in planned.jobs if isinstance(job.spec, LatencySpec)]
    least = min(PAIRS, len(jobs))
    more = " or more" if least < len(jobs) else ""
    with temporary_folder() as folder:
        for number, job in enumerate(jobs):
            both = []
            of = f"{least}{more}" if number < least else f"at most {len(jobs)}"
            for half, name in enumerate("AB"):
                waiting = 2 * (max(least, number + 1) + least * (runs - 1) - number) - half
                tell(f"timing {NETWORK} as {name}, pair {number + 1} of {of}", clock.left([job] * waiting), more)
                started = time.monotonic()
                both.append(measure(planned, job, folder / name))
                clock.learn(job, clock.guess(job), time.monotonic() - started)
            timed.pairs.append((both[0], both[1]))
            if len(timed.sound) >= least and timed.ratio.resolution <= RESOLUTION:
                return


def resolution(runs: Sequence[NoiseRun]) -> float | None:
    """The smallest relative difference that this machine can resolve: the median over runs."""
    return statistics.median(one.ratio.resolution for one in runs) if runs else None


def containing_1(runs: Sequence[NoiseRun]) -> int:
    """The number of runs whose interval contains 1."""
    return sum(not one.ratio.differs for one in runs)


def judge_noise(runs: Sequence[NoiseRun], short: bool = False) -> Iterator[Finding]:
    """Findings about the machine from the runs; empty without runs. `short` is whether they had too few pairs."""
    pairs = [pair for one in runs for pair in one.pairs]
    if disturbed := [line for pair in pairs for line in _disturbances(pair)]:
        told = f"{len(disturbed)} of {2 * len(pairs)} processes were disturbed and are left out with their partners"
        mark: Mark = "bad" if len(disturbed) > DISTURBED * 2 * len(pairs) else "note"
        yield Finding(mark, f"{told}; one of them: {disturbed[0]}", "measure when nothing else runs")
    contain, wanted = containing_1(runs), int(COVERAGE * len(runs))
    if len(runs) >= RUNS:
        told = f"{contain} of {len(runs)} intervals contain 1 (limit {wanted})"
        yield Finding("ok", told) if contain >= wanted else Finding("bad", told, "find what else runs here")
    elif missed := len(runs) - contain:  # one in twenty excludes 1 by chance, so a few such runs prove nothing
        told = f"{missed} of {len(runs)} intervals {'leaves' if missed == 1 else 'leave'} out 1"
        yield Finding(
            "note", f"{told}, as one in twenty does by chance", f"`--repeat {RUNS}` tells whether it was chance"
        )
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
