"""Carries out a plan, job by job: what is on record is not measured again, what fails is a row, the rest goes on."""

import time
from pathlib import Path
from typing import Any, Protocol

from bench.machine import environment
from bench.networks import find_network
from bench.quantities import CostSpec, DiceSpec, EnergySpec, LatencySpec, MemorySpec, PeakSpec, ProfileSpec
from bench.run.job import Job
from bench.run.plan import Plan
from bench.run.store import Record, Store
from bench.run.worker import Order, run

# A guess for the first minutes, replaced by what the first jobs really took: seconds to start a worker and import what
# it needs, and multiply-adds a second of one core, or of one GPU.
START_S = {"peak": 10.0, "cost": 5.0, "memory": 4.0, "latency": 4.0, "energy": 12.0, "profile": 8.0, "dice": 11.0}
MACS_PER_S = {"cpu": 50e9, "cuda": 5e12}
BFLOAT16_GAIN = 3  # of native bfloat16 over float32: 2 with AVX-512, more with AMX
UNKNOWN_MACS = 10e9  # of a network of which nothing was published
MOVED = 15e9  # what moving bytes costs whatever the multiply-adds: why small networks are slower than they look


class Watcher(Protocol):
    """Whoever shows the run to a person."""

    def begin(self, job: Job, seconds_left: float) -> None: ...
    def event(self, event: dict[str, Any]) -> None: ...
    def end(self, record: Record) -> None: ...


def carry_out(plan: Plan, waiting: list[Job], out: Path, watcher: Watcher) -> list[Record]:
    """Do the jobs that are `missing` and return the records of the whole plan, failures included, in its order."""
    store = Store(out)
    clock = Clock(plan, out)
    failed: list[Job] = []
    for number, job in enumerate(waiting):
        if any(_hopeless(job, before) for before in failed):
            continue
        watcher.begin(job, clock.left(waiting[number:]))
        guess, started = clock.guess(job), time.monotonic()  # a guess is of what is still to do, so made before
        record = run(_order(plan, job, out), watcher.event)
        clock.learn(job, guess, time.monotonic() - started)
        watcher.end(record)
        if record.status in ("out_of_memory", "timed_out"):
            failed.append(job)
    return [record for record in map(store.find, plan.jobs) if record is not None]


def _hopeless(job: Job, failed: Job) -> bool:
    """Whether a job only asks more of the memory or the time that another one found too little: a sweep ends there."""
    ours, theirs = job.spec, failed.spec
    if (
        job.network != failed.network
        or not isinstance(ours, MemorySpec | LatencySpec)
        or type(ours) is not type(theirs)
    ):
        return False
    assert isinstance(theirs, MemorySpec | LatencySpec)
    apart = {"batch", "size", "process"}
    alike = ours.model_dump(exclude=apart) == theirs.model_dump(exclude=apart)
    return alike and ours.batch >= theirs.batch and ours.size >= theirs.size


def missing(plan: Plan, store: Store) -> list[Job]:
    """The plan's jobs without a finished record; a failure is tried again."""
    return [job for job in plan.jobs if (record := store.find(job)) is None or record.status != "ok"]


def _order(plan: Plan, job: Job, out: Path) -> Order:
    question = plan.question
    return Order(
        job=job, out=out, data_root=question.data_root, options=question.options, device=question.device,
        threads=plan.threads, weights=question.weights, silence_s=question.silence_s,
    )  # fmt: skip


class Clock:
    """Estimates the time left from the published multiply-adds, corrected by what finished jobs took."""

    def __init__(self, plan: Plan, out: Path | None = None) -> None:
        self.out = out  # where a training that is complete already lies
        cores = environment().cores if plan.question.device == "cpu" else 1
        self.rate = MACS_PER_S[plan.question.device] * cores
        self.plan = plan
        self.told: dict[str, list[tuple[float, float]]] = {}

    def learn(self, job: Job, guess: float, seconds: float) -> None:
        """What a job took that was thought to take `guess` seconds."""
        self.told.setdefault(job.spec.quantity, []).append((guess, seconds))

    def left(self, jobs: list[Job]) -> float:
        """Seconds until all these jobs are done."""
        total = 0.0
        for job in jobs:
            told = self.told.get(job.spec.quantity, [])
            factor = sum(real for _, real in told) / sum(guess for guess, _ in told) if told else 1.0
            total += factor * self.guess(job)
        return total

    def guess(self, job: Job) -> float:
        """Seconds for one job, from a rule of thumb."""
        spec = job.spec
        native = isinstance(spec, DiceSpec) and spec.train and spec.train.precision == "bfloat16"
        rate = self.rate * (BFLOAT16_GAIN if native else 1)
        if isinstance(spec, PeakSpec):
            return START_S[spec.quantity]
        macs = find_network(job.network).macs_at_224 or UNKNOWN_MACS
        return START_S[spec.quantity] + self._passes(job) * (macs + MOVED) / rate

    def _passes(self, job: Job) -> float:
        """Forward passes of 224x224 pixels; a training step costs three of each image."""
        spec = job.spec
        assert not isinstance(spec, PeakSpec)
        pixels = (spec.size / 224) ** 2
        if isinstance(spec, CostSpec):
            return 2 * pixels
        if isinstance(spec, MemorySpec):
            return pixels * spec.batch * (2 if spec.mode == "inference" else 6)
        if isinstance(spec, EnergySpec | ProfileSpec):  # an energy's windows last as long as they last
            return 30 * pixels * spec.batch * isinstance(spec, ProfileSpec)
        if isinstance(spec, LatencySpec):
            return pixels * spec.batch * (2 * spec.warmup_calls + spec.samples)
        splits = self.plan.data.splits if self.plan.data else {}
        val, test = (len(splits.get(split, ())) for split in ("val", "test"))
        scoring = min(test, spec.test_images or test)
        if spec.train is None or self._trained(job):
            return pixels * scoring
        legs = spec.train.steps / spec.train.leg
        steps = 3 * spec.train.steps * spec.train.batch
        return pixels * (steps + legs * min(val, spec.train.val_images or val) + scoring)

    def _trained(self, job: Job) -> bool:
        return self.out is not None and (self.out / "checkpoints" / job.training_key / "card.json").exists()
