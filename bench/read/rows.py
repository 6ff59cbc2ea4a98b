"""One network under one set of conditions: its records put together, in base units."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from bench.machine import taint
from bench.networks import title_of
from bench.quantities import Cost, DiceSpec, Latency, LatencySpec, Memory, Scores
from bench.quantities.protocols import PROTOCOLS, Measure, Protocol, terms
from bench.run.store import Record
from bench.stats.estimate import Estimate, Terms, by_class, by_unit, estimate, undefined

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One network under one set of conditions, from its records. What was not measured is None."""

    network: str
    records: tuple[Record, ...]
    protocol: Protocol = PROTOCOLS["per_image"]

    @property
    def title(self) -> str:
        """The network's name as its paper writes it, else as it was called, and the file its weights came from."""
        name = title_of(self.network)
        return f"{name} ({self.weights_file})" if self.weights_file else name

    @property
    def weights_file(self) -> str:
        """The name of somebody's own weights; empty where they were trained here, or nothing was scored."""
        return next((scores.weights_file for scores in self._results(Scores)), "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the network's images and maps so that it could be measured."""
        return tuple(dict.fromkeys(note for record in self.records for note in record.notes))

    @property
    def cost(self) -> Cost | None:
        """Parameters and multiply-adds."""
        return next(self._results(Cost), None)

    @cached_property
    def latency_s(self) -> Estimate | None:
        """Median of the process medians, between the fastest and the slowest process."""
        return latency_s(self._results(Latency))

    @property
    def trainings(self) -> tuple[Scores, ...]:
        """How each training went, one a seed, and each image's score."""
        return tuple(self._results(Scores))

    @property
    def memory(self) -> Memory | None:
        """The peak of one forward pass."""
        return next(self._results(Memory), None)

    @cached_property
    def dice(self) -> Estimate | None:
        """Dice by the row's protocol: over units, classes and seeds, with a 95 % bootstrap interval over units."""
        return self._figure("dice")

    @cached_property
    def iou(self) -> Estimate | None:
        """The same of IoU."""
        return self._figure("iou")

    @cached_property
    def sensitivity(self) -> Estimate | None:
        """The same of the share of the truth that was found."""
        return self._figure("sensitivity")

    @cached_property
    def precision(self) -> Estimate | None:
        """The same of the share of what was found that is true."""
        return self._figure("precision")

    @cached_property
    def hd95(self) -> Estimate | None:
        """The same of the distance of outlines, in the unit of the scores; None where some training has none."""
        seeds = self._terms("hd95", self.protocol)
        return estimate(seeds) if all(any(d[..., 1].any() for d in found.values()) for found in seeds) else None

    @cached_property
    def pooled_dice(self) -> Estimate | None:
        """Dice of one confusion matrix for the whole split: what other papers report."""
        return estimate(self._terms("dice", PROTOCOLS["pooled"]))

    @cached_property
    def dice_by_class(self) -> tuple[float, ...]:
        """Each foreground class's Dice; empty where nothing was scored."""
        return by_class(self._terms("dice", self.protocol))

    @cached_property
    def dice_by_unit(self) -> dict[str, float]:
        """Each image's or volume's own Dice."""
        return self.by_unit("dice")

    def by_unit(self, measure: Measure) -> dict[str, float]:
        """Each image's or volume's own score, mean over classes and seeds; NaN where it is undefined.

        A pooled score has no units of its own, so there it is each image's by itself.
        """
        own = PROTOCOLS["per_image"] if self.protocol.name == "pooled" else self.protocol
        return by_unit(self._terms(measure, own))

    @property
    def undefined(self) -> int:
        """Dice scores that are undefined, truth and prediction being empty; they are left out of the mean."""
        return self.left_out("dice")

    def left_out(self, measure: Measure) -> int:
        """How many units have no share of this kind: a precision where nothing was predicted."""
        return undefined(self._terms(measure, self.protocol))

    @cached_property
    def train_images_per_s(self) -> float | None:
        """Images a second while training, the median over seeds; None where none was trained here."""
        found = [scores.train_images_per_s for scores in self.trainings if scores.train_images_per_s]
        return float(np.median(found)) if found else None

    @cached_property
    def taints(self) -> tuple[str, ...]:
        """Why its times are not to be trusted, each with how many of the processes it spoiled."""
        return taints(self._of(LatencySpec))

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each job that gave no result."""
        failed = (record for record in self.records if record.status != "ok")
        return tuple(dict.fromkeys(f"{_what(r)} {r.status.replace('_', ' ')}: {r.error}" for r in failed))

    @property
    def lost_seeds(self) -> tuple[int, int]:
        """Of so many trainings that were asked for (the second), so many gave nothing to score (the first)."""
        asked = self._of(DiceSpec)
        return sum(record.status != "ok" for record in asked), len(asked)

    def _of(self, spec: type) -> list[Record]:
        return [record for record in self.records if isinstance(record.job.spec, spec)]

    def _results(self, kind: type[T]) -> Iterator[T]:
        return (record.result for record in self.records if isinstance(record.result, kind))

    def _figure(self, measure: Measure) -> Estimate | None:
        return estimate(self._terms(measure, self.protocol))

    def _terms(self, measure: Measure, protocol: Protocol) -> list[Terms]:
        """What a score's figure is made of, one a seed; kept, for several figures are made of the same."""
        key = (measure, protocol.name)
        if key not in self._kept:
            self._kept[key] = [terms(s, measure, protocol) for s in self._results(Scores) if s.images]
        return self._kept[key]

    @cached_property
    def _kept(self) -> dict[tuple[str, str], list[Terms]]:
        return {}


def _what(record: Record) -> str:
    """A job in two words."""
    spec = record.job.spec
    seed = f" with seed {spec.train.seed}" if isinstance(spec, DiceSpec) and spec.train else ""
    return spec.quantity + seed


def taints(records: Sequence[Record]) -> tuple[str, ...]:
    """What disturbed the machine while these were measured, a sentence each."""
    found = [
        taint(record.before, record.after, record.environment.cores, getattr(record.job.spec, "device", "cpu"))
        for record in records
        if record.status == "ok"
    ]
    disturbed = [reasons for reasons in found if reasons]
    if not disturbed:
        return ()
    return (f"{len(disturbed)} of {len(found)} processes were disturbed: {'; '.join(disturbed[0])}",)


def spec_of(record: Record) -> Any:
    """A record's conditions where their kind is known, and so which fields they have."""
    return record.job.spec


def latency_s(results: Iterable[Latency]) -> Estimate | None:
    """Median of the process medians, between the fastest and the slowest process; None where none was timed."""
    medians = [float(np.median(result.samples_s)) for result in results]
    return Estimate(float(np.median(medians)), min(medians), max(medians), len(medians)) if medians else None


def longest(group: list[Record]) -> list[Record]:
    """Of the protocols that a network was timed by, the one with the most samples a process."""
    longest: dict[str, tuple[float, float]] = {}
    for record in group:
        longest[record.job.network] = max(_length(record), longest.get(record.job.network, (0, 0)))
    return [record for record in group if _length(record) == longest[record.job.network]]


def _length(record: Record) -> tuple[float, float]:
    spec = record.job.spec
    assert isinstance(spec, LatencySpec)
    return spec.samples, spec.seconds
