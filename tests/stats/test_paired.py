"""Paired differences of two networks: test, interval and correction."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from bench.stats.estimate import mean
from bench.stats.paired import compare, differences, holm


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_differences_are_of_units_that_both_have_and_that_are_defined():
    found = differences({"a": 0.5, "b": float("nan"), "c": 0.7, "d": 1.0}, {"c": 0.5, "a": 0.6, "b": 0.1})
    assert found == pytest.approx([-0.1, 0.2])
    assert len(differences({"a": 0.5}, {"b": 0.5})) == 0


def test_p_is_that_of_the_exact_test_for_few_units():
    """Five differences of one sign: two of the 32 ways to sign them are as extreme."""
    (one,) = compare([np.array([0.1, 0.12, 0.14, 0.16, 0.19])])
    assert (one.p, one.holm_p) == pytest.approx((2 / 32, 2 / 32))


def test_tests_that_are_made_together_are_corrected_together():
    some = np.random.default_rng(0).normal(0.1, 0.2, (3, 20))
    found = compare(list(some))
    p_values = [wilcoxon(one).pvalue for one in some]
    assert [one.p for one in found] == pytest.approx(p_values)
    assert [one.holm_p for one in found] == pytest.approx(holm(p_values))
    assert [one.difference for one in found] == [mean(one) for one in some]
    assert compare([]) == []


def test_won_and_lost_are_shares_of_all_units_and_no_difference_is_no_evidence():
    (one,) = compare([np.array([0.1, 0.2, -0.1, 0.0])])
    assert (one.won, one.lost) == (0.5, 0.25)
    (equal,) = compare([np.zeros(4)])
    assert (equal.p, equal.won, equal.lost, equal.difference.value) == (1, 0, 0, 0)
