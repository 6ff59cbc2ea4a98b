"""The tasks of a study: its jobs in the pieces that machines of a cluster do, each of which has a key.

A training, with all that is scored from its weights, is a task. All that needs a machine for itself is one task of
each machine: pairs of times must be of one hour and one machine. Counts are in it too. That task is planned by the
machine that does it, for the conditions of its jobs name the machine; so its key names none.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import content_of, make_folder, write_whole
from bench.machine import this_machine
from bench.run.clock import Clock
from bench.run.job import Job, hashed, in_words
from bench.run.kept_study import FOLDER
from bench.run.plan import Plan
from bench.run.store import Record, read_record
from bench.run.study import Study

ALONE = "times"  # how the key of a task begins that needs a machine for itself


@dataclass(frozen=True)
class Task:
    """Jobs that one machine does together, in their order. `does` says what, `gpus` how many it needs."""

    key: str
    jobs: tuple[Job, ...]
    does: str
    gpus: int
    threads: int
    seconds: float

    @property
    def alone(self) -> bool:
        """Whether it needs a machine for itself."""
        return self.key.startswith(f"{ALONE}-")


def tasks_of(planned: Plan, asked: Study, out: Path) -> list[Task]:
    """The tasks of a plan. `asked` is its study before a machine settled what it left open: no key depends on that."""
    clock, words = Clock(planned, out), in_words(planned.jobs)
    found: dict[str, list[Job]] = {}
    for job in planned.jobs:
        found.setdefault(_key(job, asked) if job.spec.quantity == "dice" else "", []).append(job)
    alone = found.pop("", [])
    on_gpu = planned.study.device == "cuda"

    def made(key: str, jobs: list[Job], does: str) -> Task:
        gpus = planned.study.devices if getattr(jobs[0].spec, "train", None) else 1
        return Task(key, tuple(jobs), does, gpus * on_gpu, planned.threads_of(jobs[0]), clock.left(jobs))

    trainings = [made(key, jobs, words[jobs[0].key]) for key, jobs in found.items()]
    what = "counts, times, memory and energy, with a machine for itself"
    key = f"{ALONE}-{hashed([_open(job, asked) for job in alone])}"
    return [*trainings, *([made(key, alone, what)] if alone else [])]


def _key(job: Job, asked: Study) -> str:
    """The key of a training's task: that of its checkpoint, but for what a machine settles."""
    spec = job.spec
    if spec.train is None:
        return job.key
    left_open: dict[str, Any] = {} if asked.precision else {"precision": "float32"}
    left_open |= {} if asked.threads or asked.training_threads else {"threads": None}
    train = spec.train.model_copy(update=left_open)
    return job.model_copy(update={"spec": spec.model_copy(update={"train": train})}).training_key


def _open(job: Job, asked: Study) -> dict[str, Any]:
    """The facts of a job without those of the machine."""
    facts = job.model_dump(mode="json")
    facts["spec"] |= {"machine": ""} | ({} if asked.threads else {"threads": 0})
    return facts


def only(planned: Plan, tasks: Iterable[Task]) -> Plan:
    """The plan of some of its tasks."""
    wanted = {job.key for task in tasks for job in task.jobs}
    return replace(planned, jobs=tuple(job for job in planned.jobs if job.key in wanted))


# ---- what is on record -----------------------------------------------------------------------------------------------


def note_plan(task: Task, out: Path) -> None:
    """Write down which jobs this machine does for a task that needs a machine for itself, so that others can tell."""
    path = out / FOLDER / f"{task.key}@{this_machine().fingerprint}.json"
    make_folder(path.parent)
    write_whole(path, json.dumps({"machine": this_machine().title, "jobs": [job.key for job in task.jobs]}) + "\n")


def note_plans(planned: Plan, asked: Study, out: Path) -> None:
    """Write down the same for a whole plan that this machine does."""
    for task in tasks_of(planned, asked, out):
        if task.alone:
            note_plan(task, out)


class OnRecord:
    """Which tasks of a folder are on record. A finished record is read once."""

    def __init__(self, out: Path) -> None:
        self.out, self.finished = out, set[str]()

    def __call__(self, task: Task) -> bool:
        """Whether all jobs of a task have a finished record; of one that needs a machine for itself, on any machine."""
        return any(keys and all(map(self.has, keys)) for keys in self.keys(task))

    def has(self, key: str) -> bool:
        """Whether the job of this key has a finished record."""
        if key not in self.finished and (record := self._read(key)) and record.status == "ok":
            self.finished.add(key)
        return key in self.finished

    def keys(self, task: Task) -> list[list[str]]:
        """The keys of a task's jobs, on this machine and on each that began it, if it needs a machine for itself."""
        found = [[job.key for job in task.jobs]]
        if not task.alone:
            return found
        for path in sorted((self.out / FOLDER).glob(f"{task.key}@*.json")):
            try:
                found.append([str(key) for key in json.loads(content_of(path))["jobs"]])
            except (OSError, ValueError, TypeError, KeyError):
                continue  # the machine writes it anew when it goes on
        return found

    def records(self, tasks: Iterable[Task]) -> list[Record]:
        """The records of tasks, of failures too."""
        keys = dict.fromkeys(key for task in tasks for keys in self.keys(task) for key in keys)
        return [record for record in map(self._read, keys) if record]

    def failure(self, task: Task) -> str:
        """Why a job of a task failed, by its record: the first reason; empty if none did."""
        failed = (record for record in self.records([task]) if record.status != "ok")
        return next((f"{one.job.network}: {one.outcome}: {one.error}" for one in failed), "")

    def _read(self, key: str) -> Record | None:
        try:
            return read_record(self.out / f"{key}.json")
        except UserError:
            return None
