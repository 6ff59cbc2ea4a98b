"""From what was asked to the list of jobs that answers it, in the order in which they are done."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.data import DataSet, apply_splits, open_dataset, write_splits
from bench.data.sample import Options
from bench.errors import UserError, unknown
from bench.machine import environment, training_precision
from bench.networks import find_network
from bench.quantities import (
    MACHINE,
    QUANTITIES,
    CostSpec,
    Device,
    DiceSpec,
    EnergySpec,
    LatencySpec,
    MemorySpec,
    PeakSpec,
    ProfileSpec,
    Spec,
)
from bench.quantities.budget import Budget
from bench.quantities.variants import PLAIN, conditions
from bench.run.job import Job
from bench.training.devices import check_devices
from bench.training.weights import weights_digest

SMALLEST = 32


@dataclass(frozen=True)
class Question:
    """What the user wants to know: which networks, measured how, on what.

    Each network is trained once for each of the `seeds`, or not at all where it has `weights`. It is timed and weighed
    at `size`, the first of the `batches` and as it is, and from there in each other size, batch and variant. A job that
    is not heard of for `silence_s` seconds is taken to hang.
    """

    networks: tuple[str, ...]
    measures: tuple[str, ...]
    budget: Budget
    dataset: str
    data_root: Path | None
    device: Device
    options: Options = field(default_factory=Options)
    size: int = 224
    seeds: tuple[int, ...] = (0,)
    devices: int = 1
    patience: int | None = None
    weights: Path | None = None
    sizes: tuple[int, ...] = ()
    batches: tuple[int, ...] = (1,)
    variants: tuple[str, ...] = (PLAIN,)
    tf32: bool = False
    cudnn_benchmark: bool = False
    silence_s: float = 600.0

    def __post_init__(self) -> None:
        for name in self.networks:
            find_network(name)
        for measure in self.measures:
            if measure not in QUANTITIES:
                raise unknown("measure", measure, QUANTITIES)
        for size in (self.size, *self.sizes):
            if size < SMALLEST:
                raise UserError(f"--size must be {SMALLEST} or more pixels a side, got {size}")
        for variant in self.variants:
            conditions(variant)
        check_devices(self.devices, self.budget.batch, self.device)
        self._check_weights()

    def _check_weights(self) -> None:
        if self.weights is None:
            return
        if len(self.networks) != 1:
            named = ", ".join(self.networks)
            raise UserError(
                f"--weights {self.weights} is for one network, got {named}; name the one it was trained for"
            )
        if len(self.seeds) > 1 or self.devices > 1 or self.patience:
            raise UserError(f"--weights {self.weights} is trained already; leave --seeds, --devices and --patience out")
        if "dice" not in self.measures:
            raise UserError(f"--weights {self.weights} is there to be scored; add dice to --measure, or leave it out")


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
    makers = {
        "cost": _cost_specs, "memory": _memory_specs, "latency": _latency_specs, "energy": _energy_specs,
        "profile": _profile_specs,
    }  # fmt: skip
    maps = data.maps if data else 1
    specs: list[Spec] = [spec for measure in makers if measure in question.measures
                         for spec in makers[measure](question, maps)]  # fmt: skip
    specs += _dice_specs(question, data) if data else []
    jobs = [
        Job(network=network.name, network_digest=network.digest_for(spec.quantity), spec=spec)
        for spec in specs
        for network in networks
    ]
    return Plan(question, (*_peaks(question), *jobs), data, environment().cores)


def of_jobs(question: Question, jobs: Sequence[Job]) -> Plan:
    """A plan of jobs that are known already and read no data."""
    return Plan(question, tuple(jobs), None, environment().cores)


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


def _peaks(question: Question) -> list[Job]:
    """What the machine could do, beside which latencies are shown."""
    if "latency" not in question.measures:
        return []
    spec = PeakSpec(machine=environment().fingerprint, device=question.device, threads=environment().cores)
    return [Job(network=MACHINE, network_digest="", spec=spec)]


def _cost_specs(question: Question, maps: int) -> list[Spec]:
    return [CostSpec(classes=maps, size=size) for size in _all_sizes(question)]


def _conditions(question: Question, maps: int) -> dict[str, Any]:
    """What all measurements on this machine have in common."""
    machine = environment()
    return {"machine": machine.fingerprint, "device": question.device, "classes": maps, "threads": machine.cores}


def _memory_specs(question: Question, maps: int) -> list[Spec]:
    """One forward pass at each size, smallest first, and one training step of the budget's batch."""
    spec = partial(MemorySpec, **_conditions(question, maps))
    training = spec(size=question.size, batch=question.budget.batch, mode="training")
    return [*(spec(size=size, batch=question.batches[0]) for size in sorted(_all_sizes(question))), training]


def _latency_specs(question: Question, maps: int) -> list[Spec]:
    """In every process all that is compared, one after the other: what changes in an hour then changes for all."""
    budget, batch = question.budget, question.batches[0]
    spec = partial(
        LatencySpec, **_conditions(question, maps), warmup_calls=budget.warmup_calls, warmup_s=budget.warmup_s,
        samples=budget.samples, seconds=budget.seconds, tf32=question.tf32, cudnn_benchmark=question.cudnn_benchmark,
    )  # fmt: skip
    ways: list[dict[str, Any]] = [{"batch": batch, "size": size} for size in _all_sizes(question)]
    ways += [{"batch": other, "size": question.size} for other in sorted(question.batches) if other != batch]
    ways += [{"batch": batch, "size": question.size, **conditions(v)} for v in question.variants if v != PLAIN]
    return [spec(process=process, **way) for process in range(budget.processes) for way in ways]


def _energy_specs(question: Question, maps: int) -> list[Spec]:
    return [EnergySpec(**_conditions(question, maps), size=question.size, batch=question.batches[0])]


def _profile_specs(question: Question, maps: int) -> list[Spec]:
    return [ProfileSpec(**_conditions(question, maps), size=question.size, batch=question.batches[0])]


def _all_sizes(question: Question) -> list[int]:
    """The size that is trained at, then the others, smallest first."""
    return [question.size, *sorted(set(question.sizes) - {question.size})]


def _dice_specs(question: Question, data: DataSet) -> list[Spec]:
    """One for each seed, or the one of the user's own weights."""
    budget = question.budget
    scoring = partial(
        DiceSpec, dataset=data.name, data=data.digest, classes=data.maps, size=question.size, protocol=data.protocol,
        labels=data.classes if data.maps > 1 else (), test_images=budget.test_images,
    )  # fmt: skip
    if question.weights:
        return [scoring(weights=weights_digest(question.weights))]
    images, precision = len(data.splits["train"]), training_precision(question.device)
    return [
        scoring(train=budget.train_spec(images, question.device, precision, seed, question.devices, question.patience))
        for seed in question.seeds
    ]
