"""Student's interval of a mean over patients and trainings, also where misses are rare.

All functions take arrays of any leading shape, so that a simulation can try many samples at once.

A score between two bounds can be moved far by a patient of a kind that the sample does not hold: a target that is
missed has a Dice of 0. Student's interval of few patients knows nothing of it, and held the truth in as few as 41 of
100 simulated samples. So each limit is taken as if one more patient had come, who has the worst score for the lower
limit and the best for the upper. With no such patient among n, the limit lies about 3 / n away, as for a share of which
nothing was seen. tests/benchmarks/accuracy_coverage.py compares this with five other intervals.

Sources: Student, Biometrika 6(1), 1908; Satterthwaite, Biometrics Bulletin 2(6), 1946; an added observation at each
bound as in Agresti and Coull, The American Statistician 52(2), 1998, for shares.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

COVERAGE = 0.95
Array = Any  # a number, or an array of any shape
Part = tuple[Array, float]  # the variance of a mean, and its degrees of freedom
Extremes = tuple[Array, Array]  # the score of one more patient, for the lower and for the upper limit


def spread_of_mean(values: np.ndarray) -> Part:
    """The variance of the mean along the last axis, and its degrees of freedom. One value has an infinite variance."""
    count = values.shape[-1]
    if count < 2:
        return np.full(values.shape[:-1], np.inf), 1
    return _squares(values) / (count * (count - 1)), count - 1


def _squares(values: np.ndarray) -> Array:
    """The sum of the squares about the mean, along the last axis: as numpy's `var`, in a third of its time."""
    about = values - values.mean(-1, keepdims=True)
    return (about * about).sum(-1)


def limits(
    figure: Array, pseudo: np.ndarray, extremes: Extremes | None = None, others: Sequence[Part] = (),
    coverage: float = COVERAGE,
) -> tuple[Array, Array]:  # fmt: skip
    """The lower and upper limit of figures (...) whose patients have the pseudo-values (..., patients).

    `others` are further variances, those over trainings; all are added, with Satterthwaite's degrees of freedom. With
    `extremes`, each limit is that of the sample with one more patient.
    """
    center, parts = _sides(figure, pseudo, extremes, others)
    half = half_width(parts, coverage)
    return center[0] - half[0], center[1] + half[1]


def p_value(figure: Array, pseudo: np.ndarray, extremes: Extremes | None = None, others: Sequence[Part] = ()) -> Array:
    """The two-sided p-value that the figure is 0, by the limit between it and 0: below 5 % where `limits` exclude 0."""
    from scipy.special import stdtr

    center, parts = _sides(figure, pseudo, extremes, others)
    sign = np.array([1, -1]).reshape(2, *[1] * (center.ndim - 1))
    total, freedom = np.sqrt(sum_of(parts)), degrees(parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(total > 0, sign * center / total, np.where(sign * center > 0, np.inf, 0.0))
    found = np.minimum(1.0, 2 * stdtr(freedom, -far))
    return np.where(np.asarray(figure) > 0, found[0], found[1])


def _sides(
    figure: Array, pseudo: np.ndarray, extremes: Extremes | None, others: Sequence[Part]
) -> tuple[np.ndarray, list[Part]]:
    """The centers and the variances behind the lower and the upper limit (2, ...)."""
    figure, count = np.asarray(figure, dtype=float), pseudo.shape[-1]
    if extremes is None:
        spread, freedom = spread_of_mean(pseudo)
        parts = [(np.broadcast_to(spread, (2, *np.shape(spread))), freedom), *others]
        return np.broadcast_to(figure, (2, *figure.shape)), parts
    more = np.stack([np.broadcast_to(np.asarray(end, dtype=float), figure.shape) for end in extremes])
    center = (count * figure + more) / (count + 1)
    squares = _squares(pseudo) + (pseudo.mean(-1) - more) ** 2 * count / (count + 1)  # of `pseudo` and one more
    return center, [(squares / (count * (count + 1)), count), *others]


def sum_of(parts: Sequence[Part]) -> Array:
    """The sum of the variances."""
    return sum(np.asarray(variance, dtype=float) for variance, _ in parts)


def degrees(parts: Sequence[Part]) -> Array:
    """Satterthwaite's degrees of freedom of a sum of variances; those of the first part if there is no variance."""
    total = sum_of(parts)
    below = sum(np.asarray(variance, dtype=float) ** 2 / freedom for variance, freedom in parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = total**2 / below
    return np.where(np.isfinite(found), found, parts[0][1])


def half_width(parts: Sequence[Part], coverage: float = COVERAGE) -> Array:
    """Half the width of Student's interval for a sum of variances."""
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    return stdtrit(degrees(parts), (1 + coverage) / 2) * np.sqrt(sum_of(parts))


def unseen(patients: int) -> float:
    """The share of patients with a miss that a sample without one still allows, by the exact 95 % limit.

    >>> round(unseen(10), 2), round(unseen(100), 3)
    (0.26, 0.03)
    """
    return float(1 - (1 - COVERAGE) ** (1 / patients))
