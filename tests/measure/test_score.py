"""Scores of a split: one an image and class, from label maps."""

import math

import numpy as np
import torch
from torch import nn

from bench.data.prepared import Prepared
from bench.data.sample import Sample
from bench.measure.score import label_maps, score

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
    scores = score(Fixed(logits), prepared(masks), CPU, done=heard.append)
    assert [s.id for s in scores] == [f"image-{i}" for i in range(10)]
    assert scores[0].dice == 1.0
    assert heard == [8, 10]
    # The second batch of the split gets the first logits again: image 9 is predicted as image 1 was, all foreground.
    assert (scores[1].dice, scores[9].dice) == (2 * 8 / 24, 2 * 8 / 24)
    assert math.isnan(scores[3].dice)


def test_each_class_of_several_has_its_own_score():
    masks = torch.tensor([[[1, 2, 3, 0]]])
    logits = torch.nn.functional.one_hot(torch.tensor([[[1, 2, 0, 0]]]), 4).permute(0, 3, 1, 2).float()
    scores = score(Fixed(logits), prepared(masks), CPU)
    assert [(s.label, s.dice) for s in scores] == [(1, 1.0), (2, 1.0), (3, 0.0)]


def test_a_slice_is_scored_at_its_own_size_and_names_its_volume():
    truth = np.zeros((8, 4), np.uint8)
    truth[:4] = 1
    original = Sample("slice", "patient", truth.copy, truth.copy, volume="patient_frame")
    logits = torch.tensor([[[[1.0, 1.0], [-1.0, -1.0]]]])
    (found,) = score(Fixed(logits), prepared(torch.zeros(1, 2, 2)), CPU, originals=[original])
    assert (found.tp, found.fp, found.fn, found.volume) == (16, 0, 0, "patient_frame")
