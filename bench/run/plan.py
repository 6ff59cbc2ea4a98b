"""From a study to the list of jobs that answers it, in the order in which they are done, and how long they may take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.data import DataSet, apply_splits, open_dataset, write_splits
from bench.machine import this_machine
from bench.networks import find_network
from bench.quantities import MACHINE, QUANTITIES, Asked
from bench.run.job import Job
from bench.run.store import Store
from bench.run.study import Study

# Rules of thumb for the first minutes, corrected by what the first jobs took. Multiply-adds a second of a core, a GPU:
MACS_PER_S = {"cpu": 50e9, "cuda": 5e12}
BFLOAT16_GAIN = 3  # of native bfloat16 over float32: 2 with AVX-512, more with AMX
UNKNOWN_MACS = 10e9  # of a network of which nothing was published
MOVED = 15e9  # moving bytes costs so much whatever the multiply-adds: why small networks are slower than they look


@dataclass(frozen=True)
class Plan:
    """The jobs of a study, with the data that was read for it and what the quantities were asked."""

    study: Study
    jobs: tuple[Job, ...]
    data: DataSet | None
    asked: Asked


def plan(study: Study, splits: Path | None = None) -> Plan:
    """The jobs quantity by quantity, in each the conditions in turn, under each condition all networks.

    So latency is interleaved: every network once, then every network again in another process. A split that a seed made
    is looked for in the folder `splits`, where `keep_split` has put it in an earlier run.
    """
    data = open_dataset(study.dataset, study.data_root, study.options) if "dice" in study.measures else None
    kept = _split_path(study, data, splits)
    if data and kept and kept.exists():
        data = apply_splits(data, kept)
        study = replace(study, options=replace(study.options, split_file=kept))
    asked = study.asked(data)
    jobs: list[Job] = []
    for name, quantity in QUANTITIES.items():
        if quantity.takes == "machine":
            jobs += [Job(network=MACHINE, network_digest="", spec=spec) for spec in quantity.jobs(asked)]
        elif name in study.measures:
            jobs += [Job.of(network, spec) for spec in quantity.jobs(asked) for network in study.networks]
    return Plan(study, tuple(jobs), data, asked)


def of_jobs(study: Study, jobs: Sequence[Job]) -> Plan:
    """A plan of jobs that are known already and read no data."""
    return Plan(study, tuple(jobs), None, study.asked(None))


def missing(plan: Plan, store: Store) -> list[Job]:
    """The plan's jobs without a finished record; a failure is tried again."""
    return [job for job in plan.jobs if (record := store.find(job)) is None or record.status != "ok"]


def keep_split(planned: Plan, splits: Path) -> None:
    """Write down a split that a seed made, unless it was read from a file: it is drawn once and reused."""
    path = _split_path(planned.study, planned.data, splits)
    if planned.data and path:
        write_splits(planned.data, path)


def _split_path(study: Study, data: DataSet | None, splits: Path | None) -> Path | None:
    """Where the split of this folder of images is kept; None where no seed made it, or where the user gave a file."""
    root = study.data_root
    if not (splits and root and data and data.drawn) or study.options.split_file:
        return None
    return splits / f"{study.dataset}-{root.resolve().name}.json"


class Clock:
    """Estimates the time left from the published multiply-adds, corrected by what finished jobs took."""

    def __init__(self, plan: Plan, out: Path | None = None) -> None:
        self.out = out  # where a training that is complete already lies
        self.asked = plan.asked
        self.rate = MACS_PER_S[plan.study.device] * (this_machine().cores if plan.study.device == "cpu" else 1)
        self.learned: dict[str, list[tuple[float, float]]] = {}

    def learn(self, job: Job, guess: float, seconds: float) -> None:
        """What a job took that was thought to take `guess` seconds."""
        self.learned.setdefault(job.spec.quantity, []).append((guess, seconds))

    def left(self, jobs: Sequence[Job]) -> float:
        """Seconds until all these jobs are done."""
        return sum(self._factor(job.spec.quantity) * self.guess(job) for job in jobs)

    def guess(self, job: Job) -> float:
        """Seconds for one job, from a rule of thumb."""
        quantity, spec = QUANTITIES[job.spec.quantity], job.spec
        if quantity.takes == "machine":
            return quantity.start_s
        train = getattr(spec, "train", None)
        rate = self.rate * (BFLOAT16_GAIN if train and train.precision == "bfloat16" else 1)
        if train and self._is_trained(job):
            spec = spec.model_copy(update={"train": None})
        macs = find_network(job.network).macs_at_224 or UNKNOWN_MACS
        return quantity.start_s + quantity.passes(spec, self.asked) * (macs + MOVED) / rate

    def _factor(self, quantity: str) -> float:
        learned = self.learned.get(quantity, [])
        return sum(real for _, real in learned) / sum(guess for guess, _ in learned) if learned else 1.0

    def _is_trained(self, job: Job) -> bool:
        return self.out is not None and (self.out / "checkpoints" / job.training_key / "card.json").exists()
