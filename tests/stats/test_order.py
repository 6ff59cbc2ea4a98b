"""Percentiles with their intervals, and the exponent of growth."""

import numpy as np
import pytest

from bench.stats.order import PERCENTILES, growth, percentile


@pytest.mark.parametrize(("percent", "least"), PERCENTILES.items())
def test_the_least_samples_are_those_from_which_an_interval_can_be_had(percent, least):
    """With one sample less, even the largest lies below the percentile too often: share^n is over 2.5 %."""
    share = percent / 100
    assert share**least <= 0.025 < share ** (least - 1)
    assert percentile([1.0] * (least - 1), percent) is None
    found = percentile(range(least), percent)
    assert found.low < found.value <= found.high == least - 1


@pytest.mark.parametrize("percent", PERCENTILES)
def test_the_interval_covers_the_percentile_95_times_in_100(percent):
    samples = np.random.default_rng(1).uniform(0, 1, (300, 400))
    found = [percentile(some, percent) for some in samples]
    assert sum(one.low <= percent / 100 <= one.high for one in found) >= 280


def test_growth_is_the_exponent_of_a_power_law():
    assert growth((size, 3 * size**1.5) for size in (10, 20, 40, 80)) == pytest.approx(1.5)
    assert growth([(10, 1.0), (20, 2.0), (40, None)]) is None


def test_percentiles_and_their_bounds_are_those_of_numpy_and_scipy():
    from scipy.stats import binom

    rng = np.random.default_rng(0)
    for n in (36, 72, 150, 368, 1000):
        samples = rng.gamma(2, 1, n)
        for percent in (percent for percent, least in PERCENTILES.items() if n >= least):
            low, high = (int(binom.ppf(p, n, percent / 100)) for p in (0.025, 0.975))
            found, ordered = percentile(tuple(samples), percent), np.sort(samples)
            assert found.value == np.percentile(samples, percent)
            assert (found.low, found.high) == (ordered[max(0, low - 1)], ordered[min(n - 1, high)])
