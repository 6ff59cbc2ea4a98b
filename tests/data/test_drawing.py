"""Drawn images: the tools, and what makes each kind a fair stand-in."""

import numpy as np
import pytest

from bench.data.drawing import Outline, clouds, draw_dermoscopy, draw_ultrasound, inside, outline, smear, wave


def test_a_smooth_outline_is_the_ellipse_it_says() -> None:
    ellipse = Outline(x=60, y=50, radius=20, aspect=4, turn=0, waves=np.ones(720))
    within = ellipse.depth(128) < 1
    # Half axes 40 and 10: the aspect changes the shape, not the area.
    assert within[50].sum() == pytest.approx(80, abs=2)
    assert within[:, 60].sum() == pytest.approx(20, abs=2)
    assert within.sum() == pytest.approx(np.pi * 400, rel=0.02)


def test_rough_outlines_keep_about_their_area_and_never_cross_the_center() -> None:
    for seed in range(10):
        drawn = outline(np.random.default_rng(seed), 64, 64, 25, 1.3, 0.2)
        assert drawn.waves.min() >= 0.35
        assert (drawn.depth(128) < 1).sum() == pytest.approx(np.pi * 625, rel=0.2)
        assert drawn.depth(128).dtype == np.float32


def test_noise_is_smooth_and_about_normal() -> None:
    rng = np.random.default_rng(0)
    noise = clouds(rng, 128, 16)
    assert noise.shape == (128, 128)
    assert np.abs(np.diff(noise, axis=1)).mean() < 0.25 * noise.std()
    assert 0.4 < noise.std() < 1.2
    assert wave(rng, 128, 8).shape == (128,)


def test_inside_steps_from_one_to_zero_at_the_outline() -> None:
    depth = np.array([0, 0.99, 1, 1.01, 100], dtype=np.float32)
    step = inside(depth, 0.1)
    assert step == pytest.approx([1, 0.6, 0.5, 0.4, 0], abs=0.01)


def test_smear_keeps_the_mean_and_lowers_the_spread() -> None:
    values = np.random.default_rng(0).normal(size=(64, 64))
    smooth = smear(values, axis=1, width=4)
    assert smooth.mean() == pytest.approx(values.mean())
    assert smooth.std() < 0.7 * values.std()


@pytest.mark.parametrize("draw", [draw_ultrasound, draw_dermoscopy])
@pytest.mark.parametrize("size", [64, 256])
def test_it_draws_at_any_size_and_repeats_for_a_seed(draw, size) -> None:
    image, mask = draw(np.random.default_rng(3), size)
    again = draw(np.random.default_rng(3), size)
    assert image.shape == (size, size, 3)
    assert mask.any()
    assert np.array_equal(image, again[0])
    assert np.array_equal(mask, again[1])


def test_nodules_are_mostly_but_not_always_darker_than_what_surrounds_them() -> None:
    darker = []
    for seed in range(40):
        image, mask = draw_ultrasound(np.random.default_rng(seed), 128)
        gray = image[:, :, 0].astype(float)
        ring = np.zeros_like(mask)
        for shift in (-8, 8):
            for axis in (0, 1):
                ring |= np.roll(mask, shift, axis=axis)
        darker.append(gray[mask == 1].mean() < gray[(ring == 1) & (mask == 0)].mean())
    assert 0.6 < np.mean(darker) < 1


def test_the_darkest_pixels_lie_mostly_outside_the_nodule() -> None:
    shares = []
    for seed in range(40):
        image, mask = draw_ultrasound(np.random.default_rng(seed), 128)
        gray = image[:, :, 0]
        shares.append(mask[gray <= np.quantile(gray, 0.05)].mean())
    assert np.mean(shares) < 0.5


def test_lesions_wander_and_their_contrast_varies() -> None:
    centers, contrasts = [], []
    for seed in range(40):
        image, mask = draw_dermoscopy(np.random.default_rng(seed), 128)
        gray = image.mean(axis=2)
        centers.append([at.mean() / 128 for at in np.nonzero(mask)])
        contrasts.append(np.median(gray[mask == 0]) - np.median(gray[mask == 1]))
    assert (np.std(centers, axis=0) > 0.08).all()
    faint, strong = np.quantile(contrasts, (0.1, 0.9))
    assert faint < 20
    assert strong > 40
