"""Rows: the records of one network under one set of conditions, in base units; and paired comparisons of rows."""

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
SUBJECT = "mdsa_unet"  # the network of this project, the default reference of comparisons


@dataclass(frozen=True)
class Row:
    """One network under one set of conditions, from its records. Figures that were not measured are None."""

    network: str
    records: tuple[Record, ...]
    protocol: Protocol = PROTOCOLS["per_image"]
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The network's name as in its paper, else its name here; with the name of the weights file, if any."""
        return title_of(self.network) + (f" ({self.weights_file})" if self.weights_file else "")

    @property
    def weights_file(self) -> str:
        """The file name of the user's own weights; empty if the network was trained here, or if nothing was scored."""
        return next((scores.weights_file for scores in self.trainings), "")

    @property
    def notes(self) -> tuple[str, ...]:
        """How the network's input and output were adapted so that it could be measured."""
        return tuple(dict.fromkeys(note for record in self.records for note in record.notes))

    def results(self, kind: type[T]) -> list[T]:
        """The row's results of one type."""
        return [record.result for record in self.records if isinstance(record.result, kind)]

    @property
    def cost(self) -> Cost | None:
        """Parameters and multiply-adds."""
        return next(iter(self.results(Cost)), None)

    @property
    def memory(self) -> Memory | None:
        """Peak memory of one forward pass."""
        return next(iter(self.results(Memory)), None)

    @cached_property
    def latency_s(self) -> Estimate | None:
        """Median of the process medians; the interval is from the fastest to the slowest process."""
        return of_processes([result.samples_s for result in self.results(Latency)])

    @property
    def trainings(self) -> tuple[Scores, ...]:
        """The course of each training (one per seed) and the scores of each image."""
        return tuple(self.results(Scores))

    @property
    def dice(self) -> Estimate | None:
        """Dice with the row's protocol."""
        return self.score("dice")

    def score(self, name: str) -> Estimate | None:
        """A score with the row's protocol: the mean over units, classes and seeds, with a 95 % interval over units.

        A score that is not computed from counts is None if any of the trainings lacks it.
        """
        if ("score", name) not in self._kept:
            seeds = self._terms(name, self.protocol)
            whole = SCORES[name].counts or all(any(u[..., 1].any() for u in found.values()) for found in seeds)
            self._kept["score", name] = estimate(seeds) if whole else None
        return self._kept["score", name]

    @cached_property
    def pooled_dice(self) -> Estimate | None:
        """Dice of one confusion matrix for the whole split, as other papers report it."""
        return estimate(self._terms("dice", PROTOCOLS["pooled"]))

    @cached_property
    def dice_by_class(self) -> tuple[float, ...]:
        """Dice of each foreground class; empty if nothing was scored."""
        return by_class(self._terms("dice", self.protocol))

    def by_unit(self, name: str) -> dict[str, float]:
        """The score of each image or volume, averaged over classes and seeds; NaN if it is undefined.

        A pooled score is not defined per unit, so per-image scores are returned for it.
        """
        return by_unit(self._terms(name, PROTOCOLS["per_image"] if self.protocol.name == "pooled" else self.protocol))

    def left_out(self, name: str) -> int:
        """Number of undefined scores, such as precision if nothing was predicted."""
        return undefined(self._terms(name, self.protocol))

    @cached_property
    def train_images_per_s(self) -> float | None:
        """Training speed in images per second, the median over seeds; None if nothing was trained here."""
        found = [scores.train_images_per_s for scores in self.trainings if scores.train_images_per_s]
        return float(np.median(found)) if found else None

    @cached_property
    def taints(self) -> tuple[str, ...]:
        """Why the times cannot be trusted, with the number of processes that were disturbed."""
        return taints(self._of("latency"))

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each job without a result."""
        failed = (record for record in self.records if record.status != "ok")
        return tuple(dict.fromkeys(f"{_what(r)} {r.outcome}: {r.error}" for r in failed))

    @property
    def lost_seeds(self) -> tuple[int, int]:
        """Number of trainings that failed, and number of trainings that were asked for."""
        asked = self._of("dice")
        return sum(record.status != "ok" for record in asked), len(asked)

    @property
    def seeds(self) -> set[int]:
        """The seeds of its trainings."""
        return {record.job.spec.train.seed for record in self._of("dice") if record.job.spec.train}

    def _of(self, quantity: str) -> list[Record]:
        return [record for record in self.records if record.job.spec.quantity == quantity]

    def _terms(self, name: str, protocol: Protocol) -> list[Terms]:
        """The terms of a score, one entry per seed; cached, because several figures use them."""
        key = (name, protocol.name)
        if key not in self._kept:
            self._kept[key] = [terms(scores, name, protocol) for scores in self.trainings if scores.images]
        return self._kept[key]


@dataclass(frozen=True)
class Paired:
    """The difference of a network's Dice and the reference's, on the units on which both were scored."""

    row: Row
    reference: Row
    test: Test

    @property
    def title(self) -> str:
        """The network's name."""
        return self.row.title

    @property
    def difference(self) -> Estimate:
        """The mean difference with its interval."""
        return self.test.difference

    @property
    def behind(self) -> bool:
        """Whether it is worse than the reference by three criteria: the test, the mean's interval, the units lost.

        The test uses ranks: a network that is slightly better on most units and much worse on a few can be better by
        the test but not by the mean.
        """
        return self.test.holm_p < SIGNIFICANCE and self.difference.high < 0 and self.test.lost > self.test.won


def reference_row(rows: Sequence[Row], against: str | None = None) -> Row | None:
    """The reference row: the network `against`, else MDSA-UNet, else the network with the highest Dice."""
    scored = {row.network: row for row in reversed(rows) if row.dice}  # trained rows take precedence over own weights
    best = max(scored.values(), key=lambda row: row.dice.value if row.dice else 0.0, default=None)
    return scored.get(against or SUBJECT) or scored.get(SUBJECT) or best


def paired(rows: Sequence[Row], reference: Row) -> list[Paired]:
    """Compare every other scored row with the reference, in the order of the rows.

    Rows that share no unit are left out.
    """
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
    """A line with the number of disturbed records and the reasons of the first; empty if there are none."""
    measured = [record.taints for record in records if record.status == "ok"]
    spoiled = ["; ".join(reasons) for reasons in measured if reasons]
    return tuple(f"{len(spoiled)} of {len(measured)} processes were disturbed: {first}" for first in spoiled[:1])


def longest(group: Sequence[Record]) -> list[Record]:
    """For each network, the records of the timing protocol with the most samples per process."""
    lengths = [(record.job.network, record.job.spec.samples, record.job.spec.seconds) for record in group]
    most = set({length[0]: length for length in sorted(lengths)}.values())
    return [record for record, length in zip(group, lengths, strict=True) if length in most]


def grouped(records: Iterable[Record], quantity: str, apart: Any) -> list[list[Record]]:
    """Group the records of one quantity by all conditions except `apart` (as in pydantic's `exclude`)."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.job.spec.quantity == quantity:
            groups.setdefault(record.job.spec.model_dump_json(exclude=apart), []).append(record)
    return list(groups.values())
