"""The program's 95 % intervals of accuracy for many replications at once, and other intervals to compare them with.

`sums` (trainings, replications, patients) are the scores of a patient's images, added; `counts` (replications,
patients) are the numbers of images. An interval is a pair of arrays (replications,).

The limits and p-values are bench.stats.interval's own. What `bench.stats.estimate.estimate` and
`bench.stats.paired.difference` do around them for one sample is written again here for many;
tests/stats/test_interval.py holds the two to the same numbers.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.stats import norm, wilcoxon

from bench.stats.estimate import LEAST_TRAININGS
from bench.stats.interval import Part, half_width, limits, p_value, spread_of_mean

Interval = tuple[np.ndarray, np.ndarray]
RESAMPLES = 999


def pseudo_values(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The figure (replications,) of one training and its pseudo-values (replications, patients)."""
    patients = sums.shape[-1]
    total, number = sums.sum(-1, keepdims=True), counts.sum(-1, keepdims=True)
    without = (total - sums) / (number - counts)
    return (total / number)[..., 0], patients * total / number - (patients - 1) * without


def program_figure(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """As `estimate`: of these weights, or with three trainings or more of the network."""
    figure, pseudo = pseudo_values(sums.mean(0), counts)
    others = [_over_trainings(sums, counts)] if len(sums) >= LEAST_TRAININGS else []
    low, high = limits(figure, pseudo, (0.0, 1.0), others)
    return low.clip(0, 1), high.clip(0, 1)


def program_difference(
    ours: np.ndarray, theirs: np.ndarray, counts: np.ndarray, missed: np.ndarray, of: str
) -> tuple[Interval, np.ndarray]:
    """As `difference`: the interval and the p-value. `missed` (replications,): whether any image is."""
    figure, pseudo = pseudo_values(ours.mean(0) - theirs.mean(0), counts)
    ends = -_figures(theirs, counts).mean(0), _figures(ours, counts).mean(0)
    parts = [_over_trainings(side, counts) for side in (ours, theirs)] if of == "the networks" else []
    low, high, p = np.empty((3, *figure.shape))
    for some in (missed, ~missed):
        extremes = (ends[0][some], ends[1][some]) if missed[some].any() else None
        others = [(variance[some], freedom) for variance, freedom in parts]
        low[some], high[some] = limits(figure[some], pseudo[some], extremes, others)
        p[some] = p_value(figure[some], pseudo[some], extremes, others)
    return (low, high), p


def _figures(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return sums.sum(-1) / counts.sum(-1)


def _over_trainings(sums: np.ndarray, counts: np.ndarray) -> Part:
    return spread_of_mean(_figures(sums, counts).T)


def student(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's t on the pseudo-values, without one more patient."""
    low, high = limits(*pseudo_values(sums, counts))
    return low, high


def gaffke(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Bayesian bootstrap with one more patient, who scores 0 or 1 (Gaffke, 2005)."""
    one = counts.mean(-1, keepdims=True)
    weights = _dirichlet(counts.shape[-1] + 1)
    number = _times(np.append(counts, one, -1), weights)
    low, high = (_times(np.append(sums, end * one, -1), weights) / number for end in (0, 1))
    return np.quantile(low, 0.025, axis=1), np.quantile(high, 0.975, axis=1)


def percentile(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """The bootstrap's percentiles."""
    drawn = _resamples(counts.shape[-1])
    return _percentiles(_times(sums, drawn) / _times(counts, drawn))


def bca(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Efron's bias-corrected and accelerated bootstrap."""
    figure, pseudo = pseudo_values(sums, counts)
    patients = pseudo.shape[-1]
    centered = pseudo - pseudo.mean(-1, keepdims=True)
    skewness = (centered**3).mean(-1) / np.maximum((centered**2).mean(-1), 1e-30) ** 1.5
    drawn = _resamples(patients)
    found = np.sort(_times(sums, drawn) / _times(counts, drawn), axis=1)
    bias = norm.ppf(((found < figure[:, None]).mean(1)).clip(1 / RESAMPLES, 1 - 1 / RESAMPLES))
    ends = []
    for z in norm.ppf([0.025, 0.975]):
        level = norm.cdf(bias + (bias + z) / (1 - skewness / (6 * np.sqrt(patients)) * (bias + z)))
        place = (level * (RESAMPLES + 1) - 1).round().clip(0, RESAMPLES - 1).astype(int)
        ends.append(found[np.arange(len(found)), place])
    return ends[0], ends[1]


def bootstrap_t(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """The bootstrap of the studentized figure; the standard error by linearization."""
    figure, pseudo = pseudo_values(sums, counts)
    error, patients = np.sqrt(spread_of_mean(pseudo)[0]), pseudo.shape[-1]
    drawn = _resamples(patients)
    number = _times(counts, drawn)
    found = _times(sums, drawn) / number
    squares = _times(sums**2, drawn) - 2 * found * _times(sums * counts, drawn) + found**2 * _times(counts**2, drawn)
    errors = np.sqrt(np.maximum(squares, 0) * patients / (patients - 1)) / number
    floor = error[:, None] / 20  # a resample of equal patients has no standard error
    low, high = _percentiles((found - figure[:, None]) / np.maximum(errors, floor))
    return figure - high * error, figure - low * error


FIGURE: dict[str, Callable[[np.ndarray, np.ndarray], Interval]] = {
    "Student's t": student,
    "percentile bootstrap": percentile,
    "BCa bootstrap": bca,
    "bootstrap-t": bootstrap_t,
    "Gaffke": gaffke,
}


def patients_alone(ours: np.ndarray, theirs: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's paired t of the averages over trainings: trainings are not reckoned with."""
    figure, pseudo = pseudo_values(ours.mean(0) - theirs.mean(0), counts)
    half = half_width([spread_of_mean(pseudo)])
    return figure - half, figure + half


def double_bootstrap(ours: np.ndarray, theirs: np.ndarray, counts: np.ndarray) -> Interval:
    """The percentiles of a bootstrap over patients and over the trainings of each side."""
    random, drawn = np.random.default_rng(1), _resamples(counts.shape[-1])
    number, total = _times(counts, drawn), np.float32(0)
    for side, sign in ((ours, 1), (theirs, -1)):
        chosen = random.multinomial(len(side), np.full(len(side), 1 / len(side)), RESAMPLES) / len(side)
        for training, share in zip(side, chosen.T.astype(np.float32), strict=True):
            total = total + sign * share * _times(training, drawn)
    return _percentiles(total / number)


def signed_rank(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """p-values of the old way from Dice (trainings, replications, patients, images): images as units, averaged first.

    Wilcoxon's signed-rank test by its normal approximation.
    """
    gaps = (ours.mean(0) - theirs.mean(0)).reshape(ours.shape[1], -1)
    return np.nan_to_num(wilcoxon(gaps, axis=1, method="approx").pvalue, nan=1.0)


def _percentiles(values: np.ndarray) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975], axis=1)
    return low, high


def _times(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(replications, resamples)"""
    return values.astype(np.float32) @ weights


@cache
def _resamples(patients: int) -> np.ndarray:
    """(patients, RESAMPLES): how many times each patient is drawn."""
    random = np.random.default_rng(0)
    return random.multinomial(patients, np.full(patients, 1 / patients), RESAMPLES).T.astype(np.float32)


@cache
def _dirichlet(patients: int) -> np.ndarray:
    """(patients, RESAMPLES): weights that sum to the number of patients."""
    drawn = np.random.default_rng(0).standard_exponential((patients, RESAMPLES), dtype=np.float32)
    return drawn / drawn.mean(axis=0)
