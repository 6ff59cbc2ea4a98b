"""The same images each time, whatever else is drawn."""

import torch

from bench.measure.images import random_images


def test_they_are_the_same_each_time_and_draw_from_no_other_generator():
    before = torch.get_rng_state()
    images = random_images(2, 3, 8)
    assert images.shape == (2, 3, 8, 8)
    assert 0 <= images.min() < images.max() < 1
    assert torch.equal(images, random_images(2, 3, 8))
    assert torch.equal(before, torch.get_rng_state())
