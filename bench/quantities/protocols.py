"""The protocols of scoring, by name: how one line an image and class becomes one figure a class.

The literature uses several, and the gap between them is larger than what papers claim. Each is a ratio of sums over
units (images or volumes): a mean of shares is the sum of the defined ones over their number, a pooled share is made of
the sums of its counts. Imports no torch, for reports are made from it.

- `per_image`: each image's share, then the mean over images. Undefined shares, NaN, are left out.
- `per_volume`: the counts of a volume's slices are added up first, then as above over volumes. An image that is of no
  volume is one of its own.
- `pooled`: the counts of all images are added up, and one share is made of them: large objects weigh more.
- `transunet`: per volume, by the convention of TransUNet's code, which many papers copied: 1 where the truth is empty
  and something is predicted, 0 where nothing is predicted. It is here for comparison, not for use.

HD95 is a mean of distances, so it has no pooled form; nor has TransUNet's convention one that is worth repeating.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.errors import unknown
from bench.quantities import ImageScore, Scores

Measure = Literal["dice", "iou", "sensitivity", "precision", "hd95"]
# Numerator and denominator of each share, from (tp, fp, fn).
SHARES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "dice": ((2, 0, 0), (2, 1, 1)),
    "iou": ((1, 0, 0), (1, 1, 1)),
    "sensitivity": ((1, 0, 0), (1, 0, 1)),
    "precision": ((1, 0, 0), (1, 1, 0)),
}


@dataclass(frozen=True)
class Protocol:
    """`units` are what is averaged and resampled; `terms` turns counts (..., 3) of a share into what is summed up."""

    name: str
    units: Literal["images", "volumes"]
    terms: Callable[[np.ndarray, str], np.ndarray]
    distances: bool = True


def _mean_of_shares(counts: np.ndarray, measure: str) -> np.ndarray:
    """(..., 2): the share and a one where it is defined, else zeros."""
    over, under = (counts @ np.array(weights) for weights in SHARES[measure])
    defined = under > 0
    share = np.divide(over, under, out=np.zeros(over.shape), where=defined)
    return np.stack([share, defined.astype(float)], axis=-1)


def _pooled(counts: np.ndarray, measure: str) -> np.ndarray:
    """(..., 2): numerator and denominator of the share themselves."""
    return np.stack([counts @ np.array(weights) for weights in SHARES[measure]], axis=-1).astype(float)


def _transunet(counts: np.ndarray, measure: str) -> np.ndarray:
    """(..., 2): the share by TransUNet's convention, and always a one."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    share = _mean_of_shares(counts, measure)[..., 0]
    share = np.where(tp + fn == 0, np.where(fp > 0, 1.0, 0.0), share)
    return np.stack([share, np.ones(share.shape)], axis=-1)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("per_image", "images", _mean_of_shares),
        Protocol("per_volume", "volumes", _mean_of_shares),
        Protocol("pooled", "images", _pooled, distances=False),
        Protocol("transunet", "volumes", _transunet, distances=False),
    )
}


def find_protocol(name: str) -> Protocol:
    """A protocol of the table; UserError with the nearest name where there is none of this name."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def terms(scores: Scores, measure: Measure, protocol: Protocol) -> dict[str, np.ndarray]:
    """For each image or volume (classes, 2): what is to be summed up over units, the figure being the sums' ratio.

    Empty where the protocol has no such figure, or nothing was scored.
    """
    if measure == "hd95":
        return _distances(scores, protocol)
    return {unit: protocol.terms(counts, measure) for unit, counts in _counts(scores.images, protocol).items()}


def _counts(images: Sequence[ImageScore], protocol: Protocol) -> dict[str, np.ndarray]:
    """(classes, 3) pixels by unit: in both masks, predicted only, true only."""
    units: dict[str, dict[int, np.ndarray]] = {}
    for image in images:
        by_label = units.setdefault(_unit(image, protocol), {})
        counts = np.array([image.tp, image.fp, image.fn])
        by_label[image.label] = by_label.get(image.label, 0) + counts
    return {unit: np.array([by_label[label] for label in sorted(by_label)]) for unit, by_label in units.items()}


def _unit(image: ImageScore, protocol: Protocol) -> str:
    return image.volume or image.id if protocol.units == "volumes" else image.id


def _distances(scores: Scores, protocol: Protocol) -> dict[str, np.ndarray]:
    """(classes, 2) by unit: the distance and a one where it is defined, else zeros."""
    if not protocol.distances:
        return {}
    in_volumes = protocol.units == "volumes" and scores.volumes
    lines = [(v.volume, v.label, v.hd95) for v in scores.volumes] if in_volumes else [
        (i.id, i.label, i.hd95) for i in scores.images
    ]  # fmt: skip
    units: dict[str, dict[int, float]] = {}
    for unit, label, distance in lines:
        units.setdefault(unit, {})[label] = distance
    found = {unit: np.array([by_label[label] for label in sorted(by_label)]) for unit, by_label in units.items()}
    return {unit: np.stack([np.nan_to_num(d), ~np.isnan(d)], axis=-1).astype(float) for unit, d in found.items()}
