"""The intervals that the simulation of accuracy tries are the program's own, and so are its p-values."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.stats.estimate import estimate
from bench.stats.interval import limits, p_value, spread_of_mean, unseen
from bench.stats.paired import difference

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from accuracy_methods import program_difference, program_figure

MANY = 4  # samples drawn at once


def drawn(seed: int, trainings: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Dice (trainings, samples, patients, images), of which this share is missed, and which images a patient has."""
    rng = np.random.default_rng(seed)
    present = np.arange(4) < np.random.default_rng(0).integers(1, 5, (MANY, 12))[..., None]
    dice = rng.beta(8, 3, (trainings, *present.shape)).clip(0.2) * (rng.random((trainings, *present.shape)) >= share)
    return dice * present, present


def terms(dice: np.ndarray, present: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Of each training, from Dice (trainings, patients, images) of one sample."""
    return [
        {f"{n:02}": np.array([[scores[has].sum(), has.sum(), (scores[has] < 0.1).sum()]], dtype=float)
         for n, (scores, has) in enumerate(zip(training, present, strict=True))}
        for training in dice
    ]  # fmt: skip


@pytest.mark.parametrize("trainings", [1, 2, 3, 5])
@pytest.mark.parametrize("share", [0, 0.1])
def test_the_simulation_tries_the_programs_interval_of_a_figure(trainings, share):
    dice, present = drawn(trainings, trainings, share)
    low, high = program_figure(dice.sum(-1), present.sum(-1))
    for place in range(MANY):
        found = estimate(terms(dice[:, place], present[place]))
        assert (found.low, found.high) == pytest.approx((low[place], high[place]))


@pytest.mark.parametrize("of", ["these trainings", "the networks"])
@pytest.mark.parametrize("share", [0, 0.02, 0.2])
@pytest.mark.parametrize("pair", [(3, 5), (5, 5), (2, 5), (1, 1)])
def test_the_simulation_tries_the_programs_interval_of_a_difference(pair, share, of):
    if of == "the networks" and min(pair) < 3:
        pair = (3, 3)
    (ours, present), (theirs, _) = (drawn(10 + place, count, share) for place, count in enumerate(pair))
    missed = np.any([((side < 0.1) & present).any((0, 2, 3)) for side in (ours, theirs)], axis=0)
    assert missed.any() == (share > 0)
    (low, high), p = program_difference(ours.sum(-1), theirs.sum(-1), present.sum(-1), missed, of)
    for place in range(MANY):
        found = difference(*(terms(side[:, place], present[place]) for side in (ours, theirs)), of=of)
        assert (found.low, found.high, found.p) == pytest.approx((low[place], high[place], p[place]))
        assert (found.unseen is None) == missed[place]


def test_many_samples_at_once_are_each_students():
    values = np.random.default_rng(1).normal(0.1, 1, (5, 20))
    test = stats.ttest_1samp(values, 0, axis=1)
    low, high = limits(values.mean(-1), values)
    interval = test.confidence_interval(0.95)
    assert np.allclose((low, high), (interval.low, interval.high))
    assert np.allclose(p_value(values.mean(-1), values), test.pvalue)


def test_with_variances_over_trainings_it_is_welchs():
    """Two sides without a spread over patients: Satterthwaite's sum of the two is Welch's test."""
    ours, theirs = np.random.default_rng(2).normal(0, 1, (2, 5)), np.random.default_rng(3).normal(1, 2, (2, 4))
    gap = ours.mean(-1) - theirs.mean(-1)
    patients, others = np.repeat(gap[:, None], 30, axis=1), [spread_of_mean(ours), spread_of_mean(theirs)]
    test = stats.ttest_ind(ours, theirs, axis=1, equal_var=False)
    interval = test.confidence_interval(0.95)
    assert np.allclose(limits(gap, patients, None, others), (interval.low, interval.high))
    assert np.allclose(p_value(gap, patients, None, others), test.pvalue)


def test_the_p_value_is_below_5_percent_just_where_the_limits_leave_out_0():
    rng = np.random.default_rng(4)
    values = rng.normal(0.2, 0.2, (500, 12))
    figures, extremes = values.mean(-1), (np.full(500, -0.3), np.full(500, 0.4))
    low, high = limits(figures, values, extremes)
    apart = (low > 0) | (high < 0)
    assert 20 < apart.sum() < 480
    assert np.array_equal(apart, p_value(figures, values, extremes) < 0.05)


def test_what_a_sample_without_a_miss_leaves_open_is_missed_in_one_of_twenty():
    for patients in (10, 50, 150):
        assert stats.binom.pmf(0, patients, unseen(patients)) == pytest.approx(0.05)
