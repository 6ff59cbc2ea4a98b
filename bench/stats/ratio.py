"""How many times as long one network takes as another, and how sure that is.

The unit is the process: calls within one share its memory layout, its threads' places and its luck. Two processes of
one interleaved round are a pair, for what slows the machine for a while slows both and cancels in their quotient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COVERAGE = 0.95


@dataclass(frozen=True)
class Ratio:
    """First over second, and the 95 % interval it lies in, from so many pairs of processes. No unit."""

    value: float
    low: float
    high: float
    pairs: int

    @property
    def resolution(self) -> float:
        """How far from 1 a ratio must be to be told from 1, as a share; infinite from a single pair."""
        return self.high / self.value - 1

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 1."""
        return not self.low <= 1 <= self.high


def ratio(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> Ratio:
    """The ratio of two times from raw samples in seconds, one sequence a process; the n-th of both are a pair.

    Each pair gives the logarithm of the quotient of its medians; the ratio is the exponential of their mean, and its
    95 % interval is Student's t on them, which has the right coverage also for few pairs, where a percentile bootstrap
    over five pairs covers about 80 %. One pair alone says nothing of its spread: its interval is 0 to infinity.

    Raises ValueError where there is no pair, where a process has no partner, and where a median is not above zero.
    Source: Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013 (processes as the unit, a ratio with
    its interval); Student, Biometrika 6(1), 1908.
    """
    if len(first) == 0 or len(first) != len(second):
        raise ValueError(f"as many processes of both are needed, and one at least; got {len(first)} and {len(second)}")
    medians = np.array([[float(np.median(samples)) for samples in side] for side in (first, second)])
    if not (medians > 0).all():
        raise ValueError(f"the medians must be above 0 s, got {medians.tolist()}")
    logs = np.log(medians[0] / medians[1])
    middle, half = logs.mean(), _half_width(logs)
    value, low, high = (float(np.exp(log)) for log in (middle, middle - half, middle + half))
    return Ratio(value, low, high, len(logs))


def spread_ratio(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> Ratio:
    """The same of processes that are no pairs, timed at different times: Welch's t on the logarithms of medians.

    A side with a single process says nothing of its spread: the interval is 0 to infinity. `pairs` is the smaller
    number of processes. Raises ValueError where a side has none, and where a median is not above zero.
    Source: Welch, Biometrika 34, 1947.
    """
    if not len(first) or not len(second):
        raise ValueError(f"one process of both at least is needed, got {len(first)} and {len(second)}")
    sides = [np.array([float(np.median(samples)) for samples in side]) for side in (first, second)]
    if not all((side > 0).all() for side in sides):
        raise ValueError(f"the medians must be above 0 s, got {[side.tolist() for side in sides]}")
    one, other = (np.log(side) for side in sides)
    middle, half = one.mean() - other.mean(), _welch(one, other)
    value, low, high = (float(np.exp(log)) for log in (middle, middle - half, middle + half))
    return Ratio(value, low, high, min(len(one), len(other)))


def ratio_with_control(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> tuple[Ratio, float]:
    """The paired ratio, its interval widened to the noise of the control, and that noise.

    The noise is the share by which the second network, the control, is told from itself when each of its processes is
    paired with the one before it. An interval narrower than that would claim more than the machine can tell.
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


def _half_width(logs: np.ndarray) -> float:
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    pairs = len(logs)
    if pairs == 1:
        return float("inf")
    return float(stdtrit(pairs - 1, (1 + COVERAGE) / 2) * logs.std(ddof=1) / np.sqrt(pairs))
