"""The local engine: runs a plan's jobs on this machine, each in its own process.

They run one after the other, but trainings on several GPUs, of which each has its own. Several runs may work in one
folder, also on several machines. Each holds the lock of the job that it does. What another run does is left to it, and
looked for again after everything else. A time has the machine for itself.
"""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from bench.errors import UserError
from bench.files import Unusable, make_ready, unusable
from bench.locks import Lock, Lost, clear, holder, machine_lock, take_all
from bench.quantities import QUANTITIES
from bench.run.clock import Clock
from bench.run.forkserver import ForkServer, may_fork
from bench.run.gpus import AtOnce, shares
from bench.run.job import Job, in_words
from bench.run.plan import Plan
from bench.run.store import WRITTEN, Record, Store
from bench.run.worker import Order, run

POLL_S = 1.0  # between two looks for what other runs do


class Listener(Protocol):
    """Receives the progress of a run, to display it.

    Besides the worker's, there are events {"waiting": why} before something that may take long. Several jobs may have
    begun and not ended.
    """

    def begin(self, job: Job, seconds_left: float) -> None: ...
    def event(self, event: dict[str, Any], job: Job | None = None) -> None: ...
    def end(self, record: Record) -> None: ...


def carry_out(plan: Plan, waiting: list[Job], out: Path, listener: Listener) -> list[Record]:
    """Run the `waiting` jobs and return the records of the whole plan, including failures, in its order.

    A failure is recorded and the run continues. After a job ran out of memory or time, larger ones are skipped. A job
    that another run does meanwhile is not done again: its record is awaited. Where the disk refuses a job's record, the
    others are done all the same, and UserError tells of it at the end.
    """
    make_ready(out, WRITTEN)
    clear(out / "locks")
    carrying = Carrying(plan, waiting, out, listener)
    try:
        while carrying.left:
            carrying.go_through()
    finally:
        if carrying.server:
            carrying.server.close()
    carrying.refuse_lost()
    return [record for record in map(carrying.store.find, plan.jobs) if record is not None]


def locks_of(out: Path, job: Job) -> list[Path]:
    """The locks under which a job is done. Jobs that share a training share its lock."""
    return [out / "locks" / f"{key}.lock" for key in sorted(one.training_key for one in job.trials) or [job.key]]


def lock_of(out: Path, job: Job) -> Path:
    """The lock that tells who does a job."""
    return locks_of(out, job)[0]


class Carrying:
    """A run in progress. `left` are the jobs that have no outcome yet, in the plan's order.

    `shares` are the GPUs of trainings that run at once, as values of CUDA_VISIBLE_DEVICES; empty where each job has the
    machine's own.
    """

    def __init__(self, plan: Plan, waiting: list[Job], out: Path, listener: Listener) -> None:
        self.plan, self.out, self.listener = plan, out, listener
        self.shares = shares(plan.study.device, plan.study.devices)
        self.store, self.clock = Store(out), Clock(plan, out, max(1, len(self.shares)))
        self.left, self.failed = list(waiting), list[Job]()
        self.before = {job.key: self.store.find(job) for job in waiting}
        self.ended: list[Job] = []
        self.refused: dict[str, str] = {}  # why a job's record could not be written, by the job's key
        self.told = ""  # for what it waits
        self.words = in_words([*plan.jobs, *waiting])
        self.server = _server(plan, waiting)
        self.turn = threading.RLock()  # of trainings that run at once, to tell and to note

    def go_through(self) -> None:
        """Do each job that is left and that no other run does; pause if there was none."""
        before = list(self.left)
        for at_once, jobs in groupby(before, lambda job: len(self.shares) > 1 and _trains(job)):
            if at_once:
                AtOnce(self.shares, self._of_each_training(list(jobs))).run()
            else:
                for job in jobs:
                    self._attempt(job)
        if self.left == before:
            self._wait()

    def _of_each_training(self, jobs: Sequence[Job]) -> list[Any]:
        """What does all jobs of one training, one after the other, on the GPUs that it is called with."""

        def doing(same: Sequence[Job], gpus: str, look: Any) -> None:
            for job in same:
                self._attempt(job, gpus, look)

        by_training: dict[str, list[Job]] = {}
        for job in jobs:
            by_training.setdefault(job.training_key, []).append(job)
        return [partial(doing, same) for same in by_training.values()]

    def _attempt(self, job: Job, gpus: str = "", look: Any = None) -> None:
        """Settle a job, and keep what stops it alone from stopping the others."""
        if any(_asks_more(job, failed) for failed in self.failed):
            with self.turn:
                self.left.remove(job)
            return
        try:
            self._try(job, gpus, look)
        except (OSError, Unusable) as error:
            with self.turn:
                self.left.remove(job)
                self.refused[job.key] = str(unusable(error))
                self.listener.event({"waiting": f"not recorded: {self.refused[job.key]}"}, job)

    def refuse_lost(self) -> None:
        """Raise UserError, which counts them, if jobs were done or tried and have no record."""
        gone = [job for job in self.ended if not self.store.path(job).exists()]
        if not (self.refused or gone):
            return
        why = next(iter(self.refused.values()), f"{self.out}: its records were removed while the run was under way")
        count, others = len(self.refused) + len(gone), len(self.ended) - len(gone)
        kept = f"{others} others of this run are on record" if others else "none other of this run is"
        jobs = f"{count} job{'s' if count > 1 else ''} could not be recorded"
        raise UserError(f"{why}; {jobs}, {kept}; mend that and run the same again")

    def _try(self, job: Job, gpus: str, look: Any) -> None:
        """Settle a job, unless another run does it."""
        if lock := take_all(locks_of(self.out, job), self.words[job.key]):
            try:
                self._settle(job, lock, gpus, look)
            except Lost:
                pass  # the other run does it now, so it stays among those that are left
            finally:
                lock.release()

    def _settle(self, job: Job, lock: Lock, gpus: str, look: Any) -> None:
        """Take the record that another run made meanwhile, or do the job."""
        with suppress(FileNotFoundError), os.scandir(self.out):
            pass  # NFS remembers which files a folder lacked, and asks the server again when the folder is opened
        record = self.store.find(job)
        is_new = record is not None and (record.status == "ok" or record != self.before[job.key])
        with self.turn:
            self.told = ""
            self.listener.begin(job, self.clock.left(self.left))
        if record is None or not is_new:
            record = self._do(job, lock, gpus, look)
        with self.turn:
            self.left.remove(job)
            self.ended.append(job)
            self.listener.end(record)
            if record.status in ("out_of_memory", "timed_out"):
                self.failed.append(job)

    def _do(self, job: Job, lock: Lock, gpus: str, look: Any) -> Record:
        def hear(event: dict[str, Any]) -> None:
            if lock.lost:
                raise Lost(f"{job.key} was taken over by another run")
            with self.turn:
                self.listener.event(event, job)

        with machine_lock(QUANTITIES[job.spec.quantity].quiet, lambda text: hear({"waiting": text})):
            # The guess is made before the run, since it depends on what is left to do.
            guess, started = self.clock.guess(job), time.monotonic()
            server = self.server if may_fork(job) else None
            order = _order(self.plan, job, self.out, lock).model_copy(update={"gpus": gpus})
            record = run(order, hear, server, **{"look": look} if look else {})
            with self.turn:
                self.clock.learn(job, guess, time.monotonic() - started, record)
        return record

    def _wait(self) -> None:
        """Say once for which job it waits, and pause."""
        job = self.left[0]
        if self.told != job.key:
            self.told = job.key
            by = next(filter(None, map(holder, locks_of(self.out, job))), "another run")
            self.listener.event({"waiting": f"waiting for {by}, which is {self.words[job.key]}"})
        time.sleep(POLL_S)


def _trains(job: Job) -> bool:
    return getattr(job.spec, "train", None) is not None


def _server(plan: Plan, waiting: Sequence[Job]) -> ForkServer | None:
    """What forks the workers, if there are several to fork; a GPU cannot be used after a fork."""
    names = [job.spec.quantity for job in waiting if may_fork(job)]
    if len(names) < 2 or plan.study.device != "cpu" or not hasattr(os, "fork"):
        return None
    orders = {name: "bench.run.dice" for name in names if QUANTITIES[name].takes == "order"}
    modules = [orders.get(name, f"bench.measure.{name}") for name in dict.fromkeys(names)]
    return ForkServer(["bench.run.child", *modules])


def _asks_more(job: Job, failed: Job) -> bool:
    """Whether a job needs at least as much memory or time as a failed one. A sweep ends at such a job."""
    quantity = QUANTITIES[job.spec.quantity]
    if not quantity.grows or (job.network, type(job.spec)) != (failed.network, type(failed.spec)):
        return False
    apart = {*quantity.grows, "process"}
    alike = job.spec.model_dump(exclude=apart) == failed.spec.model_dump(exclude=apart)
    return alike and all(getattr(job.spec, name) >= getattr(failed.spec, name) for name in quantity.grows)


def _order(plan: Plan, job: Job, out: Path, lock: Lock) -> Order:
    study = plan.study
    return Order(
        job=job, out=out, data=plan.data_of(job), home=plan.home_of(job), device=study.device,
        threads=plan.threads_of(job), weights=study.weights, silence_s=study.silence_s, lock=lock.path,
        token=lock.token,
    )  # fmt: skip
