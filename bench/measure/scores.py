"""Scores of one class in one image or volume: one function per score, all with the same signature.

A score takes two boolean masks of one shape, (H, W) or (D, H, W), the prediction first, and `spacing`, the size of a
pixel along each axis in the order of the axes; without it a pixel is 1 by 1. It returns a float, NaN if it is
undefined. Raises ValueError if the shapes differ.

Dice, IoU, sensitivity and precision are shares of pixels, 0 to 1, higher is better. For empty masks:

    truth      prediction   Dice, IoU   sensitivity   precision
    empty      empty        NaN         NaN           NaN
    empty      something    0           NaN           0
    something  empty        0           0             NaN

A share with denominator 0 is undefined. So precision alone does not penalize a network that predicts nothing; its Dice
and sensitivity of 0 do. (TransUNet's code, and code copied from it, gives a Dice of 1 if the truth is empty and
something is predicted.) Sources: Dice, Ecology 26(3), 1945; Jaccard, 1901; Yerushalmy, Public Health Reports 62(40),
1947; the empty cases of Dice as in nnU-Net.
"""

import math
import warnings
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance

from bench.quantities.scores import SCORES

Spacing = Sequence[float] | None


def counts(prediction: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Number of pixels in both masks (TP), only in the prediction (FP), only in the truth (FN)."""
    _refuse_other_shape(prediction, truth)
    tp, predicted, true = (int(np.count_nonzero(mask)) for mask in (prediction & truth, prediction, truth))
    return tp, predicted - tp, true - tp


def share(name: str, prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None) -> float:
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


def hd95(prediction: np.ndarray, truth: np.ndarray, spacing: Spacing = None) -> float:
    """The 95th percentile of the distance between the outlines of two masks, in pixels or in the unit of `spacing`.

    The outline of a mask is the set of its pixels that share an edge (in 3-D a face) with a pixel outside it;
    everything beyond the image is outside. For each pixel of one outline, the Euclidean distance to the nearest pixel
    of the other is computed. HD95 is the larger of the two 95th percentiles, from prediction to truth and from truth to
    prediction. It is at least 0; lower is better. Raises ValueError if `spacing` is not one positive number per axis.

    If both masks are empty, HD95 is NaN. If exactly one is empty, HD95 is the image's diagonal, an upper bound of the
    distance of two pixels. Leaving such an image out would favor a network that misses an object over one that finds it
    in the wrong place. (MONAI returns infinity, which makes every mean infinite.)

    Sources: Huttenlocher et al., IEEE PAMI 15(9), 1993; the worst value for a mask that is missed as in Metrics
    Reloaded, Nature Methods 21, 2024. The computation is MONAI's, which crops the masks to their foreground.

    >>> hd95(np.array([[True, False, False, False]]), np.array([[False, False, False, True]]), (1.0, 0.5))
    1.5
    """
    _refuse_other_shape(prediction, truth)
    sides = [1.0] * truth.ndim if spacing is None else [float(side) for side in spacing]
    if len(sides) != truth.ndim or not all(0 < side < math.inf for side in sides):
        raise ValueError(f"the spacing {sides} is not one positive number for each axis of {truth.shape}")
    found = int(prediction.any()) + int(truth.any())
    if found == 0:
        return math.nan
    if found == 1:
        return math.dist([0.0] * truth.ndim, [(n - 1) * side for n, side in zip(truth.shape, sides, strict=True)])
    predicted, true = (torch.from_numpy(mask[None, None]) for mask in (prediction, truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI warns of an option that it passes itself
        # These masks have no background channel to exclude.
        distance = compute_hausdorff_distance(predicted, true, include_background=True, percentile=95, spacing=sides)
    return float(distance.item())


def _refuse_other_shape(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
