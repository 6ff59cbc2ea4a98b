"""Scores of a split: one an image and class, and one a volume and class, from label maps."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bench.data.prepared import Prepared
from bench.data.sample import Sample
from bench.errors import UserError
from bench.measure.dice import Scored, label_maps, refuse_other_outputs, score
from bench.quantities import DiceSpec

CPU = torch.device("cpu")


class Fixed(nn.Module):
    """Gives the logits it was made with, whatever the image."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits[: len(images)]


def prepared(masks: torch.Tensor) -> Prepared:
    n, height, width = masks.shape
    ids = tuple(f"image-{i}" for i in range(n))
    return Prepared(ids, torch.zeros(n, 3, height, width, dtype=torch.uint8), masks.to(torch.uint8))


def test_one_map_is_foreground_over_one_half():
    assert label_maps(torch.tensor([[[[-0.1, 0.0, 0.1]]]])).tolist() == [[[0, 0, 1]]]


def test_several_maps_are_the_largest_of_all():
    logits = torch.tensor([[[[3.0, 0.0]], [[1.0, 2.0]], [[2.0, 1.0]]]])
    assert label_maps(logits).tolist() == [[[0, 1]]]


def test_one_score_an_image_with_its_id():
    masks = torch.zeros(10, 4, 4)
    masks[:, :2] = 1
    masks[3] = 0
    logits = torch.where(masks > 0, 1.0, -1.0).unsqueeze(1)
    logits[1] = 1.0
    heard = []
    scored = score(Fixed(logits), prepared(masks), CPU, done=heard.append)
    scores = scored.images
    assert (scored.volumes, scored.distance_unit) == ((), "px")
    assert [s.id for s in scores] == [f"image-{i}" for i in range(10)]
    assert scores[0].dice == 1.0
    assert heard == [8, 10]
    # The second batch of the split gets the first logits again: image 9 is predicted as image 1 was, all foreground.
    assert (scores[1].dice, scores[9].dice) == (2 * 8 / 24, 2 * 8 / 24)
    assert math.isnan(scores[3].dice)


def test_each_class_of_several_has_its_own_score():
    masks = torch.tensor([[[1, 2, 3, 0]]])
    logits = torch.nn.functional.one_hot(torch.tensor([[[1, 2, 0, 0]]]), 4).permute(0, 3, 1, 2).float()
    scores = score(Fixed(logits), prepared(masks), CPU).images
    assert [(s.label, s.dice) for s in scores] == [(1, 1.0), (2, 1.0), (3, 0.0)]
    assert [(s.sensitivity, s.hd95) for s in scores] == [(1.0, 0.0), (1.0, 0.0), (0.0, 3.0)]
    assert [s.precision for s in scores] == pytest.approx([1.0, 1.0, math.nan], nan_ok=True)


def test_a_slice_is_scored_at_its_own_size_and_names_its_volume():
    truth = np.zeros((8, 4), np.uint8)
    truth[:4] = 1
    original = Sample("slice", "patient", truth.copy, truth.copy, volume="patient_frame")
    logits = torch.tensor([[[[1.0, 1.0], [-1.0, -1.0]]]])
    (found,) = score(Fixed(logits), prepared(torch.zeros(1, 2, 2)), CPU, originals=[original]).images
    assert (found.tp, found.fp, found.fn, found.volume) == (16, 0, 0, "patient_frame")


SPACING = (10.0, 2.0, 0.5)


def dot(row: int, column: int) -> np.ndarray:
    """A mask of one pixel."""
    mask = np.zeros((4, 4), np.uint8)
    mask[row, column] = 1
    return mask


NOTHING = np.zeros((4, 4), np.uint8)


def score_slices(predictions: list[np.ndarray], samples: list[Sample]) -> Scored:
    stack = torch.from_numpy(np.stack(predictions))
    logits = torch.where(stack > 0, 1.0, -1.0).unsqueeze(1)
    return score(Fixed(logits), prepared(torch.zeros_like(stack)), CPU, samples)


def slices(truths: list[np.ndarray], volumes: str, spacing: tuple[float, ...] = SPACING) -> list[Sample]:
    """A sample for each truth, of the volume with the letter at its place."""
    pairs = zip(truths, volumes, strict=True)
    return [Sample(str(n), v, t.copy, t.copy, volume=v, spacing=spacing) for n, (t, v) in enumerate(pairs)]


def test_distances_are_in_millimeters_where_every_file_gives_a_spacing():
    predictions, truths = [dot(0, 0), NOTHING, dot(3, 0)], [dot(2, 0), NOTHING, dot(3, 3)]
    found = score_slices(predictions, slices(truths, "aab"))
    assert found.distance_unit == "mm"
    assert [s.hd95 for s in found.images] == pytest.approx([4.0, math.nan, 1.5], nan_ok=True)
    assert [(v.volume, v.label, v.hd95) for v in found.volumes] == [("a", 1, 4.0), ("b", 1, 1.5)]


def test_one_file_without_a_spacing_puts_all_distances_in_pixels():
    samples = [*slices([dot(2, 0)], "a"), *slices([dot(3, 3)], "b", ())]
    found = score_slices([dot(0, 0), dot(3, 0)], samples)
    assert found.distance_unit == "px"
    assert [s.hd95 for s in found.images] == [2.0, 3.0]
    assert [v.hd95 for v in found.volumes] == [2.0, 3.0]


def test_a_volume_is_measured_across_its_slices():
    found = score_slices([dot(1, 1), NOTHING], slices([NOTHING, dot(1, 1)], "aa"))
    # In each slice alone one of the two is missed, which costs the slice's diagonal.
    assert [s.hd95 for s in found.images] == pytest.approx([math.hypot(6, 1.5)] * 2)
    assert [v.hd95 for v in found.volumes] == [10.0]


def test_a_volume_that_is_missed_costs_its_diagonal():
    found = score_slices([NOTHING] * 3, slices([dot(1, 1)] * 3, "aaa"))
    assert [v.hd95 for v in found.volumes] == pytest.approx([math.hypot(20, 6, 1.5)])


def test_a_volume_may_be_longer_than_a_batch():
    # Fixed repeats its first logits in each batch of eight, so slice 9 is predicted as slice 1.
    truths = [dot(n % 8 // 2, 0) for n in range(11)]
    found = score_slices(truths[:8] + truths[:3], slices(truths, "a" * 11))
    assert [(v.volume, v.hd95) for v in found.volumes] == [("a", 0.0)]


@pytest.mark.parametrize(
    "samples",
    [
        slices([dot(0, 0), np.zeros((4, 6), np.uint8)], "aa"),
        [*slices([dot(0, 0)], "a"), *slices([dot(0, 0)], "a", (5.0, 2.0, 0.5))],
        slices([dot(0, 0), NOTHING, dot(0, 0)], "aba"),
    ],
    ids=["other size", "other spacing", "not in a row"],
)
def test_slices_that_are_no_whole_volume_have_no_distance_in_3d(samples):
    found = score_slices([dot(0, 0)] * len(samples), samples)
    assert found.images[0].hd95 == 0.0
    assert math.isnan(next(v.hd95 for v in found.volumes if v.volume == "a"))


def test_images_that_stand_alone_make_no_volume():
    found = score_slices([dot(0, 0)], [Sample("x", "x", dot(0, 2).copy, dot(0, 2).copy)])
    assert (found.images[0].hd95, found.volumes, found.distance_unit) == (2.0, (), "px")


# ---- outputs that cannot be scored -----------------------------------------------------------------------------------

SPEC = DiceSpec(dataset="d", data="e", weights="f", classes=2, size=32)


class Returns(nn.Module):
    def __init__(self, output) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: torch.Tensor):
        return self.output(x)


def maps(x: torch.Tensor) -> torch.Tensor:
    return x[:, :2]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda x: (maps(x), maps(x)), "a tuple of 2"),
        (lambda x: {"out": maps(x), "aux": maps(x)}, "a dict of out, aux"),
        (lambda x: maps(x)[:, :, ::4, ::4], r"a tensor \(1, 2, 8, 8\)"),
        (lambda x: x, r"a tensor \(1, 3, 32, 32\)"),
        (lambda x: None, "a NoneType"),
    ],
)
def test_refusals(output, said):
    with pytest.raises(UserError, match=rf"returns {said} for an image .* need one tensor \(1, 2, 32, 32\)"):
        refuse_other_outputs(Returns(output), SPEC)


def test_what_fits_passes_and_nothing_is_drawn_or_switched():
    network = Returns(maps)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    refuse_other_outputs(network, SPEC)
    assert network.training
    assert torch.equal(before, torch.get_rng_state())
