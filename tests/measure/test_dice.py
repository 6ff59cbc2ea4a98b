"""Scores of a split: one an image and class, and one a volume and class, from label maps."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bench.data.prepared import Prepared
from bench.data.sample import Sample
from bench.errors import UserError
from bench.measure.dice import (
    Case,
    Scored,
    best_candidate,
    compare,
    label_maps,
    own_label_map,
    refuse_other_outputs,
    score,
)
from bench.networks.adapt import adapted
from bench.networks.table import Shapes
from bench.quantities import DiceSpec, TrainSpec

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


def score_alone(logits: torch.Tensor, masks: torch.Tensor, **more) -> Scored:
    """Score images that stand alone, whose own masks have the network's size."""
    ready = prepared(masks)
    samples = [Sample(name, name, mask.numpy, mask.numpy) for name, mask in zip(ready.ids, ready.masks, strict=True)]
    return score(Fixed(logits), ready, CPU, samples, **more)


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
    scored = score_alone(logits, masks, done=heard.append)
    scores = scored.images
    assert (scored.volumes, scored.distance_unit) == ((), "px")
    assert [s.id for s in scores] == [f"image-{i}" for i in range(10)]
    assert scores[0].dice == 1.0
    assert heard == [8, 10]
    # The second batch of the split gets the first logits again: image 9 is predicted as image 1 was, all foreground.
    assert (scores[1].dice, scores[9].dice) == (2 * 8 / 24, 2 * 8 / 24)
    assert math.isnan(scores[3].dice)
    assert [scores[n].score("false_alarm") for n in (0, 3)] == pytest.approx([math.nan, 0.0], nan_ok=True)


def test_each_class_of_several_has_its_own_score():
    masks = torch.tensor([[[1, 2, 3, 0]]])
    logits = torch.nn.functional.one_hot(torch.tensor([[[1, 2, 0, 0]]]), 4).permute(0, 3, 1, 2).float()
    scores = score_alone(logits, masks).images
    assert [(s.label, s.dice) for s in scores] == [(1, 1.0), (2, 1.0), (3, 0.0)]
    assert [(s.sensitivity, s.hd95) for s in scores] == [(1.0, 0.0), (1.0, 0.0), (0.0, 3.0)]
    assert [s.precision for s in scores] == pytest.approx([1.0, 1.0, math.nan], nan_ok=True)


# Of a network of 2 x 2 pixels, surer of its left column than of its right one, for images of 2 x 8. Scaled back, a row
# of the logits is 3, 3, 2.5, 1.5, 0.5, -0.5, -1, -1: one column more is foreground than by nearest neighbor.
SURE_LEFT = torch.tensor([[[[3.0, -1.0], [3.0, -1.0]]]])
HALF = np.repeat([[1, 1, 1, 1, 0, 0, 0, 0]], 2, 0).astype(np.uint8)


def score_half(protocol: str, truth: np.ndarray = HALF):
    sample = Sample("slice", "patient", truth.copy, truth.copy, volume="patient_frame")
    (found,) = score(Fixed(SURE_LEFT), prepared(torch.tensor([[[1, 0], [1, 0]]])), CPU, [sample], protocol).images
    return found


@pytest.mark.parametrize(("protocol", "counts"), [("per_image", (2, 0, 0)), ("per_volume", (8, 0, 0))])
def test_each_line_has_counts_on_the_grid_of_the_protocol_and_on_its_own(protocol, counts):
    found = score_half(protocol)
    assert (found.tp, found.fp, found.fn) == counts
    assert (found.own_tp, found.own_fp, found.own_fn) == (8, 2, 0)
    assert (found.dice, found.iou) == (1.0, 1.0)
    assert (found.score("dice_own"), found.score("iou_own")) == (16 / 18, 8 / 10)
    assert (found.id, found.volume, found.patient) == ("slice", "patient_frame", "patient")


@pytest.mark.parametrize("protocol", ["per_image", "per_volume"])
def test_outlines_and_missed_objects_are_compared_on_the_images_own_grid(protocol):
    found = score_half(protocol)
    # On the protocol's grid the two outlines are the same.
    assert found.hd95 == pytest.approx(1.0)
    assert found.score("assd") == pytest.approx(2 / 18)
    corner = np.zeros((2, 8), np.uint8)
    corner[0, 4] = 1
    assert score_half(protocol, corner).score("missed") == 0.0


def test_failures_and_false_alarms_are_counted_on_the_grid_of_the_protocol():
    """As Dice is: by nearest neighbor column 4 is background, scaled back it is foreground."""
    column = np.zeros((2, 8), np.uint8)
    column[:, 4] = 1
    found = score_half("per_volume", column)
    assert (found.dice, found.score("failed"), found.own_tp) == (0.0, 1.0, 2)


@pytest.mark.parametrize("maps", [1, 4])
@pytest.mark.parametrize("shape", [(9, 14), (5, 5), (3, 21)])
def test_scaling_back_is_bilinear_with_the_corners_of_the_outer_pixels_aligned(maps, shape):
    """Against the plain formula of a pixel's weights, one axis after the other."""
    logits = torch.randn(maps, 6, 7, generator=torch.Generator().manual_seed(maps))

    def weights(old: int, new: int) -> np.ndarray:
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(old)))

    by_hand = np.einsum("yi,mij,xj->myx", weights(6, shape[0]), logits.numpy(), weights(7, shape[1]))
    expected = by_hand[0] > 0 if maps == 1 else by_hand.argmax(0)
    assert (own_label_map(logits, shape) == expected).all()


def test_an_image_of_the_networks_size_has_the_same_figures_on_both_grids():
    logits = torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    for found in score_alone(logits, torch.arange(432).reshape(3, 12, 12) % 5 > 2).images:
        assert (found.tp, found.fp, found.fn) == (found.own_tp, found.own_fp, found.own_fn)
        assert (found.dice, found.iou) == (found.score("dice_own"), found.score("iou_own"))


def test_the_tolerance_is_that_of_the_normalized_surface_dice():
    masks = torch.zeros(1, 1, 8)
    masks[..., :3] = 1
    logits = torch.where(torch.arange(8) < 5, 1.0, -1.0).reshape(1, 1, 1, 8)  # two pixels too many
    within = [score_alone(logits, masks, tolerance=t).images[0].score("nsd") for t in (None, 0.0, 1.0, 2.0)]
    assert within == pytest.approx([math.nan, 6 / 8, 7 / 8, 1.0], nan_ok=True)


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
    return score(Fixed(logits), prepared(torch.zeros_like(stack)), CPU, samples, "per_volume", tolerance=1.0)


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


def test_a_volume_has_every_score_that_does_not_follow_from_counts():
    """Two objects, one of them over two slices: the found slice is enough for it, the other is missed."""
    truths = [dot(0, 0), dot(1, 1), NOTHING, dot(3, 3)]
    found = score_slices([dot(0, 0), NOTHING, NOTHING, NOTHING], slices(truths, "aaaa"))
    assert [image.score("missed") for image in found.images] == pytest.approx([0.0, 1.0, math.nan, 1.0], nan_ok=True)
    (volume,) = found.volumes
    names = ("missed", "failed", "false_alarm", "nsd")
    # Dice is 2 / 4, which is no failure. Of the outlines' four pixels, two lie on the other outline.
    assert [volume.score(name) for name in names] == pytest.approx([0.5, 0.0, math.nan, 2 / 4], nan_ok=True)
    near, far = math.hypot(10, 2, 0.5), math.hypot(30, 6, 1.5)
    assert volume.score("assd") == pytest.approx((0 + 0 + near + far) / 4)


def test_masks_predicted_elsewhere_are_compared_without_a_network():
    sample = Sample("x", "p", dot(0, 2).copy, dot(0, 2).copy, spacing=(0.5, 0.25))
    masks = (dot(0, 0), dot(0, 2))
    found = compare([Case(sample, range(1, 2), {"protocol": masks, "own": masks})], in_mm=True, tolerance=0.5)
    (image,) = found.images
    assert (found.distance_unit, image.hd95, image.score("nsd"), image.patient) == ("mm", 0.5, 1.0, "p")


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


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda x: maps(x) / 0, "2048 of 2048 values of the output are NaN or infinite; see that its weights"),
        (lambda x: maps(x) + torch.rand(1), "gives another output for the same input: two calls in eval mode differ"),
        (lambda x: maps(x) * 0 + 1, "the output is 1 at every pixel of a random image, whatever the weights are"),
    ],
)
def test_what_is_not_finite_not_repeatable_or_constant_is_refused(output, said):
    with pytest.raises(UserError, match=said):
        refuse_other_outputs(Returns(output), SPEC)


def test_a_last_layer_that_starts_at_zero_is_no_constant():
    network = nn.Conv2d(3, 2, 1)
    nn.init.zeros_(network.weight)
    refuse_other_outputs(network, SPEC)
    assert not network.weight.any()


def test_a_network_that_says_one_thing_everywhere_may_learn_another():
    class Ones(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.tensor(9.0))

        def forward(self, x):
            return maps(x) * 0 + self.bias

    refuse_other_outputs(Ones(), SPEC)


def test_a_fault_of_the_training_mode_is_told_before_a_training_alone():
    class Loss(nn.Conv2d):
        def forward(self, x):
            return super().forward(x).mean() if self.training else super().forward(x)

    network = adapted(Loss(3, 2, 1), "Net", Shapes(3, 2, 32))
    refuse_other_outputs(network, SPEC)
    training = TrainSpec(steps=1, checkpoint_interval=1, batch=1)
    with pytest.raises(UserError, match="cannot be trained: in training mode its output"):
        refuse_other_outputs(network, SPEC.model_copy(update={"weights": "", "train": training}))


@pytest.mark.parametrize("right", [0, 1, 2])
def test_the_best_of_equal_maps_is_that_with_the_largest_mean_the_first_of_equals(right):
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 1, 1)

        def forward(self, x):
            found = [self.layer(x) - 100 for _ in range(right)] + [self.layer(x)] * 2
            return tuple(found)

    network = adapted(Several(), "Net", Shapes(3, 1, 8))
    network.network.layer.bias.data.fill_(50)
    assert best_candidate(network, prepared(torch.ones(9, 8, 8)), CPU, 1) == right


def test_what_fits_passes_and_nothing_is_drawn_or_switched():
    network = Returns(maps)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    refuse_other_outputs(network, SPEC)
    assert network.training
    assert torch.equal(before, torch.get_rng_state())
