"""Two networks on the same test patients: their difference, and what may be said of it.

The difficulty of a patient is shared by both networks and cancels. Two statements are kept apart. Of *these trainings*:
these weights would differ on other patients too. Of *the networks*: other trainings of them would differ as well; it
needs three or more trainings of each.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np

from bench.stats.estimate import LEAST_PATIENTS, LEAST_TRAININGS, Sample, Terms, of_each, sample
from bench.stats.interval import COVERAGE, Part, limits, p_value, spread_of_mean, unseen

SIGNIFICANCE = 1 - COVERAGE  # after Holm's correction
ALL_PAIRS = 40  # networks up to which all pairs are tested
Of = Literal["these trainings", "the networks"]


@dataclass(frozen=True)
class Difference:
    """The difference of two networks' figures, first minus second, with its interval and p-values.

    `of` says which statement the interval and p-values belong to. `patients` is the number of patients that both were
    scored on, `trainings` the number of trainings of each. `p` is two-sided; `holm_p` is corrected for all tests that
    were made together. `false_claim` is the probability that the network that looks better is not. `won` and `lost` are
    shares of patients, averaged over all pairs of a training of one and a training of the other; the rest are ties.
    `parts` are the variances of the difference: over patients, then over the trainings of each. `unseen` is the share
    of patients with a missed target that the sample may lack, if it has none.
    """

    value: float
    low: float
    high: float
    of: Of
    patients: int
    trainings: tuple[int, int]
    p: float
    false_claim: float
    won: float
    lost: float
    parts: tuple[Part, ...]
    unseen: float | None = None
    holm_p: float = 1.0

    @property
    def has_interval(self) -> bool:
        """Whether there are enough patients for one."""
        return math.isfinite(self.low)

    def without_interval(self) -> "Difference":
        """The same difference, of which nothing more is known."""
        return replace(self, low=-math.inf, high=math.inf, p=1.0, holm_p=1.0, false_claim=0.5)

    @property
    def decided(self) -> bool:
        """Whether the two differ by more than chance: by the corrected test and by the interval."""
        return self.has_interval and self.holm_p < SIGNIFICANCE and not self.low <= 0 <= self.high


def difference(
    first: Sequence[Terms], second: Sequence[Terms], of: Of | None = None, coverage: float = COVERAGE,
    worst: float | None = 0.0,
) -> Difference | None:  # fmt: skip
    """The difference of two networks on the patients of both; None if they have none in common.

    The value is the difference of the two figures on these patients. Its variance is that over patients of the paired
    pseudo-values, averaged over trainings (`bench.stats.estimate.Sample`). For a statement of the networks the
    variances of both means over trainings are added. Interval and p-value are Student's (`bench.stats.interval`).
    Without `of`, the statement is of the networks if both have three trainings, else of these trainings. With fewer
    than ten patients there is neither an interval nor a p-value below 1.

    `worst` is the worst score there is (0 for a Dice); None for a distance, of which there is none. If a network has
    it on an image of this sample, a patient of whom one network misses the target may weigh much, and each limit is
    taken as if one more had come: missed by one network, with the other's own figure. If neither has, nothing is known
    of misses in fewer than a share `unseen` of patients, and the statement is of the others.

    `false_claim` is the posterior probability, under a flat prior, that the true difference has the other sign (the
    same t distribution). Source: Christodoulou et al., False promises in medical imaging AI, arXiv:2505.04720.
    """
    return _difference(_Side(first), _Side(second), of, coverage, worst)


class _Side:
    """The trainings of a network, and what is computed of them once for all networks it is compared with."""

    def __init__(self, trainings: Sequence[Terms]) -> None:
        self.trainings = trainings

    @cached_property
    def sample(self) -> Sample | None:
        return sample(self.trainings)

    @cached_property
    def _each(self) -> np.ndarray:
        return of_each(self.trainings, self.sample.patients if self.sample else ())

    def on(self, patients: tuple[str, ...]) -> Sample | None:
        """The sample of these patients."""
        return self.sample if self._has_all(patients) else sample(self.trainings, patients)

    def of_each(self, patients: tuple[str, ...]) -> np.ndarray:
        """(trainings, patients): the figures of these patients."""
        return self._each if self._has_all(patients) else of_each(self.trainings, patients)

    def _has_all(self, patients: tuple[str, ...]) -> bool:
        return self.sample is not None and self.sample.patients == patients


def _difference(first: _Side, second: _Side, of: Of | None, coverage: float, worst: float | None) -> Difference | None:
    pair = _on_common_patients(first, second)
    if pair is None:
        return None
    ours, theirs = pair
    trainings, count = (len(ours.figures), len(theirs.figures)), len(ours.patients)
    of = of or ("the networks" if min(trainings) >= LEAST_TRAININGS else "these trainings")
    value, pseudo = ours.value - theirs.value, ours.pseudo.mean(axis=0) - theirs.pseudo.mean(axis=0)
    others = [spread_of_mean(side.figures) for side in pair] if of == "the networks" else []
    missed = ours.missed + theirs.missed
    extremes = None
    if worst is not None and missed:
        ends = sorted((worst - theirs.value, ours.value - worst))
        extremes = (ends[0], ends[1])
    low, high, p = -math.inf, math.inf, 1.0
    if count >= LEAST_PATIENTS and (of == "these trainings" or min(trainings) >= LEAST_TRAININGS):
        low, high = map(float, limits(value, pseudo, extremes, others, coverage))
        p = float(p_value(value, pseudo, extremes, others))
    won, lost = _won_and_lost(first, second, ours.patients)
    rare = None if worst is None or missed else unseen(count)
    parts = (spread_of_mean(pseudo), *others)
    return Difference(value, low, high, of, count, trainings, p, p / 2, won, lost, parts, rare)


def _on_common_patients(first: _Side, second: _Side) -> tuple[Sample, Sample] | None:
    """Both networks on the patients for whom both have a figure."""
    if first.sample is None or second.sample is None:
        return None
    common = first.sample.patients
    if common != second.sample.patients:
        common = tuple(sorted({*common} & {*second.sample.patients}))
    ours, theirs = first.on(common), second.on(common)
    return (ours, theirs) if common and ours and theirs else None


def _won_and_lost(first: _Side, second: _Side, patients: tuple[str, ...]) -> tuple[float, float]:
    gaps = first.of_each(patients)[:, None] - second.of_each(patients)[None]
    count = max(1, int((~np.isnan(gaps)).sum()))
    return float((gaps > 0).sum() / count), float((gaps < 0).sum() / count)


def against_one(
    networks: Mapping[str, Sequence[Terms]], reference: str, of: Of | None = None, chosen_after: bool = False,
    worst: float | None = 0.0,
) -> dict[str, Difference]:  # fmt: skip
    """Every other network less the reference; p-values are corrected together by Holm.

    A reference that was `chosen_after` the figures were seen (the best one) is paid for: the correction is over all
    pairs of networks, and the intervals hold for all pairs together (Bonferroni). With more than `ALL_PAIRS` networks
    the p-values are corrected by Bonferroni too: that takes no test of the other pairs, and is never too small.
    """
    others = [name for name in networks if name != reference]
    count = len(networks) * (len(networks) - 1) // 2
    coverage = 1 - SIGNIFICANCE / count if chosen_after and count else COVERAGE
    sides = {name: _Side(trainings) for name, trainings in networks.items()}
    found = {name: _difference(sides[name], sides[reference], of, coverage, worst) for name in others}
    known = {name: one for name, one in found.items() if one}
    p_values = [one.p for one in known.values()]
    if chosen_after and len(networks) > ALL_PAIRS:
        return {name: replace(one, holm_p=min(1.0, count * one.p)) for name, one in known.items()}
    if chosen_after:
        pairs = (_difference(sides[a], sides[b], of, COVERAGE, worst) for a, b in combinations(others, 2))
        p_values += [one.p for one in pairs if one]
    corrected = holm(p_values)
    return {name: replace(one, holm_p=p) for (name, one), p in zip(known.items(), corrected, strict=False)}


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
