import re

import numpy as np
import pytest
from claiming import MACHINE, claim, counted, now, timed, trained, trainings
from handmade import altered, cost_record, predicted_record, unnamed_record

from bench.judge.verdict import judge

LATENCY = {"metric": "latency", "device": "cpu", "against": "unet", "margin": 0.05}


def outcome(one, *records):
    (verdict,) = judge([one], list(records), MACHINE)
    return verdict


@pytest.mark.parametrize(("value", "margin", "said"), [(6.65e6, 0.02, "holds"), (6.65e6, 0.001, "fails")])
def test_a_count_is_within_the_margin_or_not(value, margin, said):
    verdict = outcome(claim(relation="equals", value=value, margin=margin), counted())
    assert verdict.outcome == said
    assert verdict.measured.value == 6_576_225


def test_without_a_record_it_is_undecided_and_says_what_to_do():
    verdict = outcome(claim())
    assert (verdict.outcome, verdict.todo) == ("undecided", "bench check --measure-missing")
    assert "no record of mdsa_unet" in verdict.reason


def test_a_record_of_older_code_decides_nothing_but_tells_what_was_before():
    old = cost_record("mdsa_unet", 6_000_000)
    assert outcome(claim(), old).outcome == "undecided"
    grown = outcome(claim(value=6.1e6), old, counted())
    assert (grown.outcome, grown.before) == ("fails", 6_000_000)


def test_a_quotient_far_below_its_limit_holds_and_far_above_it_fails():
    fast, slow = timed("mdsa_unet", [0.10, 0.11, 0.10, 0.11, 0.10]), timed("unet", [0.4, 0.41, 0.4, 0.41, 0.4], 1)
    assert outcome(claim(**LATENCY), *fast, *slow).outcome == "holds"
    assert outcome(claim(**LATENCY, times=0.1), *fast, *slow).outcome == "fails"


def test_a_quotient_near_its_limit_is_undecided_whatever_side_the_noise_puts_it_on():
    one, other = [1.0, 1.1, 0.95, 1.05, 1.0], [0.95, 1.0, 1.1, 0.9, 1.05]
    for first, second in ((one, other), (other, one)):
        verdict = outcome(claim(**LATENCY), *timed("mdsa_unet", first), *timed("unet", second, 1))
        assert verdict.outcome == "undecided"
        assert "untestable here: the margin of 5 %" in verdict.reason


DICE = {"metric": "dice", "dataset": "synthetic", "relation": "at_least"}
GOOD = tuple(np.linspace(0.6, 0.9, 20).round(3))
BAD = tuple(d - 0.2 - 0.01 * (-1) ** n for n, d in enumerate(GOOD))


def test_a_lead_of_three_trainings_on_the_same_patients_holds_and_a_lag_fails():
    ahead = claim(**DICE, against="unet")
    good, bad = trainings("mdsa_unet", GOOD), trainings("unet", BAD)
    assert outcome(ahead, *good, *bad).outcome == "holds"
    assert outcome(claim(**DICE | {"network": "unet"}, against="mdsa_unet"), *good, *bad).outcome == "fails"
    assert outcome(claim(**DICE, against="unet", ahead_by=0.2), *good, *bad).outcome == "undecided"


def test_a_lead_of_too_few_trainings_or_of_old_records_is_undecided_however_large():
    ahead, good, bad = claim(**DICE, against="unet"), trainings("mdsa_unet", GOOD), trainings("unet", BAD)
    assert outcome(ahead, *good, *bad[:2]).outcome == "undecided"
    assert outcome(ahead, *good, *bad[:2]).measured.low > 0, "it is shown all the same"
    old = [now(unnamed_record(name, dice, seed)) for seed in range(3)
           for name, dice in (("mdsa_unet", GOOD), ("unet", BAD))]  # fmt: skip
    assert (outcome(ahead, *old).outcome, outcome(ahead, *old).measured) == ("undecided", None)


def test_a_lead_that_the_seeds_could_have_made_is_undecided():
    good, bad = trainings("mdsa_unet", GOOD, spread=0.2), trainings("unet", BAD, spread=0.2)
    assert outcome(claim(**DICE, against="unet"), *good, *bad).outcome == "undecided"


def test_a_distance_of_which_less_is_better():
    ahead = claim(metric="hd95", dataset="synthetic", relation="at_most", against="unet")
    good, bad = trainings("mdsa_unet", GOOD), trainings("unet", BAD)
    assert outcome(ahead, *good, *bad).outcome == "holds"
    assert outcome(ahead, *good, *bad).measured.value == pytest.approx(-2, abs=0.01)


@pytest.mark.parametrize(("value", "said"), [(0.5, "holds"), (0.9, "fails")])
def test_a_score_of_one_training_is_decided_for_these_weights(value, said):
    found = outcome(claim(**DICE, value=value), trained("mdsa_unet", GOOD))
    assert (found.outcome, found.measured.scope) == (said, "these weights: 20 patients, 1 training")


def test_a_score_whose_interval_spans_the_limit_is_undecided_and_says_how_many_patients_would_decide():
    spread = outcome(claim(**DICE, value=0.74), trained("mdsa_unet", GOOD))
    assert (spread.outcome, spread.reason) == ("undecided", "the interval spans the limit")
    about = re.fullmatch(r"about ([\d,]+) patients", spread.todo)
    need = int(about[1].replace(",", ""))
    assert need == pytest.approx(np.var(GOOD, ddof=1) * (2.093 / 0.01) ** 2, rel=0.01)


def test_more_trainings_of_one_network_or_of_each_of_two_may_decide():
    alone = outcome(claim(**DICE, value=0.65), *trainings("mdsa_unet", GOOD, spread=0.1))
    assert re.fullmatch(r"about \d+ trainings", alone.todo)
    two = outcome(claim(**DICE, against="unet"), *trainings("mdsa_unet", GOOD, 0.2), *trainings("unet", BAD, 0.2))
    assert re.fullmatch(r"about \d+ trainings of each network", two.todo)


def test_too_few_patients_are_shown_and_decide_nothing():
    found = outcome(claim(**DICE, value=0.1), trained("mdsa_unet", GOOD[:9]))
    assert (found.outcome, found.reason, found.measured.value) == (
        "undecided", "9 patients, 10 needed", pytest.approx(np.mean(GOOD[:9])),
    )  # fmt: skip


def test_predictions_made_elsewhere_are_evidence_whatever_the_code_here():
    made = predicted_record("mdsa_unet", GOOD)
    assert outcome(claim(**DICE, value=0.5), made).outcome == "holds"
    assert outcome(
        claim(**DICE, value=0.5), altered(trained("mdsa_unet", GOOD), weights="0" * 12, train=None)
    ).outcome == ("undecided")


def test_twenty_noisy_runs_give_no_false_alarm():
    """Two names for one network: at most 1 times the other's time is true, and must never be found to fail."""
    random = np.random.default_rng(0)
    for _ in range(20):
        drift = np.exp(np.cumsum(random.normal(0, 0.1, 5)))
        noise = np.exp(random.normal(0, 0.05, (2, 5)))
        records = [*timed("mdsa_unet", list(drift * noise[0])), *timed("unet", list(drift * noise[1]), 1)]
        assert outcome(claim(**LATENCY), *records).outcome != "fails"
