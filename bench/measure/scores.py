"""Scores of one class in one image or volume: one function per score, all with the same signature.

A score takes two boolean masks of one shape, (H, W) or (D, H, W), the prediction first; `spacing`, the size of a pixel
along each axis in the order of the axes, without which a pixel is 1 by 1; and `tolerance`, the distance in the unit of
`spacing` within which two outlines agree. It returns a float, NaN if it is undefined. Raises ValueError if the shapes
differ.

Dice, IoU, sensitivity and precision are shares of pixels, 0 to 1, higher is better. For empty masks:

    truth      prediction   Dice, IoU   sensitivity   precision   NSD   HD95, ASSD   failed, missed   false alarm
    empty      empty        NaN         NaN           NaN         NaN   NaN          NaN              0
    empty      something    0           NaN           0           0     diagonal     NaN              1
    something  empty        0           0             NaN         0     diagonal     1                NaN

These are the values of one image or volume. In the figure of a split (`bench.quantities.scores`), an image without a
target has no Dice, and no other score but `false_alarm`: so every network is scored on the same images, and what is
predicted where there is nothing is a figure of its own. The protocols `nnunet` and `transunet` follow other conventions
for Dice and the other shares.

A share with denominator 0 is undefined. So precision alone does not penalize a network that predicts nothing; its Dice
and sensitivity of 0 do. Sources: Dice, Ecology 26(3), 1945; Jaccard, 1901; Yerushalmy, Public Health Reports 62(40),
1947; failures and missed objects as in Metrics Reloaded, Nature Methods 21, 2024.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
from scipy import ndimage

from bench.quantities.scores import FAILURE, SCORES

Spacing = Sequence[float] | None
Distances = tuple[np.ndarray, np.ndarray]


def counts(prediction: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Number of pixels in both masks (TP), only in the prediction (FP), only in the truth (FN)."""
    _refuse_other_shape(prediction, truth)
    tp, predicted, true = (int(np.count_nonzero(mask)) for mask in (prediction & truth, prediction, truth))
    return tp, predicted - tp, true - tp


def share(
    name: str, prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None, tolerance: float | None = None
) -> float:  # fmt: skip
    """A share of pixels by its formula in `bench.quantities.scores.SCORES`; NaN if the denominator is 0.

    >>> dice(np.array([[True, True, False]]), np.array([[False, True, True]]))
    0.5
    """
    counted = counts(prediction, truth)
    part, whole = (sum(w * n for w, n in zip(weights, counted, strict=True)) for weights in SCORES[name].counts or ())
    return part / whole if whole else math.nan


dice = partial(share, "dice")  # 2 TP / (2 TP + FP + FN)
iou = partial(share, "iou")  # TP / (TP + FP + FN)
sensitivity = partial(share, "sensitivity")  # TP / (TP + FN), the share of the truth that is found (recall)
precision = partial(share, "precision")  # TP / (TP + FP), the share of the prediction that is right
dice_own, iou_own = partial(share, "dice_own"), partial(share, "iou_own")  # the same, of masks of the image's own size


def hd95(
    prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None, tolerance: float | None = None
) -> float:  # fmt: skip
    """The 95th percentile of the distance between the outlines of two masks, in pixels or in the unit of `spacing`.

    The outline of a mask is the set of its pixels that share an edge (in 3-D a face) with a pixel outside it;
    everything beyond the image is outside. For each pixel of one outline, the Euclidean distance to the nearest pixel
    of the other is computed. HD95 is the larger of the two 95th percentiles, from prediction to truth and from truth to
    prediction. It is at least 0; lower is better. Raises ValueError if `spacing` is not one positive number per axis.

    If both masks are empty, HD95 is NaN. If exactly one is empty, HD95 is the image's diagonal, an upper bound of the
    distance of two pixels. Leaving such an image out would favor a network that misses an object over one that finds it
    in the wrong place. (MONAI returns infinity, which makes every mean infinite.)

    Sources: Huttenlocher et al., IEEE PAMI 15(9), 1993; the worst value for a mask that is missed as in Metrics
    Reloaded, Nature Methods 21, 2024. Outlines and distances are MONAI's.

    >>> hd95(np.array([[True, False, False, False]]), np.array([[False, False, False, True]]), (1.0, 0.5))
    1.5
    """
    return _distance(prediction, truth, spacing, lambda found: max(np.percentile(one, 95) for one in found))


def assd(
    prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None, tolerance: float | None = None
) -> float:  # fmt: skip
    """The average symmetric surface distance, in pixels or in the unit of `spacing`; lower is better.

    It is the mean of the distances of all pixels of both outlines to the other outline, so the longer outline weighs
    more. Outlines, distances, errors and the values of empty masks are those of `hd95`. Source: Heimann et al., IEEE
    TMI 28(8), 2009.

    >>> assd(np.array([[True, False, True]]), np.array([[True, False, False]]), (1.0, 0.75))
    0.5
    """
    return _distance(prediction, truth, spacing, lambda found: np.concatenate(found).mean(dtype=float))


def nsd(
    prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None, tolerance: float | None = None
) -> float:  # fmt: skip
    """The normalized surface Dice: the share of both outlines that is within `tolerance` of the other, 0 to 1.

    Outlines and distances are those of `hd95`; each pixel of an outline counts once. Higher is better. NaN if both
    masks are empty, 0 if one is, NaN without a tolerance. Source: Nikolov et al., J. Med. Internet Res. 23(7), 2021, as
    MONAI computes it without subvoxels.

    >>> nsd(np.array([[True, False, True]]), np.array([[True, False, False]]), (1.0, 0.75), 1.0)
    0.6666666666666666
    """
    sides, empty = _sides(truth, spacing), _empty(prediction, truth)
    if tolerance is None or empty == 2:
        return math.nan
    # The distances are of 32 bits, and so is the tolerance in this comparison: three times 0.1 is 0.3.
    return 0.0 if empty else float((np.concatenate(_outline_distances(prediction, truth, sides)) <= tolerance).mean())


def failed(
    prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None, tolerance: float | None = None
) -> float:  # fmt: skip
    """1 if the Dice of a target is under 0.5, else 0; NaN without a target. Its mean is the share of failures."""
    return float(dice(prediction, truth) < FAILURE) if truth.any() else math.nan


def missed(
    prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None, tolerance: float | None = None
) -> float:  # fmt: skip
    """The share of objects of the truth (lesions) of which no pixel is predicted, 0 to 1; NaN without an object.

    An object is a set of pixels that touch by an edge or a corner (in 3-D by a face, an edge or a corner).

    >>> missed(np.array([[True, True, False, False]]), np.array([[False, True, False, True]]))
    0.5
    """
    _refuse_other_shape(prediction, truth)
    objects, count = ndimage.label(truth, np.ones((3,) * truth.ndim))
    found = int(np.count_nonzero(np.bincount(objects[prediction & truth])))
    return (count - found) / count if count else math.nan


def false_alarm(
    prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None, tolerance: float | None = None
) -> float:  # fmt: skip
    """1 if something is predicted where the truth is empty, 0 if nothing is; NaN where there is a target."""
    _refuse_other_shape(prediction, truth)
    return math.nan if truth.any() else float(prediction.any())


def _distance(
    prediction: np.ndarray, truth: np.ndarray, spacing: Spacing, figure: Callable[[Distances], float]
) -> float:  # fmt: skip
    """A figure of the distances between two outlines; the image's diagonal if one mask is empty, NaN if both are."""
    sides, empty = _sides(truth, spacing), _empty(prediction, truth)
    if empty == 2:
        return math.nan
    if empty == 1:
        return math.dist([0.0] * truth.ndim, [(n - 1) * side for n, side in zip(truth.shape, sides, strict=True)])
    return float(figure(_outline_distances(prediction, truth, sides)))


def _outline_distances(prediction: np.ndarray, truth: np.ndarray, sides: tuple[float, ...]) -> Distances:
    """The distance of each outline pixel to the other outline: those of the prediction, then those of the truth."""
    return _kept_distances(*(np.packbits(mask).tobytes() for mask in (prediction, truth)), truth.shape, sides)


@lru_cache(maxsize=1)  # the scores of one image are computed one after the other, and most of them need the same
def _kept_distances(prediction: bytes, truth: bytes, shape: tuple[int, ...], sides: tuple[float, ...]) -> Distances:
    # Importing it takes seconds, and what is timed or compared needs shares alone.
    from monai.metrics.utils import get_mask_edges, get_surface_distance

    packed = (np.frombuffer(mask, np.uint8) for mask in (prediction, truth))
    masks = (np.unpackbits(bits, count=math.prod(shape)).reshape(shape).astype(bool) for bits in packed)
    ours, theirs = get_mask_edges(*masks)
    there, back = (get_surface_distance(*outlines, spacing=sides) for outlines in ((ours, theirs), (theirs, ours)))
    return np.asarray(there), np.asarray(back)


def _sides(truth: np.ndarray, spacing: Spacing) -> tuple[float, ...]:
    sides = (1.0,) * truth.ndim if spacing is None else tuple(float(side) for side in spacing)
    if len(sides) != truth.ndim or not all(0 < side < math.inf for side in sides):
        raise ValueError(f"the spacing {list(sides)} is not one positive number for each axis of {truth.shape}")
    return sides


def _empty(prediction: np.ndarray, truth: np.ndarray) -> int:
    """How many of the two masks are empty."""
    _refuse_other_shape(prediction, truth)
    return 2 - int(prediction.any()) - int(truth.any())


def _refuse_other_shape(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
