"""The drift of a machine between two runs, as unchanged networks show it.

A network whose code and libraries are the same on both sides is a control: what it takes more today, the machine takes
more. The drift is the geometric mean of the controls' ratios; its interval is Student's t on their logarithms, over
networks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.stats.ratio import half_width

if TYPE_CHECKING:  # a change holds its drift
    from bench.judge.compare import Change

LEAST = 2  # controls, for an interval


@dataclass(frozen=True)
class Left:
    """What is left of a change: after / before - 1 with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Drift:
    """The change, after / before - 1, that `controls` unchanged networks share, with its 95 % interval."""

    value: float
    low: float
    high: float
    controls: int

    @property
    def is_shown(self) -> bool:
        """Whether the interval excludes that nothing drifted."""
        return not self.low <= 0 <= self.high

    def without(self, change: float, low: float, high: float) -> Left:
        """A change of a ratio without the drift; the half widths of both intervals, on logarithms, are combined."""
        middle, drifted = math.log1p(change), math.log1p(self.value)
        parts = [(math.log1p(change) - _log(low), drifted - _log(self.low))]
        parts.append((_log(high) - math.log1p(change), _log(self.high) - drifted))
        below, above = (math.hypot(*half) for half in parts)
        rest = middle - drifted
        return Left(math.expm1(rest), math.expm1(rest - below), math.expm1(min(rest + above, 700.0)))


def _log(change: float) -> float:
    return math.log1p(change) if -1 < change < math.inf else math.copysign(math.inf, change)


def drifts(changes: Sequence["Change"]) -> dict[str, Drift]:
    """The drift by the name of each metric that depends on the machine's speed, where there are enough controls."""
    logs: dict[str, dict[str, list[float]]] = {}
    for one in changes:
        timed = one.metric.tier == "ratio" and one.metric.unit != "bytes"
        known = one.change is not None and one.change > -1 and one.outcome not in ("refused", "appeared", "vanished")
        if timed and known and one.unchanged and not one.reason and one.low != one.high:
            logs.setdefault(one.metric.name, {}).setdefault(one.network, []).append(math.log1p(one.change or 0.0))
    return {name: _drift([float(np.mean(of)) for of in by.values()]) for name, by in logs.items() if len(by) >= LEAST}


def _drift(logs: Sequence[float]) -> Drift:
    found = np.array(logs)
    middle, half = float(found.mean()), half_width(found)
    return Drift(math.expm1(middle), math.expm1(middle - half), math.expm1(middle + half), len(logs))
