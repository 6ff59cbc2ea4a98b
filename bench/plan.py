"""From what was asked to the list of jobs that answers it, in the order in which they are done."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.budgets import Budget
from bench.data import DataSet, apply_splits, open_dataset, write_splits
from bench.data.sample import Options
from bench.environment import environment
from bench.errors import UserError, unknown
from bench.jobs import Job
from bench.networks import Network, find_network
from bench.quantities import QUANTITIES, CostSpec, Device, DiceSpec, LatencySpec

SMALLEST = 32


@dataclass(frozen=True)
class Question:
    """What the user wants to know: which networks, measured how, on what."""

    networks: tuple[str, ...]
    measures: tuple[str, ...]
    budget: Budget
    dataset: str
    data_root: Path | None
    device: Device
    options: Options = field(default_factory=Options)
    size: int = 224
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.networks:
            find_network(name)
        for measure in self.measures:
            if measure not in QUANTITIES:
                raise unknown("measure", measure, QUANTITIES)
        if self.size < SMALLEST:
            raise UserError(f"--size must be {SMALLEST} or more pixels a side, got {self.size}")


@dataclass(frozen=True)
class Plan:
    """Jobs in order, and the data set they read, None where none of them reads one."""

    question: Question
    jobs: tuple[Job, ...]
    data: DataSet | None
    threads: int


def plan(question: Question, splits: Path | None = None) -> Plan:
    """Cheap measures first. Latency is interleaved: every network once, then every network again in another process.

    A split that a seed makes is looked for in the folder `splits`, where `keep_split` has put it in an earlier run.
    """
    networks = [find_network(name) for name in question.networks]
    data = open_dataset(question.dataset, question.data_root, question.options) if "dice" in question.measures else None
    kept = _split_path(question, data, splits)
    if data and kept and kept.exists():
        data = apply_splits(data, kept)
        question = replace(question, options=replace(question.options, split_file=kept))
    maps = data.maps if data else 1
    jobs: list[Job] = []
    if "cost" in question.measures:
        jobs += _jobs(networks, CostSpec(classes=maps, size=question.size))
    if "latency" in question.measures:
        for process in range(question.budget.processes):
            jobs += _jobs(networks, _latency_spec(question, maps, process))
    if data is not None:
        jobs += _jobs(networks, _dice_spec(question, data))
    return Plan(question, tuple(jobs), data, environment().cores)


def keep_split(planned: Plan, splits: Path) -> None:
    """Write down a split that a seed made, unless it was read from a file: it is drawn once and reused."""
    path = _split_path(planned.question, planned.data, splits)
    if planned.data and path:
        write_splits(planned.data, path)


def _split_path(question: Question, data: DataSet | None, splits: Path | None) -> Path | None:
    """Where the split of this folder of images is kept; None where no seed made it, or where the user gave a file."""
    root = question.data_root
    if not (splits and root and data and data.drawn) or question.options.split_file:
        return None
    return splits / f"{question.dataset}-{root.resolve().name}.json"


def _jobs(networks: Sequence[Network], spec: CostSpec | LatencySpec | DiceSpec) -> list[Job]:
    return [Job(network=network.name, network_digest=network.digest, spec=spec) for network in networks]


def _latency_spec(question: Question, maps: int, process: int) -> LatencySpec:
    budget, machine = question.budget, environment()
    return LatencySpec(
        machine=machine.fingerprint, device=question.device, classes=maps, size=question.size, threads=machine.cores,
        warmup_calls=budget.warmup_calls, warmup_s=budget.warmup_s, samples=budget.samples, seconds=budget.seconds,
        process=process,
    )  # fmt: skip


def _dice_spec(question: Question, data: DataSet) -> DiceSpec:
    budget = question.budget
    return DiceSpec(
        dataset=data.name, data=data.digest, classes=data.maps, labels=data.classes if data.maps > 1 else (),
        size=question.size, protocol=data.protocol,
        test_images=budget.test_images,
        train=budget.train_spec(len(data.splits["train"]), question.device, question.seed),
    )  # fmt: skip
