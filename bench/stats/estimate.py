"""Means with intervals: scores over patients and trainings, and times of processes.

A score is a ratio of two sums over patients. Images of one patient are alike, so the patient is the unit: patients are
left out one at a time (the jackknife), never images. Trainings of one network differ by their seeds. An interval
describes either the figure of these trainings on other patients, or that of the network: other patients and other
trainings. The second needs several trainings.

Sources: Miller, The jackknife - a review, Biometrika 61(1), 1974; Bouthillier et al., Accounting for variance in
machine learning benchmarks, MLSys 2021 (trainings as a source of variance); Satterthwaite, Biometrics Bulletin 2(6),
1946.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median

import numpy as np

from bench.stats.interval import Part, limits, spread_of_mean
from bench.stats.ratio import half_width

LEAST_PATIENTS = 10  # with fewer there is no interval, and nothing is decided
LEAST_TRAININGS = 3  # of each network, for a statement about networks
# Patient to array (classes, 3): numerator and denominator, to be summed over patients, and how many images (or volumes)
# have the worst score, or nearly so. The last is needed for differences alone.
Terms = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval. `n` is the number of units (patients, samples, processes) behind it.

    Without an interval the bounds are infinite. `deviation` is the standard deviation over the figures of `seeds`
    trainings; None if there was only one. `parts` are the variances behind the interval of a score: over patients,
    then, if the interval is that of the network, over trainings.
    """

    value: float
    low: float
    high: float
    n: int
    deviation: float | None = None
    seeds: int = 1
    parts: tuple[Part, ...] = ()

    @property
    def has_interval(self) -> bool:
        """Whether the bounds are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def without_interval(self) -> "Estimate":
        """The same figure, of which nothing more is known."""
        return replace(self, low=-math.inf, high=math.inf)


@dataclass(frozen=True)
class Sample:
    """Scores of a network: `figures` (trainings,), and pseudo-values (trainings, patients) in the order of `patients`.

    `missed` is the number of images with the worst score, over all trainings.

    The figure of a training is the mean over classes of the ratio of the sums over patients. Its pseudo-value for a
    patient is P times the figure less P - 1 times the figure without this patient: for a plain mean, the patient's own
    score.
    """

    patients: tuple[str, ...]
    figures: np.ndarray
    pseudo: np.ndarray
    missed: int = 0

    @property
    def value(self) -> float:
        """The mean figure of the trainings."""
        return float(self.figures.mean())


def sample(trainings: Sequence[Terms], patients: Sequence[str] | None = None) -> Sample | None:
    """The figures and pseudo-values of some trainings, of all patients or of those given; None if none is defined."""
    names, stacked = stack(trainings, patients)
    if not stacked.size:
        return None
    totals = stacked.sum(axis=1, keepdims=True)  # (trainings, 1, classes, 2)
    by_class, without = _ratio(totals), _ratio(totals - stacked)
    # A class that only one patient has keeps its figure without this patient.
    figures, left = mean_of_defined(by_class[:, 0]), mean_of_defined(np.where(np.isnan(without), by_class, without))
    trained = ~np.isnan(figures)
    count = len(names)
    pseudo = count * figures[:, None] - (count - 1) * left
    missed = int(stacked[..., 2].sum()) if stacked.shape[-1] > 2 else 0
    return Sample(tuple(names), figures[trained], pseudo[trained], missed)


def stack(trainings: Sequence[Terms], patients: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
    """Names of patients and their terms (trainings, patients, classes, 2), without those for whom nothing is defined.

    Trainings that share no patient, the folds of a cross-validation, are put together as one.
    """
    trainings = pool_folds(trainings)
    names = _names(trainings) if patients is None else list(patients)
    if not trainings or not names:
        return [], np.zeros(0)
    nothing = np.zeros(next(iter(trainings[0].values())).shape)
    stacked = np.array([_rows(terms, names, nothing) for terms in trainings])
    defined = np.flatnonzero(stacked[..., 1].any(axis=(0, 2)))
    return [names[place] for place in defined], stacked[:, defined]


class Block(Mapping[str, np.ndarray]):
    """Terms by patient, or by unit, that are the rows of one array (names, classes, ...): quick to make and to read."""

    def __init__(self, names: Iterable[str], rows: np.ndarray) -> None:
        self.names, self.rows = list(names), rows

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.rows[self._places[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _names(trainings: Sequence[Terms]) -> list[str]:
    """The names of all trainings in order; mostly each has the same."""
    each = [list(terms) for terms in trainings]
    return sorted(set().union(*each)) if any(one != each[0] for one in each) else sorted(each[0] if each else [])


def rows_of(terms: Mapping[str, np.ndarray]) -> np.ndarray:
    """(patients or units, classes, ...): all arrays as one, in their order."""
    return terms.rows if isinstance(terms, Block) else np.array(list(terms.values()))


def _rows(terms: Terms, names: Sequence[str], nothing: np.ndarray) -> np.ndarray:
    """(patients, classes, 3), with zeros for those that have no terms."""
    if not isinstance(terms, Block):
        return np.array([terms.get(name, nothing) for name in names])
    if terms.names == names:  # as mostly, for `of_patients` puts them in order
        return terms.rows
    places = dict(zip(terms, range(len(terms)), strict=True))
    return np.concatenate([terms.rows, nothing[None]])[[places.get(name, -1) for name in names]]


def pool_folds(trainings: Sequence[Terms]) -> list[Terms]:
    """Put trainings together that have no patient in common: the folds of one cross-validation are one result.

    Trainings of only some of the folds are left out where others have all.
    """
    pooled: list[Terms] = []
    for terms in trainings:
        place = next((n for n, found in enumerate(pooled) if terms and _share_none(found, terms)), None)
        if place is None:
            pooled.append(terms)
        else:
            pooled[place] = {**pooled[place], **terms}
    most = max(map(len, pooled), default=0)
    return [terms for terms in pooled if terms and len(terms) == most]


def added(folds: Sequence[Terms]) -> Terms:
    """The terms of the folds of one training: of a patient who is in the test split of several, their sum."""
    if len(folds) == 1:
        return folds[0]
    found: dict[str, np.ndarray] = {}
    for fold in folds:
        found |= {name: found[name] + own if name in found else own for name, own in fold.items()}
    return found


def _share_none(first: Terms, second: Terms) -> bool:
    return list(first) != list(second) and first.keys().isdisjoint(second)


def estimate(trainings: Sequence[Terms], bounded: bool = True) -> Estimate | None:
    """The mean figure of some trainings with its 95 % interval; None if nothing is defined.

    Unit: the patient. With fewer than three trainings the interval is that of these trainings on other patients:
    `bench.stats.interval.limits` of the pseudo-values, averaged over trainings. With three or more it is that of the
    network: the variance of the trainings' mean is added. With fewer than ten patients there is no interval. A
    `bounded` score lies between 0 and 1, and each limit allows for one more patient who scores 0, or 1; the interval of
    a distance does not, and may be too narrow if few patients are far out. No limit is below 0.
    """
    found = sample(trainings)
    if found is None:
        return None
    value, count, pseudo = found.value, len(found.figures), found.pseudo.mean(axis=0)
    others = [spread_of_mean(found.figures)] if count >= LEAST_TRAININGS else []
    low, high = -math.inf, math.inf
    if len(found.patients) >= LEAST_PATIENTS:
        low, high = map(float, limits(value, pseudo, (0.0, 1.0) if bounded else None, others))
    most = 1.0 if bounded else math.inf
    low, high = (end if math.isinf(end) else min(most, max(0.0, end)) for end in (low, high))
    deviation = float(found.figures.std(ddof=1)) if count > 1 else None
    parts = (spread_of_mean(pseudo), *others)
    return Estimate(value, low, high, len(found.patients), deviation, count, parts)


def by_class(trainings: Sequence[Terms]) -> tuple[float, ...]:
    """The figure of each class, averaged over trainings; empty if nothing is defined."""
    _, stacked = stack(trainings)
    return tuple(mean_of_defined(_ratio(stacked.sum(axis=1)).T).tolist()) if stacked.size else ()


def by_unit(trainings: Sequence[Terms]) -> dict[str, float]:
    """The figure of each unit, averaged over classes, then over trainings; NaN if it is undefined."""
    by_training = [{unit: _ratio(found) for unit, found in terms.items()} for terms in trainings]
    units = dict.fromkeys(unit for shares in by_training for unit in shares)
    return {unit: _mean_over_trainings([shares[unit] for shares in by_training if unit in shares]) for unit in units}


def _mean_over_trainings(shares: list[np.ndarray]) -> float:
    return float(mean_of_defined(np.array([mean_of_defined(one) for one in shares])))


def of_each(trainings: Sequence[Terms], patients: Sequence[str] | None = None) -> np.ndarray:
    """(trainings, patients): the figure of each patient in each training; NaN if it is undefined."""
    names, stacked = stack(trainings, patients)
    return mean_of_defined(_ratio(stacked)) if names else np.zeros((0, 0))


def quantiles(trainings: Sequence[Terms], shares: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of the patients' figures, each the mean over trainings; empty if nothing is defined.

    Each training has quantiles of its own: those of an average over trainings would depend on their number. Linear
    between order statistics (Hyndman and Fan, The American Statistician 50(4), 1996, definition 7).
    """
    found = [row[~np.isnan(row)] for row in of_each(trainings)]
    each = [np.quantile(row, shares) for row in found if len(row)]
    return tuple(np.mean(each, axis=0).tolist()) if each else ()


def undefined(trainings: Sequence[Terms]) -> int:
    """Number of figures (one per unit and class) that are undefined because their denominator is zero."""
    return sum(int((found[..., 1] == 0).sum()) for terms in trainings for found in terms.values())


def of_processes(samples: Sequence[Sequence[float]]) -> Estimate | None:
    """The geometric mean over processes of their medians, with its 95 % interval: Student's t on the logarithms.

    It is in the unit of the samples, which are above zero. A single process has no interval. None if there is no
    process. Source: Kalibera and Jones, ISMM 2013, for the process as the unit.
    """
    if not samples:
        return None
    medians = np.array([median(process) for process in samples])
    first = float(medians[0])
    logs = np.log(medians / first)  # relative to the first, so that equal medians give just that figure
    middle, half = float(logs.mean()), half_width(logs)
    value = first * math.exp(middle)
    if not math.isfinite(half):
        return Estimate(value, -math.inf, math.inf, len(logs))
    return Estimate(value, first * math.exp(middle - half), first * math.exp(middle + half), len(logs))


def _ratio(terms: np.ndarray) -> np.ndarray:
    over, under = terms[..., 0], terms[..., 1]
    # What is left of a sum after all of it was subtracted is not exactly zero.
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 1e-9)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis, ignoring NaN; NaN if all values are NaN."""
    defined = ~np.isnan(values)
    count = defined.sum(-1)
    total = np.where(defined, values, 0.0).sum(-1)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
