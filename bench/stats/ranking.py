"""Ranks of networks and how stable they are: on one data set, and over several.

Patients are drawn again with replacement, the same for all networks, and the networks are ranked by their figures each
time. Where every network has three or more trainings, their spread is drawn as well, and the ranks are those of the
networks; otherwise they are those of these trainings.

Source: Wiesenfarth et al., Methods and open-source toolkit for analyzing and visualizing challenge results, Scientific
Reports 11, 2021 (challengeR: aggregate, then rank; ties have the lowest rank of theirs).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.stats.estimate import LEAST_PATIENTS, LEAST_TRAININGS, Terms, mean_of_defined, sample, stack
from bench.stats.paired import Of

DRAWS = 2000
MOST = 150  # networks that are ranked


@dataclass(frozen=True)
class Rank:
    """A network's rank, the 95 % interval of its rank, and the probability that it is the best.

    Over several data sets `rank` is the mean rank. `of` says whether the ranks are of these trainings or of networks.
    """

    rank: float
    low: float
    high: float
    best: float
    of: Of


@dataclass(frozen=True)
class Ranking:
    """Ranks of `networks` on one data set: those found (networks,), and those of every draw (draws, networks)."""

    networks: tuple[str, ...]
    found: np.ndarray
    drawn: np.ndarray
    of: Of
    patients: int

    def ranks(self) -> dict[str, Rank]:
        """The rank of each network with its interval; empty if there are too few patients to say how stable it is."""
        if self.patients < LEAST_PATIENTS:
            return {}
        return _ranks(self.networks, self.found, self.drawn, self.of)

    def among(self, names: Sequence[str]) -> "Ranking":
        """The ranking of some of its networks, ranked again, so that one that is left out moves none."""
        places = [self.networks.index(name) for name in names]
        found, drawn = _ranked(self.found[None, places])[0], _ranked(self.drawn[:, places])
        return replace(self, networks=tuple(names), found=found, drawn=drawn)


def ranking(networks: Mapping[str, Sequence[Terms]], less_is_better: bool = False, seed: int = 0) -> Ranking | None:
    """Rank networks by their figures on the patients that all have; None if there are none or fewer than two networks.

    2000 draws, the same for the same patients. None also for more networks than `MOST`: with so many, the interval of a
    rank tells nothing that the intervals of the figures do not, and takes minutes.
    """
    if len(networks) > MOST:
        return None
    sides = {name: found for name, trainings in networks.items() if (found := sample(trainings))}
    if len(sides) < 2:
        return None
    common = sorted(set.intersection(*(set(side.patients) for side in sides.values())))
    if not common:
        return None
    of: Of = (
        "the networks" if min(len(side.figures) for side in sides.values()) >= LEAST_TRAININGS else "these trainings"
    )
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(common), np.full(len(common), 1 / len(common)), DRAWS).astype(float)
    figures, drawn = [], []
    for name in sides:
        _, stacked = stack(networks[name], common)
        own = _figures(stacked, np.ones((1, len(common))))[0]
        again = _figures(stacked, weights)
        again = np.where(np.isnan(again), own, again).mean(axis=1)
        if of == "the networks":
            again += rng.standard_t(len(own) - 1, DRAWS) * own.std(ddof=1) / np.sqrt(len(own))
        figures.append(own.mean())
        drawn.append(again)
    sign = 1 if less_is_better else -1
    return Ranking(
        tuple(sides), _ranked(sign * np.array([figures]))[0], _ranked(sign * np.array(drawn).T), of, len(common)
    )


def over_datasets(rankings: Sequence[Ranking]) -> dict[str, Rank]:
    """The mean rank over several data sets of the networks that all of them rank.

    Patients are drawn in each, apart from those of the others: the draws of each are put in an order of its own, for
    data sets with as many patients have been drawn from with the same numbers.
    """
    common = (
        [name for name in rankings[0].networks if all(name in one.networks for one in rankings)] if rankings else []
    )
    if len(common) < 2 or min(one.patients for one in rankings) < LEAST_PATIENTS:
        return {}
    among = [one.among(common) for one in rankings]
    rng = np.random.default_rng(0)
    found = np.mean([one.found for one in among], axis=0)
    drawn = np.mean([rng.permutation(one.drawn) for one in among], axis=0)
    of: Of = "the networks" if all(one.of == "the networks" for one in rankings) else "these trainings"
    return _ranks(common, found, drawn, of)


def _ranks(names: Sequence[str], found: np.ndarray, drawn: np.ndarray, of: Of) -> dict[str, Rank]:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0, method="nearest")
    first = drawn == drawn.min(axis=1, keepdims=True)
    best = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)  # networks that are equal share the draw
    facts = zip(names, found, np.minimum(low, found), np.maximum(high, found), best, strict=True)
    return {name: Rank(float(rank), float(least), float(most), float(p), of) for name, rank, least, most, p in facts}


def _ranked(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the last axis, the least value first; equal values have the lowest rank of theirs."""
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    places = np.arange(values.shape[-1])
    is_first = np.concatenate([np.ones((*values.shape[:-1], 1), bool), np.diff(ordered, axis=-1) != 0], axis=-1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, 1.0 + np.maximum.accumulate(np.where(is_first, places, 0), axis=-1), axis=-1)
    return ranks


def _figures(stacked: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(draws, trainings) from terms (trainings, patients, classes, 2) and weights of patients (draws, patients)."""
    trainings, patients, classes, _ = stacked.shape
    sums = weights @ stacked[..., :2].transpose(1, 0, 2, 3).reshape(patients, -1)
    sums = sums.reshape(len(weights), trainings, classes, 2)
    over, under = sums[..., 0], sums[..., 1]
    return mean_of_defined(np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0))
