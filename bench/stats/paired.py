"""Paired tests of two networks on the same test images.

Differences are taken per unit (image or volume), so the difficulty of a unit, which both networks share, cancels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.stats.estimate import Estimate, mean

SIGNIFICANCE = 0.05  # after Holm's correction


@dataclass(frozen=True)
class Test:
    """Paired differences: the mean with its interval, the shares of units won and lost, and p-values.

    `p` is the p-value of the two-sided Wilcoxon signed-rank test; `holm_p` is the same after Holm's correction over all
    tests made together. The remaining units are ties.
    """

    difference: Estimate
    won: float
    lost: float
    p: float
    holm_p: float


def compare(pairs: Sequence[np.ndarray]) -> list[Test]:
    """Test each array (n,) of differences; the p-values are corrected together.

    The interval is computed by `bench.stats.estimate.mean`: units are resampled, trainings are not.
    Source: Wilcoxon, Biometrics Bulletin 1(6), 1945.
    """
    p_values = [_wilcoxon(found) for found in pairs]
    return [
        Test(mean(found), float((found > 0).mean()), float((found < 0).mean()), p, corrected)
        for found, p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction of p-values, which controls the family-wise error rate.

    Source: Holm, Scandinavian Journal of Statistics 6(2), 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def differences(ours: Mapping[str, float], theirs: Mapping[str, float]) -> np.ndarray:
    """Differences (n,), first minus second, over the n units for which both have a score."""
    found = np.array([ours[unit] - theirs[unit] for unit in ours if unit in theirs])
    return found[~np.isnan(found)]


def _wilcoxon(found: np.ndarray) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(found).pvalue) if found.any() else 1.0
