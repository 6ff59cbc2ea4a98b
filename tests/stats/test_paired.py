"""Two networks on the same patients: against scipy and statsmodels, and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from scoring import shares

from bench.stats.paired import against_one, difference, holm


def trainings(values: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Terms of each training from scores (trainings, patients)."""
    return [shares(*one) for one in values]


def two(seed: int, patients: int = 40, ours: int = 1, theirs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two networks that share the difficulty of patients."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.7, 0.15, patients)
    return tuple(common + rng.normal(shift, 0.05, (count, patients)) for shift, count in ((0.02, ours), (0, theirs)))


def test_these_trainings_are_compared_by_students_paired_test():
    ours, theirs = two(1)
    found, test = difference(trainings(ours), trainings(theirs)), stats.ttest_rel(ours[0], theirs[0])
    interval = test.confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(ours - theirs), interval.low, interval.high))
    assert (found.p, found.false_claim) == pytest.approx((test.pvalue, test.pvalue / 2))
    assert (found.of, found.patients, found.trainings) == ("these trainings", 40, (1, 1))


def test_a_false_claim_is_as_likely_as_the_posterior_says():
    """By the formula of arXiv:2505.04720 from two means, two deviations and their correlation."""
    ours, theirs = (side[0] for side in two(2))
    spread = math.sqrt(
        ours.var(ddof=1) + theirs.var(ddof=1)
        - 2 * ours.std(ddof=1) * theirs.std(ddof=1) * np.corrcoef(ours, theirs)[0, 1]
    )  # fmt: skip
    expected = stats.t.cdf(math.sqrt(40) * (theirs.mean() - ours.mean()) / spread, 39)
    assert difference([shares(*ours)], [shares(*theirs)]).false_claim == pytest.approx(expected)


def test_networks_are_compared_by_welchs_test_if_patients_do_not_matter():
    ours, theirs = np.array([0.7, 0.72, 0.8]), np.array([0.6, 0.65, 0.61, 0.62])
    found = difference(*([shares(*[figure] * 12) for figure in side] for side in (ours, theirs)))
    test = stats.ttest_ind(ours, theirs, equal_var=False)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high, found.p) == pytest.approx((interval.low, interval.high, test.pvalue))
    assert (found.of, found.trainings) == ("the networks", (3, 4))


def test_the_difference_shown_is_the_difference_of_the_figures_shown():
    ours, theirs = two(3, ours=5, theirs=2)
    assert difference(trainings(ours), trainings(theirs)).value == pytest.approx(ours.mean() - theirs.mean())


def test_of_networks_nothing_is_said_from_fewer_than_three_trainings():
    ours, theirs = two(4, ours=5, theirs=2)
    assert difference(trainings(ours), trainings(theirs)).of == "these trainings"
    found = difference(trainings(ours), trainings(theirs), of="the networks")
    assert (found.has_interval, found.p, found.decided) == (False, 1.0, False)


def test_nothing_is_decided_by_nine_patients():
    nine, ten = (difference([shares(*np.linspace(0.8, 0.9, n))], [shares(*np.full(n, 0.1))]) for n in (9, 10))
    assert (nine.p, nine.has_interval) == (1.0, False)
    assert ten.p < 1e-6


def test_patients_that_only_one_has_or_that_are_undefined_are_left_out():
    found = difference([shares(0.5, math.nan, 0.5, 0.5)], [shares(0.6, 0.6, 0.6)])
    assert (found.patients, found.value) == (2, pytest.approx(-0.1))
    assert difference([shares(0.5)], [shares(math.nan)]) is None


def test_won_and_lost_are_averaged_over_pairs_of_trainings():
    ours, theirs = np.array([[0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.5, 0.5]]), np.array([[0.4, 0.6, 0.5, 0.2]])
    found = difference(trainings(ours), trainings(theirs))
    gaps = ours[:, None] - theirs[None]
    assert (found.won, found.lost) == pytest.approx(((gaps > 0).mean(), (gaps < 0).mean()))


def test_equal_scores_are_no_evidence():
    found = difference([shares(*np.linspace(0.2, 0.8, 20))], [shares(*np.linspace(0.2, 0.8, 20))])
    assert (found.value, found.p, found.won, found.lost, found.decided) == (0, 1, 0, 0, False)


def test_holm_by_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p_values = np.random.default_rng(0).uniform(0, 0.2, 12)
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([]) == []


def test_tests_of_a_reference_that_was_named_before_are_corrected_over_its_pairs():
    networks = {name: [shares(*np.random.default_rng(n).normal(0.7, 0.1, 30))] for n, name in enumerate("abcd")}
    found = against_one(networks, "b")
    p_values = [difference(networks[name], networks["b"]).p for name in "acd"]
    assert list(found) == ["a", "c", "d"]
    assert [one.p for one in found.values()] == pytest.approx(p_values)
    assert [one.holm_p for one in found.values()] == pytest.approx(holm(p_values))


def test_a_reference_that_was_chosen_for_its_figure_is_paid_for():
    """Ten equal networks: the best is called better than some other in 5 % of experiments at most."""
    rng, wrong, unpaid = np.random.default_rng(1), 0, 0
    for _ in range(200):
        common = rng.normal(0, 0.1, 25)
        networks = {str(n): [shares(*(0.6 + common + rng.normal(0, 0.05, 25)))] for n in range(10)}
        best = max(networks, key=lambda name: np.mean([unit[0, 0] for unit in networks[name][0].values()]))
        wrong += any(one.decided for one in against_one(networks, best, chosen_after=True).values())
        unpaid += any(one.decided for one in against_one(networks, best).values())
    assert wrong <= 200 * 0.05 + 6
    assert unpaid > 200 * 0.1
