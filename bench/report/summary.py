"""Records to rows: what belongs together is put together, samples become a figure with an interval, in base units."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from bench.environment import Environment
from bench.measure.overlap import Overlap
from bench.networks import NETWORKS
from bench.quantities import Cost, CostSpec, DiceSpec, ImageScore, Latency, LatencySpec, Scores
from bench.records import Record

RESAMPLES = 2000
# How long a latency was measured, not what was measured.
PROTOCOL = {"process", "samples", "seconds", "warmup_calls", "warmup_s"}
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
        """Mean Dice over images, or over volumes, then over classes, with a 95 % bootstrap interval over the former."""
        return self._overlap("dice")

    @cached_property
    def iou(self) -> Estimate | None:
        """The same of IoU."""
        return self._overlap("iou")

    @property
    def scores(self) -> Scores | None:
        """How training went, and each image's score."""
        return next(self._results(Scores), None)

    @cached_property
    def dice_by_class(self) -> tuple[float, ...]:
        """Each foreground class's mean Dice over images, or over volumes; empty where nothing was scored."""
        scored = [_matrix(result.images, "dice") for result in self._results(Scores) if result.images]
        values = [list(found.values()) for found in scored]
        return tuple(_mean_of_defined(np.concatenate(values), axis=0).tolist()) if values else ()

    @property
    def undefined(self) -> int:
        """Dice scores that are undefined, truth and prediction being empty; they are left out of the mean."""
        return sum(
            int(np.isnan(found).sum())
            for result in self._results(Scores)
            for found in _matrix(result.images, "dice").values()
        )

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each job that gave no result."""
        failed = (record for record in self.records if record.status != "ok")
        lines = (f"{r.job.spec.quantity} {r.status.replace('_', ' ')}: {r.error}" for r in failed)
        return tuple(dict.fromkeys(lines))

    def _results(self, kind: type[T]) -> Iterator[T]:
        return (record.result for record in self.records if isinstance(record.result, kind))

    def _overlap(self, measure: str) -> Estimate | None:
        scored = [_matrix(result.images, measure) for result in self._results(Scores) if result.images]
        if not scored:
            return None
        units = sorted(set().union(*scored))
        labels = len(next(iter(scored[0].values())))
        nothing = np.full(labels, np.nan)
        seeds = np.array([[found.get(unit, nothing) for unit in units] for found in scored])
        return bootstrap(_mean_of_defined(seeds, axis=0))


def _matrix(images: Sequence[ImageScore], measure: str) -> dict[str, np.ndarray]:
    """A share for each class, by image, or by volume from the counts of its slices."""
    units: dict[str, dict[int, list[ImageScore]]] = {}
    for image in images:
        units.setdefault(image.volume or image.id, {}).setdefault(image.label, []).append(image)
    return {
        name: np.array([_share(by_label[label], measure) for label in sorted(by_label)])
        for name, by_label in units.items()
    }


def _share(slices: list[ImageScore], measure: str) -> float:
    """A single image's score as it was stored; a volume's from the sums over its slices."""
    if not slices[0].volume:
        return float(getattr(slices[0], measure))
    volume = Overlap(sum(s.tp for s in slices), sum(s.fp for s in slices), sum(s.fn for s in slices))
    return float(getattr(volume, measure))


def _mean_of_defined(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean along an axis of what is no NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis)
    total = np.where(defined, values, 0.0).sum(axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


@dataclass(frozen=True)
class Section:
    """Rows that may be compared: one data set and training, one machine and latency protocol."""

    dice: DiceSpec | None
    latency: LatencySpec | None
    cost: CostSpec | None
    environment: Environment
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """A name for files: "isic2017-224-cpu"."""
        spec = self.dice or self.latency or self.cost
        parts = [self.dice.dataset if self.dice else "", str(spec.size if spec else "")]
        parts.append(self.latency.device if self.latency else "")
        return "-".join(part for part in parts if part)


def named(found: list[Section]) -> dict[str, Section]:
    """Sections by a name of their own: a second one of the same name gets a number."""
    by_name: dict[str, Section] = {}
    for section in found:
        name, number = section.name, 2
        while name in by_name:
            name, number = f"{section.name}-{number}", number + 1
        by_name[name] = section
    return by_name


def bootstrap(values: np.ndarray) -> Estimate | None:
    """The mean over units, then over classes, of (units, classes), with an interval over units.

    Undefined values, NaN, are left out of the mean of their class. The interval lies between the 2.5 and 97.5
    percentiles of the same figure for seeded resamples of the units. None where nothing is defined.
    """
    values = values[~np.isnan(values).all(axis=1)]
    if not len(values):
        return None
    draws = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    means = _mean_of_defined(_mean_of_defined(values[draws], axis=1), axis=1)
    low, high = np.nanpercentile(means, [2.5, 97.5])
    value = _mean_of_defined(_mean_of_defined(values, axis=0), axis=0)
    return Estimate(float(value), float(low), float(high), len(values))


def outdated(records: Sequence[Record]) -> list[Record]:
    """Records of a network whose code was edited since: another network, though it has the same name."""
    newest: dict[str, Record] = {}
    for record in records:
        if record.job.network not in newest or record.before.at > newest[record.job.network].before.at:
            newest[record.job.network] = record
    return [r for r in records if r.job.network_digest != newest[r.job.network].job.network_digest]


def sections(records: Sequence[Record]) -> list[Section]:
    """Put the records that may be compared together; each but the outdated ones is in at least one section.

    Each training protocol on a data set makes a section for each machine and device that latency was measured on.
    Latency and cost at sizes that nothing was trained at make sections of their own.
    """
    old = {id(record) for record in outdated(records)}
    records = [record for record in records if id(record) not in old]
    dice = _grouped(records, DiceSpec, {"train": {"seed"}})
    latency = [_longest(group) for group in _grouped(records, LatencySpec, PROTOCOL)]
    cost = _grouped(records, CostSpec, set())
    joined = [(scored, timed) for scored in dice for timed in _alike(scored, latency) or [[]]]
    joined += [([], timed) for timed in latency if not _alike(timed, dice)]
    elsewhere = {record.job.network for scored in dice for record in scored}
    found = [
        _section(scored, timed, next(iter(_alike(scored or timed, cost)), []), elsewhere) for scored, timed in joined
    ]
    return found + [_section([], [], counted, set()) for counted in cost if not _alike(counted, [*dice, *latency])]


def _section(scored: list[Record], timed: list[Record], counted: list[Record], elsewhere: set[str]) -> Section:
    """One section; a network that was scored `elsewhere` and not here would only add empty cells."""
    here = {record.job.network for record in scored}
    absent = elsewhere - here if here else set()
    members = [record for record in (*counted, *timed, *scored) if record.job.network not in absent]
    names = sorted({record.job.network for record in members})
    rows = tuple(Row(name, tuple(r for r in members if r.job.network == name)) for name in names)
    return Section(_first(scored), _first(timed), _first(counted), (timed or scored or counted)[0].environment, rows)


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


def _longest(group: list[Record]) -> list[Record]:
    """Of the protocols that a network was timed by, the one with the most samples a process."""
    longest: dict[str, tuple[float, float]] = {}
    for record in group:
        longest[record.job.network] = max(_length(record), longest.get(record.job.network, (0, 0)))
    return [record for record in group if _length(record) == longest[record.job.network]]


def _length(record: Record) -> tuple[float, float]:
    spec = record.job.spec
    assert isinstance(spec, LatencySpec)
    return spec.samples, spec.seconds


def _alike(group: list[Record], others: list[list[Record]]) -> list[list[Record]]:
    """Those of the other groups whose networks have the same channels, classes and size."""
    return [other for other in others if _shape(other[0]) == _shape(group[0])]


def _shape(record: Record) -> tuple[int, int, int]:
    spec = record.job.spec
    return spec.channels, spec.classes, spec.size
