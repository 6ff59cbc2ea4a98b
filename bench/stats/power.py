"""How many more patients or trainings would decide what is undecided."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.stats.interval import COVERAGE, Part, degrees


@dataclass(frozen=True)
class Need:
    """About how many patients, or trainings of each network, would decide; None where more of them would not."""

    patients: int | None
    trainings: int | None


def need(gap: float, patients: int, trainings: Sequence[int], parts: Sequence[Part]) -> Need:
    """What would make an interval as narrow as `gap`, the distance from the figure to the limit.

    The present figure and variances are taken for the true ones, so the answer is rough. `parts` are the variances over
    patients, then over the trainings of each network, if these belong to the statement.
    """
    from scipy.special import stdtrit

    known = all(math.isfinite(variance) for variance, _ in parts)
    if not gap or not known:
        return Need(None, None)
    wanted = (gap / float(stdtrit(max(2.0, float(degrees(parts))), (1 + COVERAGE) / 2))) ** 2
    over_patients, over_trainings = parts[0][0], sum(variance for variance, _ in parts[1:])
    more_patients = more_trainings = None
    if over_trainings < wanted:
        more_patients = math.ceil(patients * over_patients / (wanted - over_trainings))
    if over_patients < wanted and len(parts) > 1:
        more_trainings = math.ceil(
            sum(count * variance for count, (variance, _) in zip(trainings, parts[1:], strict=True))
            / (wanted - over_patients)
        )
    return Need(more_patients, more_trainings)
