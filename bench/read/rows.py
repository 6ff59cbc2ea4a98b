"""One network under one set of conditions: its records put together, in base units; and rows compared two by two."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from bench.networks import title_of
from bench.quantities import Cost, Latency, Memory, Scores
from bench.quantities.scores import PROTOCOLS, SCORES, Protocol, terms
from bench.run.store import Record
from bench.stats.estimate import Estimate, Terms, by_class, by_unit, estimate, of_processes, undefined
from bench.stats.paired import SIGNIFICANCE, Test, compare, differences

T = TypeVar("T")
SUBJECT = "mdsa_unet"  # the network that this project is about: the others are compared with it unless told otherwise


@dataclass(frozen=True)
class Row:
    """One network under one set of conditions, from its records. What was not measured is None."""

    network: str
    records: tuple[Record, ...]
    protocol: Protocol = PROTOCOLS["per_image"]
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The network's name as its paper writes it, else as it was called, and the file its weights came from."""
        return title_of(self.network) + (f" ({self.weights_file})" if self.weights_file else "")

    @property
    def weights_file(self) -> str:
        """The name of somebody's own weights; empty where they were trained here, or nothing was scored."""
        return next((scores.weights_file for scores in self.trainings), "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the network's images and maps so that it could be measured."""
        return tuple(dict.fromkeys(note for record in self.records for note in record.notes))

    def results(self, kind: type[T]) -> list[T]:
        """The row's results of one kind."""
        return [record.result for record in self.records if isinstance(record.result, kind)]

    @property
    def cost(self) -> Cost | None:
        """Parameters and multiply-adds."""
        return next(iter(self.results(Cost)), None)

    @property
    def memory(self) -> Memory | None:
        """The peak of one forward pass."""
        return next(iter(self.results(Memory)), None)

    @cached_property
    def latency_s(self) -> Estimate | None:
        """Median of the process medians, between the fastest and the slowest process."""
        return of_processes([result.samples_s for result in self.results(Latency)])

    @property
    def trainings(self) -> tuple[Scores, ...]:
        """How each training went, one a seed, and each image's score."""
        return tuple(self.results(Scores))

    @property
    def dice(self) -> Estimate | None:
        """Dice by the row's protocol."""
        return self.score("dice")

    def score(self, name: str) -> Estimate | None:
        """A score by the row's protocol: over units, classes and seeds, with a 95 % bootstrap interval over units.

        A score that does not follow from counts is None where some training has none.
        """
        if ("score", name) not in self._kept:
            seeds = self._terms(name, self.protocol)
            whole = SCORES[name].counts or all(any(u[..., 1].any() for u in found.values()) for found in seeds)
            self._kept["score", name] = estimate(seeds) if whole else None
        return self._kept["score", name]

    @cached_property
    def pooled_dice(self) -> Estimate | None:
        """Dice of one confusion matrix for the whole split: what other papers report."""
        return estimate(self._terms("dice", PROTOCOLS["pooled"]))

    @cached_property
    def dice_by_class(self) -> tuple[float, ...]:
        """Each foreground class's Dice; empty where nothing was scored."""
        return by_class(self._terms("dice", self.protocol))

    def by_unit(self, name: str) -> dict[str, float]:
        """Each image's or volume's own score, mean over classes and seeds; NaN where it is undefined.

        A pooled score has no units of its own, so there it is each image's by itself.
        """
        return by_unit(self._terms(name, PROTOCOLS["per_image"] if self.protocol.name == "pooled" else self.protocol))

    def left_out(self, name: str) -> int:
        """How many units have no such score: a precision where nothing was predicted."""
        return undefined(self._terms(name, self.protocol))

    @cached_property
    def train_images_per_s(self) -> float | None:
        """Images a second while training, the median over seeds; None where none was trained here."""
        found = [scores.train_images_per_s for scores in self.trainings if scores.train_images_per_s]
        return float(np.median(found)) if found else None

    @cached_property
    def taints(self) -> tuple[str, ...]:
        """Why its times cannot be trusted, with how many of the processes were spoiled."""
        return taints(self._of("latency"))

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each job that gave no result."""
        failed = (record for record in self.records if record.status != "ok")
        return tuple(dict.fromkeys(f"{_what(r)} {r.outcome}: {r.error}" for r in failed))

    @property
    def lost_seeds(self) -> tuple[int, int]:
        """How many trainings gave nothing to score, and how many were asked for."""
        asked = self._of("dice")
        return sum(record.status != "ok" for record in asked), len(asked)

    @property
    def seeds(self) -> set[int]:
        """The seeds it was trained with."""
        return {record.job.spec.train.seed for record in self._of("dice") if record.job.spec.train}

    def _of(self, quantity: str) -> list[Record]:
        return [record for record in self.records if record.job.spec.quantity == quantity]

    def _terms(self, name: str, protocol: Protocol) -> list[Terms]:
        """What a score's figure is made of, one a seed; kept, for several figures are made of the same."""
        key = (name, protocol.name)
        if key not in self._kept:
            self._kept[key] = [terms(scores, name, protocol) for scores in self.trainings if scores.images]
        return self._kept[key]


@dataclass(frozen=True)
class Paired:
    """A network's Dice less the reference's on the units both were scored on."""

    row: Row
    reference: Row
    test: Test

    @property
    def title(self) -> str:
        """The network's name."""
        return self.row.title

    @property
    def difference(self) -> Estimate:
        """Its mean."""
        return self.test.difference

    @property
    def behind(self) -> bool:
        """Whether it is worse than the reference by all three: the test, the mean's interval, the units lost.

        The test is of ranks: a network that is a little better on most units and far worse on few can lead by the test
        and not by the mean.
        """
        return self.test.holm_p < SIGNIFICANCE and self.difference.high < 0 and self.test.lost > self.test.won


def reference_row(rows: Sequence[Row], against: str | None = None) -> Row | None:
    """The row the others are compared with: the named one, else the subject, else the most accurate."""
    scored = {row.network: row for row in reversed(rows) if row.dice}  # a trained one before own weights
    best = max(scored.values(), key=lambda row: row.dice.value if row.dice else 0.0, default=None)
    return scored.get(against or SUBJECT) or scored.get(SUBJECT) or best


def paired(rows: Sequence[Row], reference: Row) -> list[Paired]:
    """Every other scored row against the reference, in the order of the rows; none where no unit is shared."""
    others, theirs = [row for row in rows if row is not reference and row.dice], reference.by_unit("dice")
    found = [(row, differences(row.by_unit("dice"), theirs)) for row in others]
    found = [(row, units) for row, units in found if len(units)]
    tests = compare([units for _, units in found])
    return [Paired(row, reference, test) for (row, _), test in zip(found, tests, strict=True)]


def _what(record: Record) -> str:
    """A job in a few words."""
    train = getattr(record.job.spec, "train", None)
    return record.job.spec.quantity + (f" with seed {train.seed}" if train else "")


def taints(records: Iterable[Record]) -> tuple[str, ...]:
    """How many of these were disturbed while they were measured, and the first one's reasons."""
    measured = [record.taints for record in records if record.status == "ok"]
    spoiled = ["; ".join(reasons) for reasons in measured if reasons]
    return tuple(f"{len(spoiled)} of {len(measured)} processes were disturbed: {first}" for first in spoiled[:1])


def longest(group: Sequence[Record]) -> list[Record]:
    """Of the protocols that each network was timed by, the one with the most samples a process."""
    lengths = [(record.job.network, record.job.spec.samples, record.job.spec.seconds) for record in group]
    most = set({length[0]: length for length in sorted(lengths)}.values())
    return [record for record, length in zip(group, lengths, strict=True) if length in most]


def grouped(records: Iterable[Record], quantity: str, apart: Any) -> list[list[Record]]:
    """Records of one quantity that have all conditions in common but `apart`, as pydantic's `exclude` takes it."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.job.spec.quantity == quantity:
            groups.setdefault(record.job.spec.model_dump_json(exclude=apart), []).append(record)
    return list(groups.values())
