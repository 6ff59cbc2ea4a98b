"""The scores of a prediction, and the protocols that aggregate scores of images into one figure per class.

A score has a function of the same name in `bench.measure.scores` and an entry in `SCORES`.

The literature uses several protocols, and the differences between them are larger than the improvements that papers
claim. Each protocol is a ratio of two sums over units (images or volumes). A mean of shares is the sum of the defined
shares divided by their number; a pooled share is computed from the summed counts.

- `per_image`: the mean of the scores of the images that have a target (a truth that is not empty). So all networks are
  scored on the same images. What is predicted where there is no target is a figure of its own.
- `per_volume`: the counts of a volume's slices are summed first, then the mean is taken over volumes. An image that
  belongs to no volume is treated as its own volume.
- `nnunet`: per volume, with the convention of nnU-Net: 0 if the truth is empty and something is predicted; left out if
  both are empty.
- `pooled`: one share is computed from the summed counts of all images, so large objects weigh more.
- `transunet`: per volume, with the convention of TransUNet's code, which many papers copied: 1 if the truth is empty
  and something is predicted, 0 if nothing is predicted. It is provided for comparison only and should not be used to
  report new results.

A score that is not computed from counts, such as a distance, is not available with `pooled` and `transunet`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np

from bench.errors import look_up
from bench.quantities.base import Unit
from bench.stats.estimate import Block, rows_of

Weights = tuple[int, int, int]
Grid = Literal["protocol", "own"]
FAILURE = 0.5  # a target whose Dice is less counts as a failure
NEAR = 0.1  # a score so near to the worst counts as the worst: a target that is missed but for a few pixels


@dataclass(frozen=True)
class Score:
    """A score of one class.

    Args:
        counts: numerator and denominator of a share, as weights of (tp, fp, fn); None for a score that is computed from
            the masks instead.
        unit: `score` for a figure from 0 to 1 that is written like Dice, `share` for one that is written in percent,
            `distance` for pixels or millimeters.
        grid: the masks that are compared: those of the protocol, or those of the image's `own` size.
        everywhere: whether it is defined for images without a target too. All others are taken where there is one, so
            that every network is scored on the same images.
        empty: the mask that is empty when the score is undefined and left out; used in a note.
        note: explanation shown below the table. `{unit}` is replaced by the unit of distances, `{tolerance}` by the
            tolerance of `DiceSpec`.
    """

    name: str
    title: str
    counts: tuple[Weights, Weights] | None = None
    unit: Unit = "score"
    less_is_better: bool = False
    grid: Grid = "protocol"
    everywhere: bool = False
    empty: str = ""
    note: str = ""

    @property
    def worst(self) -> float | None:
        """The worst score there is, 0 or 1; None for a distance."""
        return None if self.unit == "distance" else float(self.less_is_better)


SCORES = {
    score.name: score
    for score in (
        Score("dice", "Dice", ((2, 0, 0), (2, 1, 1))),
        Score("iou", "IoU", ((1, 0, 0), (1, 1, 1))),
        Score(
            "dice_own", "Dice, own size", ((2, 0, 0), (2, 1, 1)), grid="own",
            note="own size: the network's output is scaled back to the size of the image and compared with the image's "
            "own mask; so are the outlines and the missed objects",
        ),
        Score("iou_own", "IoU, own size", ((1, 0, 0), (1, 1, 1)), grid="own"),
        Score(
            "nsd", "NSD", grid="own",
            note="NSD: normalized surface Dice, the share of both outlines that is within {tolerance} {unit} of the "
            "other outline",
        ),
        Score(
            "hd95", "HD95", unit="distance", less_is_better=True, grid="own",
            note="HD95: the larger of the two directed 95th percentiles of the outlines' distance, in {unit}, lower is "
            "better; where nothing is predicted, the diagonal of the image",
        ),
        Score(
            "assd", "ASSD", unit="distance", less_is_better=True, grid="own",
            note="ASSD: average symmetric surface distance, the mean distance of both outlines to the other, in "
            "{unit}, lower is better; where nothing is predicted, the diagonal of the image",
        ),
        Score(
            "sensitivity", "Sensitivity", ((1, 0, 0), (1, 0, 1)), empty="the truth",
            note="sensitivity: share of the true pixels that were found",
        ),
        Score(
            "precision", "Precision", ((1, 0, 0), (1, 1, 0)), empty="the prediction",
            note="precision: share of the found pixels that are true",
        ),
        Score(
            "failed", "Failed", unit="share", less_is_better=True,
            note=f"failed: share of the images or volumes with a target whose Dice is under {FAILURE}, lower is better",
        ),
        Score(
            "missed", "Missed", unit="share", less_is_better=True, grid="own",
            note="missed: share of an image's separate objects, such as lesions, of which no pixel was found, lower is "
            "better",
        ),
        Score(
            "false_alarm", "False alarms", unit="share", less_is_better=True, everywhere=True,
            note="false alarms: share of the images or volumes without a target in which something was found, lower "
            "is better",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """How scores of units are aggregated: `units` are averaged and resampled.

    `terms` maps the counts (..., 3) of a share to the terms summed over units.
    """

    name: str
    units: Literal["images", "volumes"]
    terms: Callable[[np.ndarray, Score], np.ndarray]
    distances: bool = True


def _shares(counts: np.ndarray, score: Score) -> np.ndarray:
    """(..., 2): numerator and denominator of the share."""
    assert score.counts
    return np.asarray(counts @ np.array(score.counts, dtype=float).T)


def _mean_of_shares(counts: np.ndarray, score: Score) -> np.ndarray:
    """(..., 2): the share and 1 where it is defined and there is a target, else zeros."""
    found = _shares(counts, score)
    over, under = found[..., 0], found[..., 1]
    defined = (under > 0) & (counts[..., 0] + counts[..., 2] > 0)
    found[..., 0] = np.divide(over, under, out=np.zeros(over.shape), where=defined)
    found[..., 1] = defined
    return found


def _nnunet(counts: np.ndarray, score: Score) -> np.ndarray:
    """(..., 2): the share and 1 where it is defined, with a target or without, else zeros."""
    over, under = np.moveaxis(_shares(counts, score), -1, 0)
    return np.stack([np.divide(over, under, out=np.zeros(over.shape), where=under > 0), under > 0], axis=-1)


def _transunet(counts: np.ndarray, score: Score) -> np.ndarray:
    """(..., 2): the share by TransUNet's convention, and always 1."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    share = _mean_of_shares(counts, score)[..., 0]
    share = np.where(tp + fn == 0, np.where(fp > 0, 1.0, 0.0), share)
    return np.stack([share, np.ones(share.shape)], axis=-1)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("per_image", "images", _mean_of_shares),
        Protocol("per_volume", "volumes", _mean_of_shares),
        Protocol("nnunet", "volumes", _nnunet, distances=False),
        Protocol("pooled", "images", _shares, distances=False),
        Protocol("transunet", "volumes", _transunet, distances=False),
    )
}


def find_protocol(name: str) -> Protocol:
    """Return a protocol by name. Raises UserError, which suggests the nearest name, if the name is unknown."""
    return look_up("protocol", name, PROTOCOLS)


def terms(scores: Any, name: str, protocol: Protocol) -> Mapping[str, np.ndarray]:
    """The terms of each image or volume, an array (classes, 2): numerator and denominator, to be summed over units.

    `scores` is a `bench.quantities.Scores`. The result is empty if the protocol does not support the score, or if
    nothing was scored.
    """
    score, in_volumes = SCORES[name], protocol.units == "volumes"
    if score.counts and (counts := _counts(scores, score, in_volumes)):
        # All units at once, for each has the same classes: a report asks for thousands.
        return Block(counts, protocol.terms(rows_of(counts), score))
    if not protocol.distances:
        return {}
    table = _table(scores, in_volumes and not score.counts)
    (values,) = table.of(name)
    if not score.everywhere:
        values = np.where(table.without_target, math.nan, values)
    if table.order is None:
        lines = [(unit, label, value) for (unit, label), value in zip(table.keys, values.tolist(), strict=True)]
        return {unit: _defined(one) for unit, one in _by_unit(lines).items()}
    return Block(table.units, _defined(values[table.order].reshape(len(table.units), -1)))


class _Table:
    """The lines of images, or of volumes, as columns: a report asks for each score of thousands of lines."""

    def __init__(self, lines: Sequence[Any], keys: list[tuple[str, int]], empty: set[tuple[str, int]]) -> None:
        self.keys = keys
        self.units, self.order = _order(keys)
        self.without_target = np.array([key in empty for key in keys], dtype=bool)
        self._lines = [{**vars(line), **(line.__pydantic_extra__ or {})} for line in lines]

    def of(self, *names: str) -> np.ndarray:
        """(names, lines) what is in the lines by these names, NaN where it is not known."""
        return np.array([[line.get(name) for line in self._lines] for name in names], dtype=float)


def _table(scores: Any, in_volumes: bool) -> _Table:
    def compute() -> _Table:
        if in_volumes and scores.volumes:
            keys = [(v.volume, v.label) for v in scores.volumes]
            return _Table(scores.volumes, keys, _without_target(scores, in_volumes=True))
        keys = [(i.id, i.label) for i in scores.images]
        return _Table(scores.images, keys, _without_target(scores, in_volumes=False))

    return cast("_Table", _once(scores, ("table", in_volumes), compute))


def _order(keys: Sequence[tuple[str, int]]) -> tuple[list[str], list[int] | None]:
    """The units, and the places of their labels in order, unit by unit; no places if units differ in their labels."""
    units = list(dict.fromkeys(unit for unit, _ in keys))
    number = {unit: place for place, unit in enumerate(units)}
    places = {(number[unit], label): place for place, (unit, label) in enumerate(keys)}
    alike = len(places) == len(keys) == len(units) * len({label for _, label in keys})
    return units, [places[key] for key in sorted(places)] if alike else None


def _defined(values: np.ndarray) -> np.ndarray:
    """(..., 2): the values and 1 where they are defined, else zeros."""
    found = np.empty((*values.shape, 2))
    found[..., 1] = defined = ~np.isnan(values)
    found[..., 0] = np.where(defined, values, 0.0)
    return found


def patients(scores: Any) -> dict[str, str]:
    """The patient of each image and volume; empty in records that name none."""

    def compute() -> dict[str, str]:
        named = [i for i in scores.images if i.patient]
        return {i.id: i.patient for i in named} | {i.volume: i.patient for i in named if i.volume}

    return cast("dict[str, str]", _once(scores, ("patients",), compute))


@dataclass(eq=False)
class _Kept:
    """What was computed from the images of scores, for it is asked for once for each score and protocol."""

    images: Any
    found: dict[Any, Any] = field(default_factory=dict)


def _once(scores: Any, what: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
    kept = vars(scores).get("_kept")
    if kept is None or kept.images is not scores.images:  # a copy with other images has what is kept of the first
        kept = vars(scores)["_kept"] = _Kept(scores.images)
    if what not in kept.found:
        kept.found[what] = compute()
    return kept.found[what]


def of_patients(
    found: Mapping[str, np.ndarray], patient: Mapping[str, str], worst: float | None = 0.0
) -> Mapping[str, np.ndarray]:
    """Terms of units summed by patient, with the number of units that have (nearly) the worst score as a third term.

    A unit without a patient stands for itself. `worst` is the worst score; None if there is none.
    """
    if not found:
        return {}
    values = rows_of(found)  # (units, classes, 2), all at once: a report asks for thousands
    over, under = values[..., 0], values[..., 1]
    near = (under > 0) & (np.abs(over - (worst or 0) * under) < NEAR * under) if worst is not None else under < 0
    each = np.concatenate([values, near[..., None]], axis=-1)
    whose = [patient.get(unit, unit) for unit in found]
    names = sorted(set(whose))
    if names == whose:  # a patient has one unit, and they are in order
        return Block(names, each)
    places = {name: place for place, name in enumerate(names)}
    summed = np.zeros((len(places), *values.shape[1:-1], 3))
    np.add.at(summed, [places[name] for name in whose], each)
    return Block(places, summed)


def _unit(image: Any, in_volumes: bool) -> str:
    """The unit that an image belongs to: its volume if it is a slice of one, else the image."""
    return str(image.volume or image.id if in_volumes else image.id)


def _counts(scores: Any, score: Score, in_volumes: bool) -> Mapping[str, np.ndarray]:
    """(classes, 3) pixels TP, FP and FN of each unit; empty if they are not known on the score's grid."""
    names = ("own_tp", "own_fp", "own_fn") if score.grid == "own" else ("tp", "fp", "fn")

    def compute() -> Mapping[str, np.ndarray]:
        table = _table(scores, in_volumes=False)
        counts = table.of(*names).T
        if np.isnan(counts).any():
            return {}
        if table.order is not None and not in_volumes:
            return Block(table.units, counts[table.order].reshape(len(table.units), -1, 3))
        units = (_unit(image, in_volumes) for image in scores.images)
        return _by_unit((unit, label, one) for unit, (_, label), one in zip(units, table.keys, counts, strict=True))

    return cast("Mapping[str, np.ndarray]", _once(scores, (score.grid, in_volumes), compute))


def target_pixels(scores: Any, in_volumes: bool) -> dict[tuple[str, int], int]:
    """Pixels of the truth of each image or volume and label, for those whose counts are known."""

    def compute() -> dict[tuple[str, int], int]:
        true: dict[tuple[str, int], int] = {}
        for i in scores.images:
            tp, fn = (i.tp, i.fn) if i.tp is not None else (i.own_tp, i.own_fn)
            if tp is not None:
                key = (_unit(i, in_volumes), i.label)
                true[key] = true.get(key, 0) + tp + fn
        return true

    return cast("dict[tuple[str, int], int]", _once(scores, ("target", in_volumes), compute))


def _without_target(scores: Any, in_volumes: bool) -> set[tuple[str, int]]:
    """Units and labels whose truth is known to be empty."""
    true = target_pixels(scores, in_volumes)
    return {key for key, pixels in true.items() if not pixels}


def _by_unit(lines: Any) -> Mapping[str, np.ndarray]:
    """Arrays (classes, ...) by unit, from (unit, label, value) tuples. Values of the same unit and label are summed."""
    units: dict[str, dict[int, Any]] = {}
    for unit, label, value in lines:
        by_label = units.setdefault(unit, {})
        by_label[label] = np.add(by_label[label], value) if label in by_label else value
    ordered = [[by_label[label] for label in sorted(by_label)] for by_label in units.values()]
    if len({len(one) for one in ordered}) > 1:
        return {unit: np.array(one) for unit, one in zip(units, ordered, strict=True)}
    return Block(units, np.array(ordered))  # all at once, for that is twenty times as fast
