"""How long jobs take: a guess before the first, and a better one with each that was done."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import fmean, median

from bench.machine import this_machine
from bench.quantities import QUANTITIES, Latency, LatencySpec
from bench.quantities.base import pixels
from bench.quantities.variants import PLAIN, name_of
from bench.run.forkserver import may_fork
from bench.run.job import Job
from bench.run.plan import Plan, macs_of
from bench.run.store import Record, Store

# Measured on two processors with 2 cores each, over the jobs of 15 networks.
CONVOLUTIONS = 1.3  # multiply-adds of a network in the time of one of a large product of matrices by numpy
GPU_MACS_PER_S = 5e12
BFLOAT16_GAIN = 1.2  # speed-up of training in native bfloat16 over float32
MOVED = 6e9  # cost of moving data, in multiply-adds; small networks are slower than their multiply-adds suggest
FORKED = 0.4  # share of a worker's start that is left if it is forked from one that has imported all
SIDE = 1024  # of the matrices
TYPICAL = 2  # jobs of typical length for which a guess counts as much as what was measured


class Clock:
    """Estimates the time left.

    A forward pass takes as long as on record here, else what its multiply-adds take at the pace of this machine. All
    guesses of a quantity are corrected by what its finished jobs took.
    """

    def __init__(self, plan: Plan, out: Path | None = None, at_once: int = 1) -> None:
        self.out = out  # folder in which records and completed trainings are found
        self.at_once = at_once  # trainings
        self.plan, self.asked = plan, plan.asked
        self.learned: dict[str, list[tuple[float, float]]] = {}
        self.passes_s: dict[str, float] = {}  # seconds of a forward pass of one image of 224x224, by network
        if out:
            timed = (job for job in plan.jobs if isinstance(job.spec, LatencySpec) and name_of(job.spec) == PLAIN)
            for record in filter(None, map(Store(out).find, timed)):
                self._note(record)

    def learn(self, job: Job, guess: float, seconds: float, record: Record | None = None) -> None:
        """Note that a job with an estimate of `guess` seconds took `seconds`, and what its record tells."""
        self.learned.setdefault(job.spec.quantity, []).append((guess, seconds))
        if record:
            self._note(record)

    def left(self, jobs: Sequence[Job]) -> float:
        """Seconds until all these jobs are done."""
        guesses: dict[str, list[float]] = {}
        for job in jobs:
            guesses.setdefault(job.spec.quantity, []).append(self.guess(job))
        seconds = {of: self._factor(of, fmean(some)) * sum(some) for of, some in guesses.items()}
        return sum(took / (min(self.at_once, len(guesses[of])) if of == "dice" else 1) for of, took in seconds.items())

    def guess(self, job: Job) -> float:
        """Estimated seconds for one job, without correction."""
        quantity, spec = QUANTITIES[job.spec.quantity], job.spec
        if quantity.takes == "machine":
            return quantity.start_s
        is_forked = self.plan.study.device == "cpu" and may_fork(job)
        start_s = quantity.start_s * (FORKED if is_forked else 1)
        train = getattr(spec, "train", None)
        gain = BFLOAT16_GAIN if train and train.precision == "bfloat16" else 1
        passes = quantity.passes(spec, self.plan.asked_of(job))
        if train:
            scoring = quantity.passes(spec.model_copy(update={"train": None}), self.plan.asked_of(job))
            done = sum(map(self._is_trained, job.trials)) / len(job.trials)
            passes -= done * (passes - scoring)
        return start_s + passes * self._pass_s(job.network) / gain

    def _pass_s(self, network: str) -> float:
        """Seconds of a forward pass of one image of 224x224."""
        if network in self.passes_s:
            return self.passes_s[network]
        rate = GPU_MACS_PER_S
        if self.plan.study.device == "cpu":
            rate = CONVOLUTIONS * product_rate() * self.asked.threads / this_machine().cores
        return (macs_of(network) + MOVED) / rate

    def _note(self, record: Record) -> None:
        if isinstance(record.result, Latency) and name_of(spec := record.job.spec) == PLAIN:
            self.passes_s[record.job.network] = median(record.result.samples_s) / (pixels(spec) * spec.batch)

    def _factor(self, quantity: str, typical: float) -> float:
        """How many times as long as guessed the jobs of a quantity take. Short jobs tell little of long ones."""
        learned, prior = self.learned.get(quantity, []), TYPICAL * typical
        return (sum(real for _, real in learned) + prior) / (sum(guess for guess, _ in learned) + prior)

    def _is_trained(self, job: Job) -> bool:
        """Whether the checkpoint of a job with a single training is complete."""
        return self.out is not None and (self.out / "checkpoints" / job.training_key / "card.json").exists()


@cache
def product_rate() -> float:
    """Multiply-adds per second of a product of two matrices of float32 on this machine, the best of three."""
    import numpy as np

    matrix = np.ones((SIDE, SIDE), dtype=np.float32)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        matrix @ matrix  # only its time is asked for
        seconds.append(time.perf_counter() - began)
    return SIDE**3 / min(seconds)
