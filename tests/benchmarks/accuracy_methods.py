"""Candidate 95 % intervals of a figure and of a difference of two, for many replications at once.

A figure is the ratio of two sums over patients: `sums` (replications, patients), the scores of a patient's images, and
`counts` of the same shape, its images. Several trainings are averaged first: `sums` is their mean. Every interval is a
pair of arrays (replications,).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.stats import beta, norm, t

Interval = tuple[np.ndarray, np.ndarray]
Method = Callable[[np.ndarray, np.ndarray], Interval]
RESAMPLES = 999


def pseudo_values(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The figure (...,) and its pseudo-values (..., patients) by leaving one patient out."""
    patients = sums.shape[-1]
    total, number = sums.sum(-1, keepdims=True), counts.sum(-1, keepdims=True)
    without = (total - sums) / (number - counts)
    return (total / number)[..., 0], patients * total / number - (patients - 1) * without


def _moments(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Figure, standard error, skewness of the pseudo-values, and number of patients."""
    figure, pseudo = pseudo_values(sums, counts)
    patients = pseudo.shape[-1]
    centered = pseudo - pseudo.mean(-1, keepdims=True)
    variance = (centered**2).sum(-1) / (patients - 1)
    skewness = (centered**3).mean(-1) / np.maximum((centered**2).mean(-1), 1e-30) ** 1.5
    return figure, np.sqrt(variance / patients), skewness, patients


def student(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's t on the jackknife's pseudo-values."""
    figure, error, _, patients = _moments(sums, counts)
    half = t.ppf(0.975, patients - 1) * error
    return figure - half, figure + half


def johnson(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's t, moved by skewness (Johnson, JASA 73, 1978)."""
    figure, error, skewness, patients = _moments(sums, counts)
    middle = figure + skewness * error / (6 * np.sqrt(patients))
    half = t.ppf(0.975, patients - 1) * error
    return middle - half, middle + half


def hall(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Hall's cubic transformation with t quantiles (Hall, J. R. Stat. Soc. B 54, 1992)."""
    figure, error, skewness, patients = _moments(sums, counts)
    slope = np.where(np.abs(skewness) < 1e-6, 1e-6, skewness) / np.sqrt(patients)
    quantile = t.ppf(0.975, patients - 1)
    ends = [3 / slope * (np.cbrt(1 + slope * (x - slope / 6)) - 1) for x in (quantile, -quantile)]
    return figure - error * ends[0], figure - error * ends[1]


def logit_student(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's t on the logit of the figure, by the delta method."""
    figure, error, _, patients = _moments(sums, counts)
    middle, half = np.log(figure / (1 - figure)), t.ppf(0.975, patients - 1) * error / (figure * (1 - figure))
    return 1 / (1 + np.exp(half - middle)), 1 / (1 + np.exp(-half - middle))


def extra_zero(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's t; its lower limit as if one more patient had scored 0."""
    return student(_more(sums, 0 * counts), _more(counts, counts))[0], student(sums, counts)[1]


def extra_both(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's t; its lower limit as if one more patient had scored 0, its upper as if one more had scored 1."""
    longer = _more(counts, counts)
    return student(_more(sums, 0 * counts), longer)[0], student(_more(sums, counts), longer)[1]


def gaffke(sums: np.ndarray, counts: np.ndarray, lowest: float = 0, highest: float = 1) -> Interval:
    """Bayesian bootstrap with one more patient, who scores the least possible, or the most (Gaffke, 2005)."""
    weights = _dirichlet(counts.shape[-1] + 1)
    number = _times(_more(counts, counts), weights)
    low = _times(_more(sums, lowest * counts), weights) / number
    high = _times(_more(sums, highest * counts), weights) / number
    return np.quantile(low, 0.025, axis=1), np.quantile(high, 0.975, axis=1)


def bayesian(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Bayesian bootstrap (Rubin, Annals of Statistics 9, 1981)."""
    weights = _dirichlet(counts.shape[-1])
    return _percentiles(_times(sums, weights) / _times(counts, weights))


def student_gaffke(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """The wider of Student's t and Gaffke's on the lower side; Student's on the upper."""
    low, high = student(sums, counts)
    return np.minimum(low, gaffke(sums, counts)[0]), high


def korn_graubard(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Clopper and Pearson's interval for the effective number of patients (Korn and Graubard, 1998)."""
    figure, number = _effective(sums, counts)
    hits = figure * number
    return beta.ppf(0.025, hits, number - hits + 1), beta.ppf(0.975, hits + 1, number - hits)


def wilson(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Wilson's interval for the effective number of patients."""
    figure, number = _effective(sums, counts)
    z = norm.ppf(0.975)
    middle = (figure + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * np.sqrt(figure * (1 - figure) / number + z**2 / (4 * number**2)) / (1 + z**2 / number)
    return middle - half, middle + half


def percentile(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """The bootstrap's percentiles."""
    drawn = _resamples(counts.shape[-1])
    return _percentiles(_times(sums, drawn) / _times(counts, drawn))


def bca(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Efron's bias-corrected and accelerated bootstrap."""
    figure, _, skewness, patients = _moments(sums, counts)
    drawn = _resamples(patients)
    found = np.sort(_times(sums, drawn) / _times(counts, drawn), axis=1)
    bias = norm.ppf(((found < figure[:, None]).mean(1)).clip(1 / RESAMPLES, 1 - 1 / RESAMPLES))
    acceleration = skewness / (6 * np.sqrt(patients))
    ends = []
    for z in norm.ppf([0.025, 0.975]):
        level = norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        place = (level * (RESAMPLES + 1) - 1).round().clip(0, RESAMPLES - 1).astype(int)
        ends.append(found[np.arange(len(found)), place])
    return ends[0], ends[1]


def bootstrap_t(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """The bootstrap of the studentized figure; the standard error by linearization."""
    figure, error, _, patients = _moments(sums, counts)
    drawn = _resamples(patients)
    number = _times(counts, drawn)
    found = _times(sums, drawn) / number
    squares = _times(sums**2, drawn) - 2 * found * _times(sums * counts, drawn) + found**2 * _times(counts**2, drawn)
    errors = np.sqrt(np.maximum(squares, 0) * patients / (patients - 1)) / number
    floor = error[:, None] / 20  # a resample of equal patients has no standard error
    low, high = _percentiles((found - figure[:, None]) / np.maximum(errors, floor))
    return figure - high * error, figure - low * error


def extra_half(sums: np.ndarray, counts: np.ndarray) -> Interval:
    """Student's t; its lower limit as if one more patient had scored half of the figure."""
    longer = _more(counts, counts)
    return student(_more(sums, sums / 2), longer)[0], student(sums, counts)[1]


def components(sides: list[np.ndarray], counts: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, int]]]:
    """The figure (or difference of two) and its variances with their degrees of freedom: patients, then each side.

    `sides` has one or two arrays (seeds, replications, patients) of sums.
    """
    means = [side.mean(0) for side in sides]
    total = means[0] if len(means) == 1 else means[0] - means[1]
    figure, pseudo = pseudo_values(total, counts)
    patients = pseudo.shape[-1]
    found = [(pseudo.var(-1, ddof=1) / patients, patients - 1)]
    for side in sides if len(sides[0]) > 1 else []:
        figures = side.sum(-1) / counts.sum(-1)
        found.append((figures.var(0, ddof=1) / len(side), len(side) - 1))
    return figure, found


def single_network(side: np.ndarray, counts: np.ndarray, half: Callable[..., np.ndarray], extra: bool) -> Interval:
    """A figure over patients and seeds; with or without one more patient who scores 0, or 1, in every seed."""
    if not extra:
        figure, parts = components([side], counts)
        return figure - half(parts), figure + half(parts)
    _, (_, seeds) = components([side], counts)
    longer, mean = _more(counts, counts), side.mean(0)
    low, below = components([_more(mean, 0 * counts)[None]], longer)
    high, above = components([_more(mean, counts)[None]], longer)
    return low - half([below[0], seeds]), high + half([above[0], seeds])


def difference_extra(ours: np.ndarray, theirs: np.ndarray, counts: np.ndarray, over_seeds: bool) -> Interval:
    """Satterthwaite's; each limit as if one more patient had been missed by one network and not by the other.

    The other scores its own figure on this patient. Without `over_seeds` the statement is of these weights.
    """
    longer, total = _more(counts, counts), ours.mean(0) - theirs.mean(0)
    seeds = components([ours, theirs], counts)[1][1:] if over_seeds else []
    ends = []
    for missed, sign in ((theirs, -1), (ours, 1)):
        lost = sign * missed.mean(0).sum(-1) / counts.sum(-1)
        extended = np.concatenate([total, lost[:, None] * counts.mean(-1, keepdims=True)], axis=-1)
        figure, (patients, *_) = components([extended[None]], longer)
        ends.append(figure + sign * satterthwaite([patients, *seeds]))
    return ends[0], ends[1]


def satterthwaite(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Half a width: t with Satterthwaite's degrees of freedom of the sum of variances."""
    total = _total(parts)
    freedom = total**2 / np.maximum(sum(v**2 / f for v, f in parts), 1e-30)
    return _quantile(freedom) * np.sqrt(total)


def least_freedom(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Half a width: t with the least degrees of freedom of any part."""
    return t.ppf(0.975, min(f for _, f in parts)) * np.sqrt(_total(parts))


def cochran(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Half a width: the mean of the parts' t quantiles, weighted by their variances (Cochran, 1964)."""
    total = _total(parts)
    return sum(v * t.ppf(0.975, f) for v, f in parts) / np.maximum(total, 1e-30) * np.sqrt(total)


def quadrature(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Half a width: the root of the sum of squares of the parts' own half widths."""
    return np.sqrt(sum(v * t.ppf(0.975, f) ** 2 for v, f in parts))


def pooled(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Half a width: Satterthwaite's, with one variance between seeds for both sides."""
    patients, *sides = parts
    if len(sides) == 1:
        return satterthwaite(parts)
    each = sum(v * (f + 1) * f for v, f in sides) / sum(f for _, f in sides)
    return satterthwaite([patients, (each * sum(1 / (f + 1) for _, f in sides), sum(f for _, f in sides))])


def cochran_pooled(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Half a width: Cochran's, with one variance between seeds for both sides."""
    patients, *sides = parts
    each = sum(v * (f + 1) * f for v, f in sides) / sum(f for _, f in sides)
    return cochran([patients, (each * sum(1 / (f + 1) for _, f in sides), sum(f for _, f in sides))])


def naive(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Half a width: patients alone."""
    return t.ppf(0.975, parts[0][1]) * np.sqrt(parts[0][0])


NETWORKS = {
    "Satterthwaite": satterthwaite,
    "least degrees of freedom": least_freedom,
    "Cochran": cochran,
    "quadrature": quadrature,
    "Satterthwaite, pooled seeds": pooled,
    "Cochran, pooled seeds": cochran_pooled,
    "patients alone": naive,
}


def double_bootstrap(sides: list[np.ndarray], counts: np.ndarray) -> Interval:
    """The percentiles of a bootstrap over patients and over the seeds of each side."""
    random = np.random.default_rng(1)
    drawn = _resamples(counts.shape[-1])
    number, total = _times(counts, drawn), 0
    for side, sign in zip(sides, (1, -1), strict=False):
        seeds = len(side)
        chosen = random.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
        for seed, share in zip(side, chosen.T.astype(np.float32), strict=True):
            total = total + sign * share * _times(seed, drawn)
    return _percentiles(total / number)


def sign_flip(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """p-values of a difference: how often random signs of the patients' differences make it as large."""
    signs = np.random.default_rng(2).choice(np.float32([-1, 1]), (counts.shape[-1], RESAMPLES))
    figure, _ = pseudo_values(sums, counts)
    flipped = np.abs(_times(sums, signs)) / counts.sum(-1)[:, None]
    return (1 + (flipped >= np.abs(figure)[:, None] - 1e-7).sum(1)) / (1 + RESAMPLES)


def _quantile(freedom: np.ndarray) -> np.ndarray:
    """97.5 % quantile of t, read from a table in the inverse of the degrees of freedom."""
    inverse = np.linspace(1e-6, 1, 2001)
    return np.interp(1 / np.maximum(freedom, 1), inverse, _table())


@cache
def _table() -> np.ndarray:
    return t.ppf(0.975, 1 / np.linspace(1e-6, 1, 2001))


def _total(parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
    return sum(v for v, _ in parts)


SINGLE: dict[str, Method] = {
    "t": student,
    "t, Johnson": johnson,
    "t, Hall": hall,
    "t of logit": logit_student,
    "t, extra half below": extra_half,
    "t, extra 0 below": extra_zero,
    "t, extra 0 below and 1 above": extra_both,
    "t or Gaffke below, t above": student_gaffke,
    "Gaffke": gaffke,
    "Korn-Graubard": korn_graubard,
    "Wilson, effective patients": wilson,
    "percentile": percentile,
    "Bayesian bootstrap": bayesian,
    "BCa": bca,
    "bootstrap-t": bootstrap_t,
}


def _more(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """One more patient with the mean of `like`."""
    return np.concatenate([values, like.mean(-1, keepdims=True)], axis=-1)


def _effective(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The figure and the number of yes-or-no patients that would have its standard error, less for few patients."""
    figure, error, _, patients = _moments(sums, counts)
    shrunk = (norm.ppf(0.975) / t.ppf(0.975, patients - 1)) ** 2
    return figure, figure * (1 - figure) / np.maximum(error**2, 1e-12) * shrunk


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
