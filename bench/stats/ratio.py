"""The ratio of two networks' times, with its confidence interval.

The unit is the process, because the calls within a process are not independent: they share its memory layout and the
placement of its threads. Two processes of one interleaved round are a pair: a temporary slowdown of the machine affects
both and cancels in their quotient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COVERAGE = 0.95


@dataclass(frozen=True)
class Ratio:
    """The ratio first / second with its 95 % interval, from `pairs` pairs of processes. Dimensionless."""

    value: float
    low: float
    high: float
    pairs: int

    @property
    def resolution(self) -> float:
        """The smallest relative difference from 1 that can be detected; infinite with a single pair."""
        return self.high / self.value - 1

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 1."""
        return not self.low <= 1 <= self.high


def ratio(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> Ratio:
    """The ratio of two times from raw samples in seconds, one sequence per process. The n-th processes form a pair.

    Each pair gives the logarithm of the quotient of its medians. The ratio is the exponential of the mean of these
    logarithms, and its 95 % interval is Student's t interval on them. Its coverage is also correct for few pairs; a
    percentile bootstrap over five pairs covers about 80 %. With a single pair the spread is unknown, so the interval is
    0 to infinity.

    Raises ValueError if there is no pair, if the numbers of processes differ, or if a median is not above zero.
    Source: Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013 (processes as the unit, a ratio with
    its interval); Student, Biometrika 6(1), 1908.
    """
    if len(first) == 0 or len(first) != len(second):
        raise ValueError(
            f"both sides need the same number of processes, and at least one; got {len(first)} and {len(second)}"
        )
    medians = np.array([[float(np.median(samples)) for samples in side] for side in (first, second)])
    if not (medians > 0).all():
        raise ValueError(f"the medians must be above 0 s, got {medians.tolist()}")
    logs = np.log(medians[0] / medians[1])
    middle, half = logs.mean(), half_width(logs)
    value, low, high = (float(np.exp(log)) for log in (middle, middle - half, middle + half))
    return Ratio(value, low, high, len(logs))


def spread_ratio(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> Ratio:
    """The ratio of two times from unpaired processes: Welch's t interval on the logarithms of the medians.

    If a side has a single process, its spread is unknown and the interval is 0 to infinity. `pairs` is the smaller
    number of processes. Raises ValueError if a side has no process, or if a median is not above zero. Source: Welch,
    Biometrika 34, 1947.
    """
    if not len(first) or not len(second):
        raise ValueError(f"each side needs at least one process, got {len(first)} and {len(second)}")
    sides = [np.array([float(np.median(samples)) for samples in side]) for side in (first, second)]
    if not all((side > 0).all() for side in sides):
        raise ValueError(f"the medians must be above 0 s, got {[side.tolist() for side in sides]}")
    one, other = (np.log(side) for side in sides)
    middle, half = one.mean() - other.mean(), _welch(one, other)
    value, low, high = (float(np.exp(log)) for log in (middle, middle - half, middle + half))
    return Ratio(value, low, high, min(len(one), len(other)))


def ratio_with_control(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> tuple[Ratio, float]:
    """The paired ratio with its interval widened to the noise of the control, and that noise.

    The second network is the control. The noise is the resolution (`Ratio.resolution`) of its ratio to itself, with
    each of its processes paired with the one before it. A narrower interval would claim more than the machine can
    resolve.
    """
    found, noise = ratio(first, second), ratio(second[1:], second[:-1]).resolution
    low, high = min(found.low, found.value / (1 + noise)), max(found.high, found.value * (1 + noise))
    return Ratio(found.value, low, high, found.pairs), noise


def _welch(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.special import stdtrit

    if min(len(one), len(other)) < 2:
        return float("inf")
    parts = np.array([side.var(ddof=1) / len(side) for side in (one, other)])
    if not parts.any():
        return 0.0
    freedom = parts.sum() ** 2 / (parts**2 / [len(one) - 1, len(other) - 1]).sum()
    return float(stdtrit(freedom, (1 + COVERAGE) / 2) * np.sqrt(parts.sum()))


def half_width(logs: np.ndarray) -> float:
    """Half of Student's 95 % interval of the mean of some logarithms; infinite for a single one."""
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    pairs = len(logs)
    if pairs == 1:
        return float("inf")
    return float(stdtrit(pairs - 1, (1 + COVERAGE) / 2) * logs.std(ddof=1) / np.sqrt(pairs))
