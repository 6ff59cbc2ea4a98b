"""The local engine: runs a plan's jobs one after the other on this machine, each in its own process."""

import time
from pathlib import Path
from typing import Any, Protocol

from bench.quantities import QUANTITIES
from bench.run.job import Job
from bench.run.plan import Clock, Plan
from bench.run.store import Record, Store
from bench.run.worker import Order, run


class Listener(Protocol):
    """Receives the progress of a run, to display it."""

    def begin(self, job: Job, seconds_left: float) -> None: ...
    def event(self, event: dict[str, Any]) -> None: ...
    def end(self, record: Record) -> None: ...


def carry_out(plan: Plan, waiting: list[Job], out: Path, listener: Listener) -> list[Record]:
    """Run the `waiting` jobs and return the records of the whole plan, including failures, in its order.

    A failure is recorded and the run continues. After a job ran out of memory or time, larger ones are skipped.
    """
    store = Store(out)
    clock = Clock(plan, out)
    failed: list[Job] = []
    for number, job in enumerate(waiting):
        if any(_asks_more(job, before) for before in failed):
            continue
        listener.begin(job, clock.left(waiting[number:]))
        guess, started = clock.guess(job), time.monotonic()  # before the run, since the guess depends on what is left
        record = run(_order(plan, job, out), listener.event)
        clock.learn(job, guess, time.monotonic() - started)
        listener.end(record)
        if record.status in ("out_of_memory", "timed_out"):
            failed.append(job)
    return [record for record in map(store.find, plan.jobs) if record is not None]


def _asks_more(job: Job, failed: Job) -> bool:
    """Whether a job needs at least as much memory or time as a failed one. A sweep ends at such a job."""
    quantity = QUANTITIES[job.spec.quantity]
    if not quantity.grows or (job.network, type(job.spec)) != (failed.network, type(failed.spec)):
        return False
    apart = {*quantity.grows, "process"}
    alike = job.spec.model_dump(exclude=apart) == failed.spec.model_dump(exclude=apart)
    return alike and all(getattr(job.spec, name) >= getattr(failed.spec, name) for name in quantity.grows)


def _order(plan: Plan, job: Job, out: Path) -> Order:
    study = plan.study
    return Order(
        job=job, out=out, data_root=study.data_root, options=study.options, device=study.device,
        threads=plan.asked.threads, weights=study.weights, silence_s=study.silence_s,
    )  # fmt: skip
