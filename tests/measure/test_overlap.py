"""Dice, IoU, sensitivity and precision against hand-drawn masks, all three empty cases, and MONAI."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import ConfusionMatrixMetric, DiceMetric, MeanIoU

from bench.measure.overlap import overlap

EMPTY = np.zeros((4, 4), np.uint8)
SQUARE = EMPTY.copy()
SQUARE[1:3, 1:3] = 1
SHIFTED = EMPTY.copy()
SHIFTED[1:3, 2:4] = 1  # shares two of its four pixels with the square
TALLER = EMPTY.copy()
TALLER[:3, 1:3] = 1  # the square and two pixels more


@pytest.mark.parametrize(
    ("prediction", "truth", "dice", "iou", "sensitivity", "precision"),
    [
        (SQUARE, SQUARE, 1.0, 1.0, 1.0, 1.0),
        (SHIFTED, SQUARE, 0.5, 2 / 6, 0.5, 0.5),
        (TALLER, SQUARE, 0.8, 4 / 6, 1.0, 4 / 6),
        (SQUARE, TALLER, 0.8, 4 / 6, 4 / 6, 1.0),
        (1 - SQUARE, SQUARE, 0.0, 0.0, 0.0, 0.0),
        (EMPTY, SQUARE, 0.0, 0.0, 0.0, math.nan),
        (SQUARE, EMPTY, 0.0, 0.0, math.nan, 0.0),
        (EMPTY, EMPTY, math.nan, math.nan, math.nan, math.nan),
    ],
    ids=["perfect", "half", "too much", "too little", "opposite", "empty prediction", "empty truth", "both empty"],
)
def test_hand_drawn(prediction, truth, dice, iou, sensitivity, precision):
    found = overlap(prediction, truth, label=1)
    expected = pytest.approx((dice, iou, sensitivity, precision), nan_ok=True)
    assert (found.dice, found.iou, found.sensitivity, found.precision) == expected


def test_counts():
    assert overlap(SHIFTED, SQUARE, label=1) == (2, 2, 2)


def test_each_label_alone():
    prediction, truth = np.array([[1, 2, 2]]), np.array([[1, 2, 3]])
    assert [overlap(prediction, truth, label).dice for label in (1, 2, 3)] == pytest.approx([1, 2 / 3, 0])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"prediction \(4, 4\) and truth \(2, 4\)"):
        overlap(EMPTY, EMPTY[:2], label=1)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_monai_on_each_class_of_several(seed):
    rng = np.random.default_rng(seed)
    prediction, truth = (rng.integers(0, 4, (9, 7)) for _ in range(2))
    one_hot = [torch.nn.functional.one_hot(torch.from_numpy(m), 4).movedim(2, 0)[None] for m in (prediction, truth)]
    counted = ConfusionMatrixMetric(False, ("sensitivity", "precision"), compute_sample=True, reduction="none")
    counted(*one_hot)
    theirs = [DiceMetric(include_background=False)(*one_hot), MeanIoU(include_background=False)(*one_hot)]
    for label, expected in enumerate(torch.cat([*theirs, *counted.aggregate()]).T.tolist(), 1):
        found = overlap(prediction, truth, label)
        assert (found.dice, found.iou, found.sensitivity, found.precision) == pytest.approx(expected)
