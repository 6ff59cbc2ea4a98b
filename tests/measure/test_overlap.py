"""Dice and IoU against hand-drawn masks, all three empty cases, and MONAI."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, MeanIoU

from bench.measure.overlap import overlap

EMPTY = np.zeros((4, 4), np.uint8)
SQUARE = EMPTY.copy()
SQUARE[1:3, 1:3] = 1
SHIFTED = EMPTY.copy()
SHIFTED[1:3, 2:4] = 1  # shares two of its four pixels with the square


@pytest.mark.parametrize(
    ("prediction", "truth", "dice", "iou"),
    [
        (SQUARE, SQUARE, 1.0, 1.0),
        (SHIFTED, SQUARE, 0.5, 2 / 6),
        (1 - SQUARE, SQUARE, 0.0, 0.0),
        (EMPTY, SQUARE, 0.0, 0.0),
        (SQUARE, EMPTY, 0.0, 0.0),
        (EMPTY, EMPTY, math.nan, math.nan),
    ],
    ids=["perfect", "half", "opposite", "empty prediction", "empty truth", "both empty"],
)
def test_hand_drawn(prediction, truth, dice, iou):
    found = overlap(prediction, truth, label=1)
    assert (found.dice, found.iou) == pytest.approx((dice, iou), nan_ok=True)


def test_counts():
    assert overlap(SHIFTED, SQUARE, label=1) == (2, 2, 2)


def test_each_label_alone():
    prediction, truth = np.array([[1, 2, 2]]), np.array([[1, 2, 3]])
    assert [overlap(prediction, truth, label).dice for label in (1, 2, 3)] == pytest.approx([1, 2 / 3, 0])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"prediction \(4, 4\) and truth \(2, 4\)"):
        overlap(EMPTY, EMPTY[:2], label=1)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_monai(seed):
    rng = np.random.default_rng(seed)
    prediction, truth = (rng.random((9, 7)) < rng.random() for _ in range(2))
    as_tensors = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth)]
    found = overlap(prediction, truth, label=1)
    assert found.dice == pytest.approx(DiceMetric(ignore_empty=True)(*as_tensors).item(), nan_ok=True)
    assert found.iou == pytest.approx(MeanIoU(ignore_empty=True)(*as_tensors).item(), nan_ok=True)
