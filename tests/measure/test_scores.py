"""Scores against hand-drawn masks, all empty cases, and MONAI; distances also against every pair of pixels."""

import math
import warnings

import numpy as np
import pytest
import torch
from monai.metrics import (
    ConfusionMatrixMetric,
    DiceMetric,
    HausdorffDistanceMetric,
    MeanIoU,
    SurfaceDiceMetric,
    SurfaceDistanceMetric,
)
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

from bench.measure import scores
from bench.measure.scores import assd, counts, failed, false_alarm, hd95, missed, nsd
from bench.quantities.scores import SCORES

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


@pytest.mark.parametrize("name", SCORES)
def test_every_score_has_a_function_that_refuses_masks_of_two_shapes(name):
    with pytest.raises(ValueError, match=r"prediction \(8, 12\) and truth \(4, 12\)"):
        getattr(scores, name)(SQUARE, SQUARE[:4], (1.0, 1.0), 1.0)


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


@pytest.mark.parametrize("seed", range(3))
def test_counts_agree_with_numpy(seed):
    prediction, truth = (np.random.default_rng([seed, n]).random((3, 6, 5)) > 0.6 for n in range(2))
    matrix = np.histogram2d(prediction.ravel(), truth.ravel(), bins=2)[0].astype(int)
    assert counts(prediction, truth) == (matrix[1, 1], matrix[1, 0], matrix[0, 1])
    tp, fp, fn = counts(prediction, truth)
    assert scores.dice_own(prediction, truth) == scores.dice(prediction, truth) == 2 * tp / (2 * tp + fp + fn)
    assert scores.iou_own(prediction, truth) == scores.iou(prediction, truth) == tp / (tp + fp + fn)


# ---- distances ------------------------------------------------------------------------------------------------------


def blob(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """About a third of the image, in a few smooth parts, some of which meet its border."""
    noise = gaussian_filter(rng.normal(size=shape), 2)
    return (noise > np.quantile(noise, 0.65)).astype(bool)


def two_blobs(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """A prediction, a truth and a spacing."""
    rng = np.random.default_rng(seed)
    prediction, truth = blob(rng, shape), blob(rng, shape)
    return prediction, truth, tuple(rng.uniform(0.5, 3, len(shape)).tolist())


def outline(mask: np.ndarray) -> np.ndarray:
    """Coordinates of the pixels with a neighbor by an edge or a face that is not of the mask, one pixel at a time."""
    pixels = {tuple(pixel) for pixel in np.argwhere(mask).tolist()}
    steps = np.concatenate([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)])
    return np.array([p for p in sorted(pixels) if any(tuple((p + step).tolist()) not in pixels for step in steps)])


def every_pair(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> list[np.ndarray]:
    """The distance of each outline pixel to the other outline: those of the prediction, then those of the truth."""
    ours, theirs = outline(prediction) * spacing, outline(truth) * spacing
    distances = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)
    return [distances.min(1), distances.min(0)]


def by_every_pair(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> float:
    return max(float(np.percentile(found, 95)) for found in every_pair(prediction, truth, spacing))


def by_transform(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> list[np.ndarray]:
    """The same by scipy: outlines by erosion, distances by the Euclidean distance transform."""
    ours, theirs = (mask & ~binary_erosion(mask) for mask in (prediction, truth))
    return [distance_transform_edt(~other, spacing)[one] for one, other in ((ours, theirs), (theirs, ours))]


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
    prediction, truth, spacing = two_blobs(seed, shape)
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


@pytest.mark.parametrize("score", [hd95, assd, nsd])
@pytest.mark.parametrize("spacing", [(), (1.0,), (1.0, 1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, math.nan)])
def test_spacing_is_one_positive_number_an_axis(score, spacing):
    with pytest.raises(ValueError, match=r"is not one positive number for each axis of \(8, 12\)"):
        score(SQUARE, SQUARE, spacing, 1.0)


@pytest.mark.parametrize("shape", [(24, 31), (5, 14, 12)])
@pytest.mark.parametrize("seed", range(3))
def test_assd_and_nsd_agree_with_every_pair_with_scipy_and_with_monai(shape, seed):
    prediction, truth, spacing = two_blobs(seed, shape)
    tensors = [torch.from_numpy(mask[None, None]) for mask in (prediction, truth)]
    monai = SurfaceDistanceMetric(include_background=True, symmetric=True)(*tensors, spacing=list(spacing)).item()
    assert assd(prediction, truth, spacing) == pytest.approx(monai)
    for found in (every_pair(prediction, truth, spacing), by_transform(prediction, truth, spacing)):
        assert assd(prediction, truth, spacing) == pytest.approx(np.concatenate(found).mean())
    for tolerance in (0.0, 0.75, 2.0, 1e3):
        monai = SurfaceDiceMetric([tolerance], include_background=True)(*tensors, spacing=list(spacing)).item()
        expected = np.mean(np.concatenate(every_pair(prediction, truth, spacing)) <= tolerance)
        assert nsd(prediction, truth, spacing, tolerance) == pytest.approx(expected)
        assert nsd(prediction, truth, spacing, tolerance) == pytest.approx(monai)


@pytest.mark.parametrize(
    ("prediction", "truth", "spacing", "mean", "within"),
    [
        (SQUARE, SQUARE, None, 0, 1),
        (row(1), row(6), None, 5, 0),
        (row(1), row(3), None, 2, 1),
        (row(1), row(6), (0.4, 9), 2, 1),
        (row(1), row(6), (0.5, 9), 2.5, 0),
        # Of the eight pixels of each outline four lie on the other one, and one is inside it, below its upper edge.
        (SHIFTED, SQUARE, None, 4 / 8, 1),
        (SHIFTED, SQUARE, (1, 4), (1 + 3 * 4) / 8, 5 / 8),
    ],
    ids=["same", "lines", "near lines", "lines in mm", "far lines in mm", "right", "right in mm"],
)
def test_assd_and_nsd_by_hand(prediction, truth, spacing, mean, within):
    for one, other in ((prediction, truth), (truth, prediction)):
        assert assd(one, other, spacing) == pytest.approx(mean)
        assert nsd(one, other, spacing, 2.0) == pytest.approx(within)


def test_a_distance_that_equals_the_tolerance_is_within_it():
    """Three times 0.1 is a little more than 0.3 in numbers of 64 bits."""
    assert nsd(row(1), row(4), (0.1, 1.0), 0.3) == 1.0
    assert nsd(row(1), row(4), (0.1, 1.0), 0.29) == 0.0


@pytest.mark.parametrize(("shape", "spacing"), [((8, 12), None), ((8, 12), (2.0, 0.5)), ((3, 5, 2), (10, 1.5, 1.25))])
def test_masks_of_one_pixel(shape, spacing):
    one, other = np.zeros(shape, bool), np.zeros(shape, bool)
    one[(0,) * len(shape)] = other[(-1,) * len(shape)] = True
    sides = spacing or (1,) * len(shape)
    diagonal = math.sqrt(sum(((n - 1) * side) ** 2 for n, side in zip(shape, sides, strict=True)))
    assert (hd95(one, other, spacing), assd(one, other, spacing)) == pytest.approx((diagonal, diagonal))
    within = [nsd(one, other, spacing, tolerance) for tolerance in (0, diagonal - 0.01, diagonal + 0.01)]
    assert within == [0.0, 0.0, 1.0]
    assert (hd95(one, one, spacing), assd(one, one, spacing), nsd(one, one, spacing, 0)) == (0.0, 0.0, 1.0)


def test_a_mask_that_was_changed_in_place_has_a_score_of_its_own():
    """Distances are kept from one score to the next, by what is in the masks."""
    mask = SQUARE.copy()
    assert assd(mask, SQUARE) == 0
    mask[:] = SHIFTED
    assert (assd(mask, SQUARE), assd(SQUARE, SQUARE)) == (4 / 8, 0)
    assert hd95(mask[:, ::-1], SQUARE) == pytest.approx(by_every_pair(mask[:, ::-1], SQUARE, (1, 1)))


# ---- empty masks -----------------------------------------------------------------------------------------------------

DIAGONAL = math.hypot(7, 11)


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        (EMPTY, EMPTY, {"nsd": math.nan, "assd": math.nan, "failed": math.nan, "missed": math.nan, "false_alarm": 0}),
        (SQUARE, EMPTY, {"nsd": 0, "assd": DIAGONAL, "failed": math.nan, "missed": math.nan, "false_alarm": 1}),
        (EMPTY, SQUARE, {"nsd": 0, "assd": DIAGONAL, "failed": 1, "missed": 1, "false_alarm": math.nan}),
        (SQUARE, SQUARE, {"nsd": 1, "assd": 0, "failed": 0, "missed": 0, "false_alarm": math.nan}),
    ],
    ids=["both", "truth", "prediction", "none"],
)
def test_empty_masks_of_the_other_scores(prediction, truth, expected):
    found = {name: getattr(scores, name)(prediction, truth, None, 0.0) for name in expected}
    assert found == pytest.approx(expected, nan_ok=True)
    volumes = np.stack([prediction] * 3), np.stack([truth] * 3)
    deep = {name: getattr(scores, name)(*volumes, None, 0.0) for name in expected if name != "assd"}
    assert deep == pytest.approx({name: value for name, value in expected.items() if name != "assd"}, nan_ok=True)


def test_without_a_tolerance_there_is_no_nsd():
    assert math.isnan(nsd(SQUARE, SQUARE))


# ---- objects ---------------------------------------------------------------------------------------------------------


def drawn(*lines: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in line] for line in lines])


LESIONS = drawn("##....#", "##...#.", ".......", ".#.....")  # the third touches by a corner, and is one with the fourth


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (LESIONS, 0),
        (~LESIONS, 1),
        (drawn("#......", ".......", ".......", "......."), 2 / 3),
        (drawn("#......", "#......", "#......", "......#"), 2 / 3),  # one found twice, and something beside the others
        (drawn(".......", ".....#.", ".......", ".#....."), 1 / 3),
    ],
    ids=["all", "around them", "one", "one twice", "two"],
)
def test_missed_objects(prediction, expected):
    assert missed(prediction, LESIONS) == pytest.approx(expected)


def test_an_object_may_go_over_slices_by_a_corner():
    truth, prediction = np.zeros((4, 5, 5), bool), np.zeros((4, 5, 5), bool)
    truth[0, 0, 0] = truth[1, 1, 1] = truth[3, 3, 3] = True
    prediction[1, 1, 1] = True
    assert missed(prediction, truth) == 0.5


def by_flooding(prediction: np.ndarray, truth: np.ndarray) -> float:
    """The share of missed objects, found pixel by pixel."""
    left, count, lost = {tuple(pixel) for pixel in np.argwhere(truth).tolist()}, 0, 0
    while left:
        edge, parts = [left.pop()], []
        while edge:
            pixel = edge.pop()
            parts.append(pixel)
            near = {other for other in left if max(abs(a - b) for a, b in zip(pixel, other, strict=True)) <= 1}
            left -= near
            edge += near
        count, lost = count + 1, lost + (not any(prediction[pixel] for pixel in parts))
    return lost / count


@pytest.mark.parametrize("shape", [(20, 20), (5, 8, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_missed_objects_agree_with_a_search_pixel_by_pixel(shape, seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.random(shape) > 0.9, rng.random(shape) > 0.8
    assert 0 < missed(prediction, truth) < 1
    assert missed(prediction, truth) == pytest.approx(by_flooding(prediction, truth))


def test_a_target_fails_under_a_dice_of_one_half():
    truth = drawn("####....")
    tries = [drawn("..######"), drawn("..####.."), drawn("..###...")]  # Dice 4 / 10, 4 / 8, 4 / 7
    assert [failed(prediction, truth) for prediction in tries] == [1.0, 0.0, 0.0]


def test_anything_predicted_without_a_target_is_a_false_alarm():
    assert false_alarm(drawn("...", "..#"), drawn("...", "...")) == 1.0
    assert false_alarm(drawn("...", "..."), drawn("...", "...")) == 0.0
    assert math.isnan(false_alarm(drawn("...", "..#"), drawn("#..", "...")))
