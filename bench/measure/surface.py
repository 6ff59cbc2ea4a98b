"""HD95, the distance between the outlines of one class in two label maps: how far off its border is.

Definition: the outline of a mask is its pixels that share an edge (in 3-D a face) with a pixel that is not of it, and
nothing beyond the image is of it. Each pixel of one outline has a Euclidean distance to the nearest of the other; HD95
is the larger of the two 95th percentiles, from prediction to truth and from truth to prediction. Its unit is the pixel,
or that of the spacing; from 0, lower is better.

Empty masks: where both are empty there is no distance, NaN. Where exactly one is, HD95 is the image's diagonal, which
no two of its pixels surpass: a network that misses what is there must not fare better than one that finds it in the
wrong place, as it would if the image were left out. (MONAI gives infinity, which no mean survives.)

Source: Huttenlocher et al., IEEE PAMI 15(9), 1993; the worst value for a mask that is missed as in Metrics Reloaded,
Nature Methods 21, 2024. The computation is MONAI's, which crops the masks to what is in them.
"""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance


def hd95(prediction: np.ndarray, truth: np.ndarray, label: int, spacing: Sequence[float] | None = None) -> float:
    """The 95th percentile of the distance between one class's outlines in two label maps, (H, W) or (D, H, W).

    `spacing` is the size of a pixel along each axis, in the order of the axes; without it a pixel is 1 by 1. ValueError
    where the shapes differ, or `spacing` is not one positive number an axis.

    >>> hd95(np.array([[1, 0, 0, 0]]), np.array([[0, 0, 0, 1]]), label=1, spacing=(1.0, 0.5))
    1.5
    """
    sides = _sides(prediction.shape, truth.shape, spacing)
    masks = prediction == label, truth == label
    found = sum(bool(mask.any()) for mask in masks)
    if found == 0:
        return math.nan
    if found == 1:
        return math.dist([0.0] * truth.ndim, [(n - 1) * side for n, side in zip(truth.shape, sides, strict=True)])
    predicted, true = (torch.from_numpy(mask[None, None]) for mask in masks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI warns of an option that it passes itself
        # These maps have no background channel to leave out.
        distance = compute_hausdorff_distance(predicted, true, include_background=True, percentile=95, spacing=sides)
    return float(distance.item())


def _sides(predicted: tuple[int, ...], true: tuple[int, ...], spacing: Sequence[float] | None) -> list[float]:
    """The size of a pixel along each axis, checked."""
    if predicted != true:
        raise ValueError(f"prediction {predicted} and truth {true} differ in shape")
    sides = [1.0] * len(true) if spacing is None else [float(side) for side in spacing]
    if len(sides) != len(true) or not all(0 < side < math.inf for side in sides):
        raise ValueError(f"the spacing {sides} is not one positive number for each axis of {true}")
    return sides
