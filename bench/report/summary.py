"""Records to rows: what belongs together is put together, samples become a figure with an interval, in base units."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from bench.environment import Environment
from bench.networks import NETWORKS
from bench.quantities import Cost, CostSpec, DiceSpec, Latency, LatencySpec, Scores
from bench.records import Record

RESAMPLES = 2000
T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval it lies in; `n` of what the interval was drawn from."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Row:
    """One network under one set of conditions, from its records. What was not measured is None."""

    network: str
    records: tuple[Record, ...]

    @property
    def title(self) -> str:
        """The network's name as its paper writes it, else as it was called."""
        return NETWORKS[self.network].title if self.network in NETWORKS else self.network

    @property
    def cost(self) -> Cost | None:
        """Parameters and multiply-adds."""
        return next(self._results(Cost), None)

    @cached_property
    def latency_s(self) -> Estimate | None:
        """Median of the process medians, between the fastest and the slowest process."""
        medians = [float(np.median(result.samples_s)) for result in self._results(Latency)]
        return Estimate(float(np.median(medians)), min(medians), max(medians), len(medians)) if medians else None

    @cached_property
    def dice(self) -> Estimate | None:
        """Mean over images of the per-image Dice, with a 95 % bootstrap interval over images."""
        return self._overlap("dice")

    @cached_property
    def iou(self) -> Estimate | None:
        """The same of IoU."""
        return self._overlap("iou")

    @property
    def scores(self) -> Scores | None:
        """How training went, and each image's score."""
        return next(self._results(Scores), None)

    @property
    def undefined(self) -> int:
        """Images whose Dice is undefined, truth and prediction being empty; they are left out of the mean."""
        return sum(math.isnan(image.dice) for result in self._results(Scores) for image in result.images)

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each job that gave no result."""
        failed = (record for record in self.records if record.status != "ok")
        lines = (f"{r.job.spec.quantity} {r.status.replace('_', ' ')}: {r.error}" for r in failed)
        return tuple(dict.fromkeys(lines))

    def _results(self, kind: type[T]) -> Iterator[T]:
        return (record.result for record in self.records if isinstance(record.result, kind))

    def _overlap(self, measure: str) -> Estimate | None:
        by_image: dict[str, list[float]] = {}
        for result in self._results(Scores):
            for image in result.images:
                by_image.setdefault(image.id, []).append(getattr(image, measure))
        values = np.array([np.mean(found) for found in by_image.values() if not np.isnan(found).all()])
        return bootstrap_mean(values) if len(values) else None


@dataclass(frozen=True)
class Section:
    """Rows that may be compared: one data set and training, one machine and latency protocol."""

    dice: DiceSpec | None
    latency: LatencySpec | None
    cost: CostSpec | None
    environment: Environment | None
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """A name for files: "isic2017-224-cpu"."""
        spec = self.dice or self.latency or self.cost
        parts = [self.dice.dataset if self.dice else "", str(spec.size if spec else "")]
        parts.append(self.latency.device if self.latency else "")
        return "-".join(part for part in parts if part)


def bootstrap_mean(values: np.ndarray) -> Estimate:
    """The mean of (n,) values with the 2.5 and 97.5 percentiles of the means of seeded resamples."""
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def sections(records: Sequence[Record]) -> list[Section]:
    """Put the records that may be compared together.

    Each training protocol on a data set makes a section for each machine and device that latency was measured on; of
    several latency protocols there, the longest is shown. Records of one quantity alone make sections of their own.
    """
    dice = _grouped(records, DiceSpec, {"train": {"seed"}})
    latency = _longest(_grouped(records, LatencySpec, {"process"}))
    cost = _grouped(records, CostSpec, set())
    found = []
    for scored in dice or [[]]:
        near = [group for group in latency if not scored or _alike(scored[0], group[0])] or [[]]
        found += [_section(scored, timed, cost) for timed in near]
    return [section for section in found if section.rows]


def _section(scored: list[Record], timed: list[Record], costs: list[list[Record]]) -> Section:
    like = next(iter(scored or timed), None)
    counted = next((group for group in costs if like is None or _alike(like, group[0])), [])
    members = [*counted, *timed, *scored]
    names = sorted({record.job.network for record in members})
    rows = tuple(Row(name, tuple(r for r in members if r.job.network == name)) for name in names)
    environment = (timed or scored or counted)[0].environment if members else None
    return Section(_first(scored), _first(timed), _first(counted), environment, rows)


def _first(group: list[Record]) -> Any:
    """The conditions that all records of a group share, but for what numbers repeats."""
    return group[0].job.spec if group else None


def _grouped(records: Sequence[Record], kind: type, apart: Any) -> list[list[Record]]:
    """Records of one kind of conditions, by all of these but those that number repeats."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if isinstance(record.job.spec, kind):
            groups.setdefault(record.job.spec.model_dump_json(exclude=apart), []).append(record)
    return list(groups.values())


def _longest(groups: list[list[Record]]) -> list[list[Record]]:
    """Of the latency protocols of one machine and one kind of call, the one with the most samples."""
    best: dict[str, list[Record]] = {}
    protocol = {"process", "samples", "seconds", "warmup_calls", "warmup_s"}
    for group in groups:
        call = group[0].job.spec.model_dump_json(exclude=protocol)
        if call not in best or _samples(group) > _samples(best[call]):
            best[call] = group
    return list(best.values())


def _samples(group: list[Record]) -> int:
    return sum(len(record.result.samples_s) for record in group if isinstance(record.result, Latency))


def _alike(one: Record, other: Record) -> bool:
    a, b = one.job.spec, other.job.spec
    return (a.channels, a.classes, a.size) == (b.channels, b.classes, b.size)
