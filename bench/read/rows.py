"""Rows: the records of one network under one set of conditions, in base units."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np

from bench.forks import forked
from bench.networks import title_of
from bench.quantities import Cost, Latency, Memory, Scores
from bench.quantities.scores import PROTOCOLS, SCORES, Protocol, of_patients, patients, target_pixels, terms
from bench.read.code import moment
from bench.run.store import Record
from bench.stats.estimate import (
    Estimate,
    Terms,
    added,
    by_class,
    by_unit,
    estimate,
    of_processes,
    quantiles,
    undefined,
)

T = TypeVar("T")
QUANTILES = (0.05, 0.25, 0.5)
MANY = 50  # scored rows from which on other processes save more time than it takes to start them
OWN_GRID = {"dice": "dice_own", "iou": "iou_own"}  # the same scores on the image's own grid


@dataclass(frozen=True)
class Row:
    """One network under one set of conditions, from its records. Figures that were not measured are None.

    With `own_grid`, Dice and IoU are those on the images' own grid, for a section in which some are known there alone.
    `twin` is the row of the network that computes the same function: its Dice is shown for both, and only it is ranked.
    `called` is the network's title among those of all records, if it is to differ from `title_of` the network. `kept`
    holds what was computed from its scores; rows of the same scores beside other times share it.
    """

    network: str
    records: tuple[Record, ...]
    protocol: Protocol = PROTOCOLS["per_image"]
    own_grid: bool = False
    twin: "Row | None" = None
    called: str = ""
    kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The network's name as in its paper, else its name here, with where its weights or predictions are from."""
        name = self.called or title_of(self.network)
        if self.elsewhere:
            return f"{name} (predicted elsewhere)"
        return name + (f" ({self.weights_file})" if self.weights_file else "")

    @property
    def weights_file(self) -> str:
        """The file name of the user's own weights; empty if the network was trained here, or if nothing was scored."""
        return next((scores.weights_file for scores in self.trainings), "")

    @property
    def elsewhere(self) -> str:
        """The files or folders of its predictions, if these were made elsewhere; empty otherwise."""
        return ", ".join(dict.fromkeys(scores.source for scores in self.trainings if scores.source))

    @property
    def notes(self) -> tuple[str, ...]:
        """How the network's input and output were adapted so that it could be measured, and which map was scored."""
        return (*dict.fromkeys(note for record in self.records for note in record.notes), *self._predicted_maps())

    def _predicted_maps(self) -> Iterator[str]:
        """Which of several maps was scored, once for all trainings if it was the same in all."""
        found: dict[str, list[str]] = {}
        for record in self.records:
            if isinstance(record.result, Scores) and record.result.predicted_map:
                train = record.job.spec.train
                found.setdefault(record.result.predicted_map, []).append(f"seed {train.seed}" if train else "weights")
        for told, origins in found.items():
            of = f"with {', '.join(origins)} " if len(found) > 1 else ""
            yield f"{of}{told}, is scored: it is the best on val"

    def results(self, kind: type[T]) -> list[T]:
        """The row's results of one type."""
        return cast("list[T]", self._results.get(kind, []))

    @cached_property
    def _results(self) -> dict[type, list[Any]]:
        """The results by type: each column of each table asks for them."""
        found: dict[type, list[Any]] = {}
        for record in self.records:
            found.setdefault(type(record.result), []).append(record.result)
        return found

    @property
    def cost(self) -> Cost | None:
        """Parameters and multiply-adds."""
        return next(iter(self.results(Cost)), None)

    @property
    def memory(self) -> Memory | None:
        """Peak memory of one forward pass, the median over processes."""
        return typical(self.results(Memory))

    @cached_property
    def latency_s(self) -> Estimate | None:
        """Geometric mean over processes of their medians, with its 95 % interval."""
        return of_processes([result.samples_s for result in self.results(Latency)])

    @cached_property
    def trainings(self) -> tuple[Scores, ...]:
        """The course of each training (one per seed and fold) and the scores of each image."""
        return tuple(self.results(Scores))

    @property
    def patients(self) -> str:
        """What its intervals are over: `named` patients, or `images` that stand for one each; empty if unknown.

        Old records name no patients: their figures are shown, and nothing is decided by them.
        """
        kinds = {scores.patients for scores in self.trainings}
        return "" if "" in kinds or not kinds else "images" if "images" in kinds else "named"

    @cached_property
    def copies(self) -> int:
        """How many of the test images are copies of images that it was trained on, or chosen by."""
        return max((scores.copies for scores in self.trainings), default=0)

    @property
    def decides(self) -> bool:
        """Whether its scores may decide anything: of known patients, of the whole test split, and of no copies."""
        return bool(self.patients) and self.whole_split and not self.copies

    @property
    def differs(self) -> str:
        """How the counts of its data set differ from the published ones, in words."""
        return next((scores.differs for scores in self.trainings if scores.differs), "")

    @property
    def dice(self) -> Estimate | None:
        """Dice with the row's protocol."""
        return self.score("dice")

    def score(self, name: str) -> Estimate | None:
        """A score with the row's protocol, with its 95 % interval (`bench.stats.estimate.estimate`).

        None if any of the trainings lacks it. Without patients in the records there is no interval.
        """
        return self._once(("score", name), lambda: self._score(name))

    def _score(self, name: str) -> Estimate | None:
        if not self.trainings:
            return None
        trainings = self.terms(name)
        measured = (
            (SCORES[name].counts and found) or any(u[..., 1].any() for u in found.values()) for found in trainings
        )
        found = estimate(trainings, SCORES[name].worst is not None) if all(measured) else None
        return found and (found if self.patients else found.without_interval())

    def _once(self, what: tuple[Any, ...], compute: Callable[[], T]) -> T:
        """What is computed once for all rows of the same scores."""
        key = (*what, self.own_grid)
        if key not in self.kept:
            self.kept[key] = compute()
        return cast("T", self.kept[key])

    def terms(self, name: str, protocol: Protocol | None = None) -> list[Terms]:
        """The terms of a score by patient, one entry per training; cached, because several figures use them.

        The folds of one seed are one training: their terms are added up patient by patient.
        """
        of, worst = protocol or self.protocol, SCORES[name].worst

        def compute() -> list[Terms]:
            def by_patient(scores: Scores) -> Terms:
                return of_patients(self._of_units(scores, name, of), patients(scores), worst)

            return [added([by_patient(scores) for scores in folds]) for folds in self._by_seed]

        return self._once(("terms", name, of.name), compute)

    @cached_property
    def _by_seed(self) -> list[list[Scores]]:
        """The scored trainings; those of the folds of one seed are together."""
        found: dict[Any, list[Scores]] = {}
        for record in self._of("dice"):
            if isinstance(record.result, Scores) and record.result.images:
                spec = record.job.spec
                is_fold = spec.train and (spec.fold, spec.trained_fold) != (None, None)
                one = ("seed", spec.train.seed) if is_fold else ("record", id(record))
                found.setdefault(one, []).append(record.result)
        return list(found.values())

    def _of_units(self, scores: Scores, name: str, protocol: Protocol) -> Terms:
        """The terms of a score by image or volume."""
        on_own_grid = self.own_grid and name in OWN_GRID
        return terms(scores, OWN_GRID[name] if on_own_grid else name, protocol)

    @property
    def pooled_dice(self) -> Estimate | None:
        """Dice of one confusion matrix for the whole split, as other papers report it."""
        found = self._once(("pooled",), lambda: estimate(self.terms("dice", PROTOCOLS["pooled"])))
        return found and (found if self.patients else found.without_interval())

    @property
    def dice_by_class(self) -> tuple[float, ...]:
        """Dice of each foreground class; empty if nothing was scored."""
        return self._once(("classes",), lambda: by_class(self.terms("dice")))

    def by_unit(self, name: str) -> dict[str, float]:
        """The score of each image or volume, averaged over classes and trainings; NaN if it is undefined.

        A pooled score is not defined per unit, so per-image scores are returned for it.
        """
        protocol = PROTOCOLS["per_image"] if self.protocol.name == "pooled" else self.protocol
        scored = [scores for scores in self.trainings if scores.images]
        return self._once(("units", name), lambda: by_unit([self._of_units(s, name, protocol) for s in scored]))

    def quantiles(self, name: str = "dice") -> tuple[float, ...]:
        """The 5th, 25th and 50th percentile of the patients' scores; empty if nothing was scored."""
        return self._once(("quantiles", name), lambda: quantiles(self.terms(name), QUANTILES))

    @property
    def dice_by_size(self) -> tuple[float, ...]:
        """Dice of the units with the smallest, middle and largest targets, a third each; empty if sizes are unknown.

        A target's size is the number of its pixels on the grid of the protocol, over all classes.
        """
        return self._once(("sizes",), self._by_size)

    def _by_size(self) -> tuple[float, ...]:
        each = [_target_sizes(scores, self.protocol) for scores in self.trainings if scores.images]
        if not each or not all(each):
            return ()
        sizes = {unit: size for one in each for unit, size in one.items()}  # folds have images of their own
        ordered = sorted(sizes, key=lambda unit: (sizes[unit], unit))
        thirds = [set(part.tolist()) for part in np.array_split(np.array(ordered), 3)]
        return tuple(found.value if (found := self._of_some(third)) else np.nan for third in thirds)

    def _of_some(self, units: set[str]) -> Estimate | None:
        """Dice of some images or volumes."""
        found = [(s, self._of_units(s, "dice", self.protocol)) for s in self.trainings if s.images]
        kept = [({unit: value for unit, value in one.items() if unit in units}, s) for s, one in found]
        return estimate([of_patients(one, patients(s)) for one, s in kept])

    def left_out(self, name: str) -> int:
        """Number of undefined scores, such as precision if nothing was predicted."""
        scored = [scores for scores in self.trainings if scores.images]
        return self._once(
            ("undefined", name), lambda: undefined([self._of_units(s, name, self.protocol) for s in scored])
        )

    @cached_property
    def train_images_per_s(self) -> float | None:
        """Training speed in images per second, the median over seeds; None if nothing was trained here."""
        found = [scores.train_images_per_s for scores in self.trainings if scores.train_images_per_s]
        return float(np.median(found)) if found else None

    @cached_property
    def taints(self) -> tuple[str, ...]:
        """Why the times cannot be trusted, with the number of processes that were disturbed; or any other figure."""
        return taints(self._of("latency")) or self.pretended

    @cached_property
    def pretended(self) -> tuple[str, ...]:
        """Why figures of the GPU were not measured on one."""
        return pretended(self.records)

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

    @property
    def folds(self) -> set[int]:
        """The folds of the data set that it was trained on."""
        found = (record.job.spec.at_home.fold for record in self._of("dice"))
        return {fold for fold in found if fold is not None}

    @cached_property
    def dice_by_fold(self) -> dict[int, float]:
        """The mean Dice of each fold; empty if there is one alone."""
        dice = self._of("dice")
        of = {fold: tuple(r for r in dice if r.job.spec.at_home.fold == fold) for fold in sorted(self.folds)}
        rows = {fold: replace(self, records=records, kept={}) for fold, records in of.items() if len(of) > 1}
        return {fold: row.dice.value for fold, row in rows.items() if row.dice}

    @cached_property
    def whole_split(self) -> bool:
        """Whether the whole test split was scored, and not some of its images."""
        return all(record.job.spec.test_images is None for record in self._of("dice"))

    def _of(self, quantity: str) -> list[Record]:
        return [record for record in self.records if record.job.spec.quantity == quantity]


def score_together(rows: Iterable[Row]) -> None:
    """Compute all scores of very many rows on all cores, before they are asked for one by one."""
    scored = [*{(id(row.kept), row.own_grid): row for row in rows if row.trainings}.values()]
    if len(scored) >= MANY:
        for row, found in zip(scored, forked(_scored, scored), strict=False):
            row.kept.update(found)


def _scored(row: Row) -> dict[Any, Estimate | None]:
    """What a row keeps of its scores."""
    for name in SCORES:
        row.score(name)
    return {what: one for what, one in row.kept.items() if what[0] == "score"}


def typical(found: Sequence[Memory]) -> Memory | None:
    """The median over processes of each figure in bytes; None if there is none, or if a process did not have it."""
    if len(found) < 2:
        return next(iter(found), None)
    names = ("weights_bytes", "peak_bytes", "reserved_bytes")
    each = {name: [getattr(one, name) for one in found] for name in names}
    return Memory(**{n: None if None in values else round(np.median(values)) for n, values in each.items()})


def on_one_grid(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows, all with Dice on the images' own grid if some have it on that grid alone."""
    own = [replace(row, own_grid=True) for row in rows]
    alone = any(row.trainings and not row.dice and there.dice for row, there in zip(rows, own, strict=True))
    return tuple(own if alone else rows)


def _target_sizes(scores: Scores, protocol: Protocol) -> dict[str, int]:
    """Pixels of the target of each image or volume that has one; empty if they are not known."""
    if any(image.tp is None and image.own_tp is None for image in scores.images):
        return {}
    sizes: dict[str, int] = {}
    for (unit, _), pixels in target_pixels(scores, protocol.units == "volumes").items():
        sizes[unit] = sizes.get(unit, 0) + pixels
    return {unit: size for unit, size in sizes.items() if size}


def _what(record: Record) -> str:
    """A job in a few words."""
    train = getattr(record.job.spec, "train", None)
    fold = record.job.spec.at_home.fold if train else None
    return (
        record.job.spec.quantity
        + (f" with seed {train.seed}" if train else "")
        + ("" if fold is None else f" of fold {fold}")
    )


def taints(records: Iterable[Record]) -> tuple[str, ...]:
    """A line with the number of disturbed records and the reasons of the first; empty if there are none."""
    measured = [record.taints for record in records if record.status == "ok"]
    spoiled = ["; ".join(reasons) for reasons in measured if reasons]
    return tuple(f"{len(spoiled)} of {len(measured)} processes were disturbed: {first}" for first in spoiled[:1])


def pretended(records: Iterable[Record]) -> tuple[str, ...]:
    """Why figures of a GPU were not measured on one; empty where all were."""
    return next((why for record in records if (why := record.pretended)), ())


def longest(group: Sequence[Record]) -> list[Record]:
    """For each network, the records of the protocol with the most samples, or seconds, per process."""
    protocols = [(getattr(r.job.spec, "samples", 0), getattr(r.job.spec, "seconds", 0.0)) for r in group]
    lengths = [(record.job.network, *protocol) for record, protocol in zip(group, protocols, strict=True)]
    most = set({length[0]: length for length in sorted(lengths)}.values())
    return [record for record, length in zip(group, lengths, strict=True) if length in most]


def of_newest_runtime(group: Sequence[Record]) -> list[Record]:
    """Of times of one form, those with the version of ONNX Runtime that was used last: versions are never mixed."""
    if len({getattr(record.job.spec, "runtime", "") for record in group}) < 2:
        return [*group]
    newest = max(group, key=moment, default=None)
    return [r for r in group if newest and getattr(r.job.spec, "runtime", "") == newest.job.spec.runtime]


def grouped(records: Iterable[Record], quantity: str, apart: Any) -> list[list[Record]]:
    """Group the records of one quantity by all conditions except `apart` (as in pydantic's `exclude`)."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.job.spec.quantity == quantity:
            groups.setdefault(record.job.spec.model_dump_json(exclude=apart), []).append(record)
    return list(groups.values())
