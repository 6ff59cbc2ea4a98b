"""Drawn ultrasound: grey, speckled, and the nodule is not simply what is darkest."""

import numpy as np

from bench.data.draw_ultrasound import draw_ultrasound


def test_it_draws_at_any_size_and_repeats_for_a_seed() -> None:
    for size in (64, 256):
        image, mask = draw_ultrasound(np.random.default_rng(3), size)
        again = draw_ultrasound(np.random.default_rng(3), size)
        assert image.shape == (size, size, 3)
        assert mask.any()
        assert np.array_equal(image, again[0])
        assert np.array_equal(mask, again[1])


def test_nodules_are_mostly_but_not_always_darker_than_what_surrounds_them() -> None:
    darker = []
    for seed in range(40):
        image, mask = draw_ultrasound(np.random.default_rng(seed), 128)
        grey = image[:, :, 0].astype(float)
        ring = np.zeros_like(mask)
        for shift in (-8, 8):
            for axis in (0, 1):
                ring |= np.roll(mask, shift, axis=axis)
        darker.append(grey[mask == 1].mean() < grey[(ring == 1) & (mask == 0)].mean())
    assert 0.6 < np.mean(darker) < 1


def test_the_darkest_pixels_lie_mostly_outside_the_nodule() -> None:
    shares = []
    for seed in range(40):
        image, mask = draw_ultrasound(np.random.default_rng(seed), 128)
        grey = image[:, :, 0]
        shares.append(mask[grey <= np.quantile(grey, 0.05)].mean())
    assert np.mean(shares) < 0.5
