"""Dice, IoU, sensitivity and precision of one class of one image, from counts of pixels.

Definition: Dice = 2 TP / (2 TP + FP + FN), IoU = TP / (TP + FP + FN), sensitivity (recall) = TP / (TP + FN), the share
of the truth that is found, precision = TP / (TP + FP), the share of the prediction that is right; all without a unit,
0 to 1, higher is better.

Empty masks:

    truth      prediction   Dice, IoU   sensitivity   precision
    empty      empty        NaN         NaN           NaN
    empty      something    0           NaN           0
    something  empty        0           0             NaN

A share of nothing is undefined, NaN. So precision alone does not punish a network that predicts nothing; its Dice and
sensitivity of 0 do. (TransUNet's code, and what copied it, gives a Dice of 1 where a truth is empty and something is
predicted.) Source: Dice, Ecology 26(3), 1945; Jaccard, 1901; Yerushalmy, Public Health Reports 62(40), 1947; the empty
cases of Dice as in nnU-Net.
"""

import math
from typing import NamedTuple

import numpy as np


class Overlap(NamedTuple):
    """Pixels in both masks, in the prediction alone, in the truth alone."""

    tp: int
    fp: int
    fn: int

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN where both masks are empty."""
        size = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / size if size else math.nan

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN); NaN where both masks are empty."""
        union = self.tp + self.fp + self.fn
        return self.tp / union if union else math.nan

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN); NaN where the truth is empty."""
        true = self.tp + self.fn
        return self.tp / true if true else math.nan

    @property
    def precision(self) -> float:
        """TP / (TP + FP); NaN where nothing is predicted."""
        predicted = self.tp + self.fp
        return self.tp / predicted if predicted else math.nan


def overlap(prediction: np.ndarray, truth: np.ndarray, label: int) -> Overlap:
    """Count one class in two label maps of one shape, any integer or boolean dtype. ValueError where the shapes differ.

    >>> overlap(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]), label=1).dice
    0.5
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
    predicted, true = prediction == label, truth == label
    both = int(np.count_nonzero(predicted & true))
    return Overlap(both, int(np.count_nonzero(predicted)) - both, int(np.count_nonzero(true)) - both)
