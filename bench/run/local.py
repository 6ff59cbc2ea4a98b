"""The local engine: does a plan's jobs one after the other on this machine, each in a process of its own."""

import time
from pathlib import Path
from typing import Any, Protocol

from bench.quantities import QUANTITIES
from bench.run.job import Job
from bench.run.plan import Clock, Plan
from bench.run.store import Record, Store
from bench.run.worker import Order, run


class Listener(Protocol):
    """Whoever shows the run to a person."""

    def begin(self, job: Job, seconds_left: float) -> None: ...
    def event(self, event: dict[str, Any]) -> None: ...
    def end(self, record: Record) -> None: ...


def carry_out(plan: Plan, waiting: list[Job], out: Path, listener: Listener) -> list[Record]:
    """Do the jobs that are `missing` and return the records of the whole plan, failures included, in its order.

    A failure is a record, and the rest goes on. After a job ran out of memory or time, larger ones are left out.
    """
    store = Store(out)
    clock = Clock(plan, out)
    failed: list[Job] = []
    for number, job in enumerate(waiting):
        if any(_asks_more(job, before) for before in failed):
            continue
        listener.begin(job, clock.left(waiting[number:]))
        guess, started = clock.guess(job), time.monotonic()  # a guess is of what is still to do, so made before
        record = run(_order(plan, job, out), listener.event)
        clock.learn(job, guess, time.monotonic() - started)
        listener.end(record)
        if record.status in ("out_of_memory", "timed_out"):
            failed.append(job)
    return [record for record in map(store.find, plan.jobs) if record is not None]


def _asks_more(job: Job, failed: Job) -> bool:
    """Whether a job only asks more of the memory or the time that another one found too little: a sweep ends there."""
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
