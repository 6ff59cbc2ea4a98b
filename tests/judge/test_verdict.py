import pytest
from claiming import MACHINE, claim, counted, timed, trained
from handmade import cost_record

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


def test_a_lead_on_the_same_images_holds_and_a_lag_fails():
    ahead = claim(metric="dice", dataset="synthetic", against="unet", relation="at_least")
    good, bad = trained("mdsa_unet", (0.7, 0.8, 0.9)), trained("unet", (0.5, 0.6, 0.7))
    assert outcome(ahead, good, bad).outcome == "holds"
    behind = claim(network="unet", metric="dice", dataset="synthetic", against="mdsa_unet", relation="at_least")
    assert outcome(behind, good, bad).outcome == "fails"


def test_a_score_whose_interval_spans_the_limit_is_undecided():
    spread = outcome(
        claim(metric="dice", dataset="synthetic", relation="at_least", value=0.7), trained("mdsa_unet", (0.5, 0.7, 0.9))
    )
    assert (spread.outcome, spread.reason, spread.todo) == (
        "undecided", "the interval spans the limit", "train with more seeds",
    )  # fmt: skip


def test_twenty_noisy_runs_give_no_false_alarm():
    """Two names for one network: at most 1 times the other's time is true, and must never be found to fail."""
    import numpy as np

    random = np.random.default_rng(0)
    for _ in range(20):
        drift = np.exp(np.cumsum(random.normal(0, 0.1, 5)))
        noise = np.exp(random.normal(0, 0.05, (2, 5)))
        records = [*timed("mdsa_unet", list(drift * noise[0])), *timed("unet", list(drift * noise[1]), 1)]
        assert outcome(claim(**LATENCY), *records).outcome != "fails"
