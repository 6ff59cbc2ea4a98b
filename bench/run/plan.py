"""Plans: the ordered list of jobs of a study."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.data import DataAt, DataSet, Options, apply_kept, write_splits
from bench.data.sample import SPLITS
from bench.errors import UserError
from bench.networks import find_network, origin_of
from bench.quantities import MACHINE, QUANTITIES, Asked, Quantity
from bench.run.job import Job
from bench.run.store import Store
from bench.run.study import Study

UNKNOWN_MACS = 10e9  # for a network without a published count

Done = Callable[[str, int, int], object]  # called with a data set's name, and how many of its images were read


@dataclass(frozen=True)
class Opened:
    """A data set of a study that was opened, and the settings of the quantities for what is trained on it.

    One that is only tested on has no settings. Where a drawn split was kept, `at` names its file, unlike what was
    `given`.
    """

    at: DataAt
    data: DataSet
    given: DataAt
    trained_on: bool
    asked: Asked | None = None

    def is_tested(self, study: Study) -> bool:
        """Whether networks that were trained on others are scored on this one."""
        return self.given in study.test_on


@dataclass(frozen=True)
class Plan:
    """The jobs of a study, the data sets that were opened for it and the settings that need none of them."""

    study: Study
    jobs: tuple[Job, ...]
    asked: Asked
    opened: tuple[Opened, ...] = ()

    def data_of(self, job: Job) -> DataAt | None:
        """The data set on which a job's network is scored; None for a job without one."""
        found = self._found(job.spec)
        return found.at if found else None

    def home_of(self, job: Job) -> DataAt | None:
        """The data set on which a job's network is trained, if it is another than the one it is scored on."""
        found = self._found(job.spec.at_home) if getattr(job.spec, "trained_on", "") else None
        return found.at if found else None

    def asked_of(self, job: Job) -> Asked:
        """The settings that a job was planned from."""
        found = self._found(getattr(job.spec, "at_home", job.spec))
        return (found and found.asked) or self.asked

    def threads_of(self, job: Job) -> int:
        """The threads with which a job runs: those of its training, else those of all that is measured."""
        train = getattr(job.spec, "train", None)
        return (train and train.threads) or self.asked.threads

    def _found(self, spec: Any) -> Opened | None:
        named = getattr(spec, "dataset", ""), getattr(spec, "data", "")
        return next((one for one in self.opened if (one.data.name, one.data.digest) == named), None)


def plan(study: Study, splits: Path | None = None, done: Done = lambda name, count, total: None) -> Plan:
    """Plan the jobs of a study: by quantity, then by data set, by conditions and by network, the cheapest first.

    So latency is interleaved: every network once, then every network again in another process; and the table fills
    soon, for what takes longest comes last. A network that computes the same function as another is not trained. A
    seeded split is read from the folder `splits` if `keep_split` stored it there in an earlier run.
    """
    return _planned(study, _opened(study, splits, done) if "dice" in study.measures else [])


def planned_again(planned: Plan, study: Study) -> Plan:
    """The plan of another study of the same data sets, which are not opened again."""
    return _planned(study, planned.opened)


def _planned(study: Study, opened: Sequence[Opened]) -> Plan:
    asked = [_with_settings(one, study, opened) for one in opened]
    settings = [one.asked for one in asked if one.asked] or [study.asked(None)]
    cheapest_first = sorted(study.networks, key=macs_of)
    jobs: dict[str, Job] = {}
    for quantity in QUANTITIES.values():
        for one in settings:
            jobs |= {job.key: job for job in _jobs(quantity, one, cheapest_first)}
    return Plan(study, tuple(jobs.values()), replace(settings[0], data=None, tests=()), tuple(asked))


def _opened(study: Study, splits: Path | None, done: Done) -> list[Opened]:
    """Open each data set of a study once, those to train on first. Raises UserError where one cannot be used so."""
    sides = ("test",) if study.weights else SPLITS  # weights that are given are not trained
    home = [_open(at, sides, True, splits, done) for at in study.data]
    others = [_open(at, ("test",), False, splits, done) for at in study.test_on if at not in study.data]
    for test in others:
        if not any(_alike(one.data, test.data) for one in home):
            trained = ", ".join(f"{one.data.name} ({', '.join(one.data.classes)})" for one in home)
            classes = f"its classes ({', '.join(test.data.classes)}) are not those of {trained}"
            raise UserError(f"--test-on {test.data.name}: {classes}; name a data set of the same task")
    return home + others


def _with_settings(one: Opened, study: Study, opened: Sequence[Opened]) -> Opened:
    """A data set with the settings for what is trained on it: it is scored on others of the task, if that was asked."""
    if not one.trained_on:
        return one
    others = (test for test in opened if test.at != one.at and test.is_tested(study))
    tests = [test.data for test in others if _alike(one.data, test.data)]
    return replace(one, asked=study.asked(one.data, tests))


def _open(at: DataAt, sides: Sequence[str], trained_on: bool, splits: Path | None, done: Done) -> Opened:
    given, data = at, at.open(sides)
    kept = split_path(at.name, at.root, at.options, data, splits)
    if kept and kept.exists():
        data = apply_kept(data, kept, sides)
        at = replace(at, options=replace(at.options, split_file=kept))
    data.read(partial(done, at.name))
    return Opened(at, data, given, trained_on)


def _alike(one: DataSet, other: DataSet) -> bool:
    """Whether networks that were trained on one data set can be scored on the other: the same classes, or one each."""
    return one.maps == other.maps and (one.maps == 1 or one.classes == other.classes)


def _jobs(quantity: Quantity, asked: Asked, networks: Sequence[str]) -> list[Job]:
    """The jobs of a quantity: for each of its conditions all networks, which may have settings of their own."""
    if quantity.takes == "machine":
        return [Job(network=MACHINE, network_digest="", spec=spec) for spec in quantity.jobs(asked)]
    if quantity.name not in asked.measures:
        return []
    measured = [one for one in networks if quantity.name != "dice" or not origin_of(one)]
    by_conditions = zip(*(quantity.jobs(asked.of(network)) for network in measured), strict=True)
    return [Job.of(network, spec) for specs in by_conditions for network, spec in zip(measured, specs, strict=True)]


def macs_of(network: str) -> float:
    """Multiply-adds for an image of 224x224, as published."""
    return find_network(network).macs_at_224 or UNKNOWN_MACS


def of_jobs(study: Study, jobs: Sequence[Job]) -> Plan:
    """A plan of given jobs that need no data set."""
    return Plan(study, tuple(jobs), study.asked(None))


def missing(plan: Plan, store: Store) -> list[Job]:
    """The plan's jobs without a finished record. Failed jobs are included, so they are tried again."""
    return [job for job in plan.jobs if (record := store.find(job)) is None or record.status != "ok"]


def keep_split(planned: Plan, splits: Path) -> None:
    """Store seeded splits for later runs, unless they were read from files the user gave."""
    for one in planned.opened:
        if path := split_path(one.at.name, one.at.root, one.at.options, one.data, splits):
            write_splits(one.data, path)


def split_path(
    dataset: str, root: Path | None, options: Options, data: DataSet | None, splits: Path | None
) -> Path | None:  # fmt: skip
    """The file for the seeded split of these images; None if it is not seeded or the user gave a file.

    A seeded split depends on the names of the patients alone, so the file is named after those and the images'. Other
    folders of the same name do not share it, a folder that was moved keeps it, and so does one with a mended mask.
    """
    if not (splits and root and data and data.drawn) or options.split_file:
        return None
    names = sorted((sample.id, sample.group) for part in data.splits.values() for sample in part)
    return splits / f"{dataset}-{hashlib.sha256(json.dumps(names).encode()).hexdigest()[:12]}.json"
