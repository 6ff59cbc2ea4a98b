"""Means and medians with intervals: scores over units and seeds, differences, and times of processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 2000
Terms = dict[str, np.ndarray]  # unit to array (classes, 2), as returned by `bench.quantities.scores.terms`


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval. `n` is the number of units (images, volumes, samples, processes) behind it.

    `deviation` is the standard deviation over the figures of `seeds` trainings; None if there was only one.
    """

    value: float
    low: float
    high: float
    n: int
    deviation: float | None = None
    seeds: int = 1


def estimate(seeds: Sequence[Terms]) -> Estimate | None:
    """The mean over seeds of the mean over classes, with a 95 % bootstrap interval over units.

    Formula: for each seed and class, the ratio of the two sums of terms over units; then the mean over classes, then
    over seeds. The unit of resampling is the image or volume. The interval is from the 2.5 to the 97.5 percentile of
    the same figure over 2000 seeded resamples of the units, which are the same for all seeds and networks. Seeds are
    not resampled, so the interval describes the variation between images, not between trainings. The nominal coverage
    is 95 %; a percentile bootstrap covers less with few units. Returns None if nothing is defined.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    stacked = _stacked(seeds)
    if not stacked.size:
        return None
    units = stacked.shape[1]
    figures = _figures(stacked, np.ones((1, units)))
    (by_seed,) = _mean_of_defined(figures)
    drawn = _figures(stacked, _resamples(units))
    # A class that is missing from a resample keeps its figure; leaving it out would shift the mean over classes.
    resampled = _mean_of_defined(_mean_of_defined(np.where(np.isnan(drawn), figures, drawn)))
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    trained = by_seed[~np.isnan(by_seed)]
    deviation = float(trained.std(ddof=1)) if len(trained) > 1 else None
    return Estimate(float(trained.mean()), float(low), float(high), units, deviation, len(trained))


def by_class(seeds: Sequence[Terms]) -> tuple[float, ...]:
    """The figure of each class, averaged over seeds; empty if nothing is defined."""
    stacked = _stacked(seeds)
    if not stacked.size:
        return ()
    figures = _figures(stacked, np.ones((1, stacked.shape[1])))[0]
    return tuple(_mean_of_defined(figures.T).tolist())


def by_unit(seeds: Sequence[Terms]) -> dict[str, float]:
    """The figure of each unit, averaged over classes, then over seeds; NaN if it is undefined."""
    by_seed = [{unit: _ratio(found) for unit, found in terms.items()} for terms in seeds]
    units = dict.fromkeys(unit for shares in by_seed for unit in shares)
    return {unit: _mean_over_seeds([shares[unit] for shares in by_seed if unit in shares]) for unit in units}


def _mean_over_seeds(shares: list[np.ndarray]) -> float:
    return float(_mean_of_defined(np.array([_mean_of_defined(seed) for seed in shares])))


def undefined(seeds: Sequence[Terms]) -> int:
    """Number of figures (one per unit and class) that are undefined because their denominator is zero."""
    return sum(int((found[..., 1] == 0).sum()) for terms in seeds for found in terms.values())


def mean(values: np.ndarray) -> Estimate:
    """The mean of values (n,) with its 95 % percentile bootstrap interval. Single values are resampled."""
    low, high = np.percentile(_resamples(len(values)) @ values / len(values), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def of_processes(samples: Sequence[Sequence[float]]) -> Estimate | None:
    """The median of the process medians. The interval is from the fastest to the slowest process.

    The interval is a range without nominal coverage. Returns None if there is no process.
    """
    medians = [float(np.median(process)) for process in samples]
    return Estimate(float(np.median(medians)), min(medians), max(medians), len(medians)) if medians else None


def _stacked(seeds: Sequence[Terms]) -> np.ndarray:
    """(seeds, units, classes, 2), without the units for which nothing is defined in any seed and class."""
    units = sorted(set().union(*seeds)) if seeds else []
    if not units:
        return np.zeros(0)
    nothing = np.zeros(next(iter(seeds[0].values())).shape)
    stacked = np.array([[terms.get(unit, nothing) for unit in units] for terms in seeds])
    return stacked[:, stacked[..., 1].any(axis=(0, 2))]


@lru_cache(maxsize=8)  # a report uses the same resamples for every network and figure
def _resamples(units: int) -> np.ndarray:
    """(RESAMPLES, units): how many times each unit is drawn."""
    draws = np.random.default_rng(0).integers(0, units, (RESAMPLES, units))
    places = (draws + units * np.arange(RESAMPLES)[:, None]).ravel()
    return np.bincount(places, minlength=RESAMPLES * units).reshape(RESAMPLES, units).astype(float)


def _figures(stacked: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(resamples, seeds, classes) from (seeds, units, classes, 2) and (resamples, units)."""
    return _ratio(np.einsum("ru,sucm->rscm", weights, stacked, optimize=True))


def _ratio(terms: np.ndarray) -> np.ndarray:
    over, under = terms[..., 0], terms[..., 1]
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis, ignoring NaN; NaN if all values are NaN."""
    defined = ~np.isnan(values)
    count = defined.sum(-1)
    total = np.where(defined, values, 0.0).sum(-1)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
