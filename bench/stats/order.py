"""Percentiles of samples, and the exponent of a power law."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from bench.stats.estimate import Estimate

PERCENTILES = {90: 36, 95: 72, 99: 368}  # the least number of samples for a distribution-free 95 % interval


def percentile(samples: Sequence[float], percent: int) -> Estimate | None:
    """A percentile with its distribution-free 95 % interval; None if there are too few samples.

    The unit is the sample. The bounds are the two order statistics given by the binomial distribution; the coverage is
    at least 95 %. Source: David and Nagaraja, Order Statistics, 3rd edition, 2003, section 7.1.
    """
    n = len(samples)
    if n < PERCENTILES[percent]:
        return None
    ordered, (low, high) = np.sort(samples), _bounds(n, percent)
    value = _between(ordered, (n - 1) * (percent / 100))
    return Estimate(value, float(ordered[max(0, low - 1)]), float(ordered[min(n - 1, high)]), n)


def _between(ordered: np.ndarray, place: float) -> float:
    """The value at a place between two others: to the bit what `numpy.percentile` gives, in a tenth of its time."""
    before = int(place)
    share, low, high = place - before, float(ordered[before]), float(ordered[min(before + 1, len(ordered) - 1)])
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


@lru_cache(maxsize=4096)
def _bounds(n: int, percent: int) -> tuple[int, int]:
    """The quantiles of the binomial distribution; networks are mostly timed by as many calls."""
    from scipy.special import bdtr  # scipy.stats takes half a second to import

    below = bdtr(np.arange(n + 1), n, percent / 100)
    return int(np.searchsorted(below, 0.025)), int(np.searchsorted(below, 0.975))


def growth(points: Iterable[tuple[float, float | None]]) -> float | None:
    """The exponent e of value ~ size^e, fitted by least squares on logarithms; None with fewer than three points."""
    known = [(size, value) for size, value in points if value]
    if len(known) < 3:
        return None
    sizes, values = np.log(np.array(known)).T
    return float(np.polyfit(sizes, values, 1)[0])
