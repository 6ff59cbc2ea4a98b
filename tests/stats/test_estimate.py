"""Figures and their intervals, from terms of units."""

import math

import numpy as np
import pytest

from bench.stats.estimate import by_class, by_unit, estimate, mean, of_processes, undefined


def shares(*values: float) -> dict[str, np.ndarray]:
    """Terms of units of one class each; NaN is undefined."""
    return {
        f"{n:03}": np.array([[0.0, 0.0] if math.isnan(value) else [value, 1.0]]) for n, value in enumerate(values)
    }  # fmt: skip


def test_the_interval_covers_the_mean_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        found = estimate([shares(*rng.beta(8, 2, size=100))])
        covered += found.low <= 0.8 <= found.high
    assert 180 <= covered <= 199


def test_it_is_the_same_every_time_and_that_of_the_mean():
    values = np.linspace(0, 1, 30)
    found = estimate([shares(*values)])
    assert found == estimate([shares(*values)])
    assert (found.value, found.low, found.high) == pytest.approx(
        (mean(values).value, mean(values).low, mean(values).high)
    )


def test_classes_are_averaged_after_units_and_undefined_ones_left_out():
    two = {"a": np.array([[1.0, 1.0], [0.0, 0.0]]), "b": np.array([[0.0, 1.0], [0.3, 1.0]])}
    assert by_class([two]) == pytest.approx((0.5, 0.3))
    assert estimate([two]).value == pytest.approx(0.4)
    assert by_unit([two]) == pytest.approx({"a": 1.0, "b": 0.15})
    assert undefined([two]) == 1


def test_a_ratio_of_sums_is_resampled_as_one():
    """Every resample of equal units has their own ratio, however large they are."""
    pooled = {str(n): np.array([[3.0 * n, 4.0 * n]]) for n in range(1, 20)}
    found = estimate([pooled])
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.75, 0.75))


def test_nothing_defined_is_no_figure():
    assert estimate([]) is None
    assert estimate([shares(math.nan)]) is None
    assert by_class([shares(math.nan)]) == ()
    assert math.isnan(by_unit([shares(math.nan)])["000"])


def test_seeds_have_a_deviation_and_one_seed_has_none():
    found = estimate([shares(0.2, 0.4), shares(0.4, 0.6), shares(0.6, 0.8)])
    assert (found.value, found.deviation, found.seeds) == (pytest.approx(0.5), pytest.approx(0.2), 3)
    assert estimate([shares(0.2, 0.4)]).deviation is None


def test_a_class_that_few_units_have_does_not_push_the_interval_off_the_figure():
    """Twelve of thirteen classes are defined on one unit each: most resamples miss most of them."""
    rng, terms = np.random.default_rng(0), {}
    for n in range(50):
        found = np.zeros((13, 2))
        found[0] = rng.uniform(0.8, 1), 1
        if 0 < n < 13:
            found[n] = 0, 1
        terms[f"{n:03}"] = found
    found = estimate([terms])
    assert found.low <= found.value <= found.high


def test_processes_count_alike_however_many_samples_they_have():
    found = of_processes([(0.1, 0.2, 0.9), (0.4,) * 9, (0.1, 0.3, 0.3)])
    assert (found.value, found.low, found.high, found.n) == (0.3, 0.2, 0.4, 3)
    assert of_processes([]) is None
