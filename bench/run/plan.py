"""Plans: the ordered list of jobs of a study."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.data import DataSet, Options, apply_kept, open_dataset, write_splits
from bench.data.sample import SPLITS
from bench.networks import find_network, origin_of
from bench.quantities import MACHINE, QUANTITIES, Asked
from bench.run.job import Job
from bench.run.store import Store
from bench.run.study import Study

UNKNOWN_MACS = 10e9  # for a network without a published count

Done = Callable[[int, int], object]  # called with how many images of how many were read


@dataclass(frozen=True)
class Plan:
    """The jobs of a study, the data set that was opened for it and the settings of its quantities."""

    study: Study
    jobs: tuple[Job, ...]
    data: DataSet | None
    asked: Asked


def plan(study: Study, splits: Path | None = None, done: Done = lambda count, total: None) -> Plan:
    """Plan the jobs of a study: by quantity, then by conditions, then by network, the cheapest first.

    So latency is interleaved: every network once, then every network again in another process; and the table fills
    soon, for what takes longest comes last. A network that computes the same function as another is not trained. A
    seeded split is read from the folder `splits` if `keep_split` stored it there in an earlier run.
    """
    sides = ("test",) if study.weights else SPLITS  # weights that are given are not trained
    data = open_dataset(study.dataset, study.data_root, study.options, sides) if "dice" in study.measures else None
    kept = split_path(study.dataset, study.data_root, study.options, data, splits)
    if data and kept and kept.exists():
        data = apply_kept(data, kept, sides)
        study = replace(study, options=replace(study.options, split_file=kept))
    if data:
        data.read(done)
    asked = study.asked(data)
    cheapest_first = sorted(study.networks, key=macs_of)
    jobs: list[Job] = []
    for name, quantity in QUANTITIES.items():
        if quantity.takes == "machine":
            jobs += [Job(network=MACHINE, network_digest="", spec=spec) for spec in quantity.jobs(asked)]
        elif name in study.measures:
            networks = [one for one in cheapest_first if name != "dice" or not origin_of(one)]
            jobs += [Job.of(network, spec) for spec in quantity.jobs(asked) for network in networks]
    return Plan(study, tuple(jobs), data, asked)


def macs_of(network: str) -> float:
    """Multiply-adds for an image of 224x224, as published."""
    return find_network(network).macs_at_224 or UNKNOWN_MACS


def of_jobs(study: Study, jobs: Sequence[Job]) -> Plan:
    """A plan of given jobs that need no data set."""
    return Plan(study, tuple(jobs), None, study.asked(None))


def missing(plan: Plan, store: Store) -> list[Job]:
    """The plan's jobs without a finished record. Failed jobs are included, so they are tried again."""
    return [job for job in plan.jobs if (record := store.find(job)) is None or record.status != "ok"]


def keep_split(planned: Plan, splits: Path) -> None:
    """Store a seeded split for later runs, unless it was read from a file the user gave."""
    study = planned.study
    path = split_path(study.dataset, study.data_root, study.options, planned.data, splits)
    if planned.data and path:
        write_splits(planned.data, path)


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
