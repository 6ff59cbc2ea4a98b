"""Drawn dermoscopy: coloured, off-centre, from strong to faint lesions."""

import numpy as np

from bench.data.draw_dermoscopy import draw_dermoscopy


def test_it_draws_at_any_size_and_repeats_for_a_seed() -> None:
    for size in (64, 256):
        image, mask = draw_dermoscopy(np.random.default_rng(3), size)
        again = draw_dermoscopy(np.random.default_rng(3), size)
        assert image.shape == (size, size, 3)
        assert mask.any()
        assert np.array_equal(image, again[0])
        assert np.array_equal(mask, again[1])


def test_lesions_wander_and_their_contrast_varies() -> None:
    centres, contrasts = [], []
    for seed in range(40):
        image, mask = draw_dermoscopy(np.random.default_rng(seed), 128)
        grey = image.mean(axis=2)
        centres.append([at.mean() / 128 for at in np.nonzero(mask)])
        contrasts.append(np.median(grey[mask == 0]) - np.median(grey[mask == 1]))
    assert (np.std(centres, axis=0) > 0.08).all()
    faint, strong = np.quantile(contrasts, (0.1, 0.9))
    assert faint < 20
    assert strong > 40
