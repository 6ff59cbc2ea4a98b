"""Scores against hand-drawn masks, all three empty cases, and MONAI; HD95 also against every pair of pixels."""

import math
import warnings

import numpy as np
import pytest
import torch
from monai.metrics import ConfusionMatrixMetric, DiceMetric, HausdorffDistanceMetric, MeanIoU
from scipy.ndimage import gaussian_filter

from bench.measure import scores
from bench.measure.scores import counts, hd95

EMPTY = np.zeros((8, 12), bool)
SQUARE = EMPTY.copy()
SQUARE[2:5, 2:5] = True


def row(at: int) -> np.ndarray:
    mask = EMPTY.copy()
    mask[at] = True
    return mask


def moved(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    return np.roll(mask, (down, right), (0, 1))


PIXEL_SCORES = (scores.dice, scores.iou, scores.sensitivity, scores.precision)
SHIFTED, TALLER = moved(SQUARE, 0, 1), EMPTY.copy()  # six of the square's nine pixels, and the square with a row more
TALLER[1:5, 2:5] = True


@pytest.mark.parametrize(
    ("prediction", "truth", "dice", "iou", "sensitivity", "precision"),
    [
        (SQUARE, SQUARE, 1.0, 1.0, 1.0, 1.0),
        (SHIFTED, SQUARE, 6 / 9, 6 / 12, 6 / 9, 6 / 9),
        (TALLER, SQUARE, 18 / 21, 9 / 12, 1.0, 9 / 12),
        (SQUARE, TALLER, 18 / 21, 9 / 12, 9 / 12, 1.0),
        (~SQUARE, SQUARE, 0.0, 0.0, 0.0, 0.0),
        (EMPTY, SQUARE, 0.0, 0.0, 0.0, math.nan),
        (SQUARE, EMPTY, 0.0, 0.0, math.nan, 0.0),
        (EMPTY, EMPTY, math.nan, math.nan, math.nan, math.nan),
    ],
    ids=["perfect", "shifted", "too much", "too little", "opposite", "empty prediction", "empty truth", "both empty"],
)
def test_shares_of_pixels_by_hand(prediction, truth, dice, iou, sensitivity, precision):
    expected = pytest.approx((dice, iou, sensitivity, precision), nan_ok=True)
    assert tuple(score(prediction, truth) for score in PIXEL_SCORES) == expected


def test_counts():
    assert counts(SHIFTED, TALLER) == (6, 3, 6)


@pytest.mark.parametrize("score", [*PIXEL_SCORES, hd95])
def test_shapes_must_agree(score):
    with pytest.raises(ValueError, match=r"prediction \(8, 12\) and truth \(4, 12\)"):
        score(EMPTY, EMPTY[:4])


@pytest.mark.parametrize("seed", range(5))
def test_shares_agree_with_monai_on_each_class_of_several(seed):
    rng = np.random.default_rng(seed)
    prediction, truth = (rng.integers(0, 4, (9, 7)) for _ in range(2))
    one_hot = [torch.nn.functional.one_hot(torch.from_numpy(m), 4).movedim(2, 0)[None] for m in (prediction, truth)]
    counted = ConfusionMatrixMetric(False, ("sensitivity", "precision"), compute_sample=True, reduction="none")
    counted(*one_hot)
    theirs = [DiceMetric(include_background=False)(*one_hot), MeanIoU(include_background=False)(*one_hot)]
    for label, expected in enumerate(torch.cat([*theirs, *counted.aggregate()]).T.tolist(), 1):
        found = [score(prediction == label, truth == label) for score in PIXEL_SCORES]
        assert found == pytest.approx(expected)


# ---- HD95 ------------------------------------------------------------------------------------------------------------


def blob(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """About a third of the image, in a few smooth parts, some of which meet its border."""
    noise = gaussian_filter(rng.normal(size=shape), 2)
    return (noise > np.quantile(noise, 0.65)).astype(bool)


def outline(mask: np.ndarray) -> np.ndarray:
    """Coordinates of the pixels with a neighbor by an edge or a face that is not of the mask, one pixel at a time."""
    pixels = {tuple(pixel) for pixel in np.argwhere(mask).tolist()}
    steps = np.concatenate([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)])
    return np.array([p for p in sorted(pixels) if any(tuple((p + step).tolist()) not in pixels for step in steps)])


def by_every_pair(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> float:
    ours, theirs = outline(prediction) * spacing, outline(truth) * spacing
    distances = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)
    return max(float(np.percentile(distances.min(axis), 95)) for axis in (0, 1))


@pytest.mark.parametrize(
    ("prediction", "truth", "spacing", "expected"),
    [
        (SQUARE, SQUARE, None, 0),
        (row(1), row(6), None, 5),
        (row(1), row(6), (0.5, 9), 2.5),
        (moved(SQUARE, 0, 7), SQUARE, None, 7),
        (moved(SQUARE, 0, 7), SQUARE, (9, 0.5), 3.5),
        # Of the eight distances the two largest are the root of 20 and 5; the 95th percentile lies between them.
        (moved(SQUARE, 3, 4), SQUARE, None, math.sqrt(20) + 0.65 * (5 - math.sqrt(20))),
        (~EMPTY, row(0), None, 7),
    ],
    ids=["identical", "lines", "lines in mm", "right", "right in mm", "down and right", "whole image"],
)
def test_hand_drawn(prediction, truth, spacing, expected):
    assert hd95(prediction, truth, spacing) == pytest.approx(expected)
    assert hd95(truth, prediction, spacing) == pytest.approx(expected)


def test_a_volume_with_slices_far_apart():
    truth = np.zeros((5, 6, 6), bool)
    truth[1, 2:4, 2:4] = True
    assert hd95(np.roll(truth, 2, 0), truth, (10, 1.5, 1.25)) == 20
    assert hd95(np.roll(truth, 2, 1), truth, (10, 1.5, 1.25)) == 3
    assert hd95(np.roll(truth, 2, 2), truth, (10, 1.5, 1.25)) == 2.5


@pytest.mark.parametrize(("shape", "spacing"), [((8, 12), None), ((8, 12), (2.0, 0.5)), ((3, 5, 2), (10, 1.5, 1.25))])
def test_empty_masks(shape, spacing):
    empty, something = np.zeros(shape, bool), np.zeros(shape, bool)
    something[(1,) * len(shape)] = True
    sides = spacing or (1,) * len(shape)
    diagonal = math.sqrt(sum(((n - 1) * side) ** 2 for n, side in zip(shape, sides, strict=True)))
    assert math.isnan(hd95(empty, empty, spacing))
    assert hd95(empty, something, spacing) == pytest.approx(diagonal)
    assert hd95(something, empty, spacing) == pytest.approx(diagonal)


def test_nothing_found_is_no_better_than_the_opposite_corner():
    corner, opposite = EMPTY.copy(), EMPTY.copy()
    corner[0, 0] = opposite[-1, -1] = True
    assert hd95(EMPTY, corner) == pytest.approx(hd95(opposite, corner))


@pytest.mark.parametrize("shape", [(24, 31), (5, 14, 12)])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_every_pair_of_outline_pixels_and_with_monai(shape, seed):
    rng = np.random.default_rng(seed)
    prediction, truth = blob(rng, shape), blob(rng, shape)
    spacing = tuple(rng.uniform(0.5, 3, len(shape)).tolist())
    expected = by_every_pair(prediction, truth, spacing)
    as_tensors = [torch.from_numpy(mask[None, None]) for mask in (prediction, truth)]
    monai = HausdorffDistanceMetric(include_background=True, percentile=95)(*as_tensors, spacing=list(spacing))
    assert hd95(prediction, truth, spacing) == pytest.approx(expected, rel=1e-5)
    assert hd95(prediction, truth, spacing) == pytest.approx(monai.item())


@pytest.mark.parametrize("seed", range(3))
def test_the_image_around_the_masks_changes_nothing(seed):
    """So neither MONAI's cropping nor the border of the image, at which a mask has an outline too, moves a value."""
    rng = np.random.default_rng(seed)
    prediction, truth = blob(rng, (20, 20)), blob(rng, (20, 20))
    truth[0], prediction[:, -1] = 1, 1
    wider = [np.pad(mask, ((3, 9), (7, 0))) for mask in (prediction, truth)]
    assert hd95(prediction, truth) == hd95(*wider)
    assert hd95(prediction, truth) == pytest.approx(by_every_pair(prediction, truth, (1, 1)), rel=1e-5)


def test_no_warning_reaches_the_user():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for prediction, truth in [(SQUARE, SQUARE), (EMPTY, SQUARE), (SQUARE, EMPTY), (EMPTY, EMPTY)]:
            hd95(prediction, truth)
    assert heard == []


@pytest.mark.parametrize("spacing", [(), (1.0,), (1.0, 1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, math.nan)])
def test_spacing_is_one_positive_number_an_axis(spacing):
    with pytest.raises(ValueError, match=r"is not one positive number for each axis of \(8, 12\)"):
        hd95(SQUARE, SQUARE, spacing)
