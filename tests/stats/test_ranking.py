"""Ranks and how stable they are."""

import numpy as np
import pytest
from scipy import stats
from scoring import shares

from bench.stats.ranking import over_datasets, ranking


def networks(seed: int, means: dict[str, float], patients: int = 30, trainings: int = 1, spread: float = 0.1):
    rng = np.random.default_rng(seed)
    return {
        name: [shares(*rng.normal(mean, spread, patients)) for _ in range(trainings)] for name, mean in means.items()
    }  # fmt: skip


def test_a_rank_is_that_of_the_mean_and_equal_networks_share_the_lowest():
    made = {
        "a": [shares(*[0.5] * 12)],
        "b": [shares(*[0.9] * 12)],
        "c": [shares(*[0.5] * 12)],
        "d": [shares(*[0.1] * 12)],
    }
    found = ranking(made).ranks()
    expected = stats.rankdata([-0.5, -0.9, -0.5, -0.1], method="min")
    assert [found[name].rank for name in "abcd"] == expected.tolist()
    assert (found["b"].best, found["a"].best) == (1.0, 0.0)
    assert (found["a"].low, found["a"].high) == (2, 2)


def test_the_best_is_best_as_often_as_the_normal_law_says():
    """Of two networks: the probability that the mean of the drawn differences is above zero."""
    made = networks(1, {"a": 0.71, "b": 0.7}, patients=200)
    gaps = np.array([made["a"][0][p][0, 0] - made["b"][0][p][0, 0] for p in made["a"][0]])
    expected = stats.norm.cdf(gaps.mean() / (gaps.std() / np.sqrt(len(gaps))))
    assert ranking(made).ranks()["a"].best == pytest.approx(expected, abs=0.03)


def test_ranks_by_drawing_cases_again_as_challenger_does():
    """The same resampling written with a loop, as challengeR aggregates and ranks each bootstrap sample."""
    made = networks(2, {"a": 0.70, "b": 0.71, "c": 0.74}, patients=25)
    scores = np.array([[terms[0][patient][0, 0] for patient in sorted(terms[0])] for terms in made.values()])
    rng = np.random.default_rng(9)
    drawn = np.array([stats.rankdata(-scores[:, rng.integers(0, 25, 25)].mean(axis=1), "min") for _ in range(4000)])
    found = ranking(made).ranks()
    assert [one.best for one in found.values()] == pytest.approx((drawn == 1).mean(axis=0).tolist(), abs=0.04)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    assert [(one.low, one.high) for one in found.values()] == list(zip(low, high, strict=True))


def test_less_is_better_turns_ranks_around():
    made = {"far": [shares(*[9.0] * 12)], "near": [shares(*[2.0] * 12)]}
    assert ranking(made, less_is_better=True).ranks()["near"].rank == 1


def test_trainings_that_differ_make_ranks_of_networks_less_stable():
    made = {
        name: [shares(*(np.linspace(0.5, 0.9, 40) + shift)) for shift in shifts]
        for name, shifts in {"a": (0.03, 0.0, -0.02), "b": (0.02, -0.03, 0.0)}.items()
    }
    network = ranking(made)
    single = ranking({name: found[:1] for name, found in made.items()})
    assert (network.of, single.of) == ("the networks", "these trainings")
    assert single.ranks()["a"].best == 1.0  # these weights: the same patients, always a little better
    assert 0.5 < network.ranks()["a"].best < 0.8


def test_too_few_patients_or_networks_have_no_ranks():
    assert ranking(networks(3, {"a": 0.7, "b": 0.6}, patients=9)).ranks() == {}
    assert ranking(networks(3, {"a": 0.7})) is None
    assert ranking({"a": [shares(0.5)], "b": [{"other": np.array([[1.0, 1.0]])}]}) is None


def test_the_mean_rank_over_data_sets_is_of_the_networks_that_all_have():
    first = ranking(networks(4, {"a": 0.9, "b": 0.5, "c": 0.3}))
    second = ranking(networks(5, {"c": 0.9, "x": 0.8, "a": 0.5}))
    found = over_datasets([first, second])
    assert {name: one.rank for name, one in found.items()} == {"a": 1.5, "c": 1.5}
    assert (found["a"].low, found["a"].high) == (1.5, 1.5)
    assert over_datasets([first]) != {}
    assert over_datasets([]) == {}
