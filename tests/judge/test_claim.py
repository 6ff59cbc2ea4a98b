import math

import claiming
import pytest
from pydantic import ValidationError

from bench.judge.claim import contradictions


def claim(**facts):
    return claiming.claim(**{"relation": "equals", "value": 100.0, **facts})


@pytest.mark.parametrize(
    ("relation", "low", "high"),
    [("equals", 98.0, 102.0), ("at_most", -math.inf, 102.0), ("at_least", 98.0, math.inf)],
)
def test_a_margin_is_a_share_of_the_bound(relation, low, high):
    allowed = claim(relation=relation, margin=0.02).allowed
    assert (allowed.low, allowed.high) == pytest.approx((low, high))


def test_a_scores_margin_is_in_its_own_unit():
    allowed = claim(metric="dice", dataset="ddti", relation="at_least", value=0.8, margin=0.01).allowed
    assert allowed.low == pytest.approx(0.79)


def test_an_own_folder_may_be_named_in_a_claim():
    assert claim(metric="dice", dataset="folder/mine", relation="at_least", value=0.8).dataset == "folder/mine"


def test_against_another_the_bound_is_its_own_figure_or_a_score_level_with_it():
    assert claim(value=None, against="unet").bound == 1
    assert claim(value=None, against="unet", times=0.5).bound == 0.5
    assert claim(value=None, against="unet", metric="dice", dataset="ddti").bound == 0


MISTAKES = {
    "network": ({"network": "unett"}, "unknown network 'unett'; did you mean 'unet'"),
    "other": ({"value": None, "against": "unett"}, "did you mean 'unet'"),
    "itself": ({"value": None, "against": "mdsa_unet"}, "differ from itself"),
    "metric": ({"metric": "parameter"}, "did you mean 'parameters'"),
    "data set": ({"metric": "dice", "dataset": "ddt1"}, "did you mean 'ddti'"),
    "part of a data set": ({"metric": "dice", "dataset": "ddti/mine"}, "only own folders are told apart"),
    "protocol": ({"metric": "dice", "dataset": "ddti", "protocol": "poled"}, "did you mean 'pooled'"),
    "both bounds": ({"against": "unet"}, "give either `value`"),
    "no bound": ({"value": None}, "give either `value`"),
    "lead of a count": ({"value": None, "against": "unet", "ahead_by": 1.0}, "`ahead_by` does not fit here"),
    "times of a score": (
        {"value": None, "against": "unet", "metric": "dice", "dataset": "ddti", "times": 2.0}, "`times` does not fit",
    ),
    "times of a value": ({"times": 2.0}, "`times` does not fit"),
    "lead of a value": ({"metric": "dice", "dataset": "ddti", "ahead_by": 0.1}, "`ahead_by` does not fit"),
    "foreign condition": ({"dataset": "ddti"}, "parameters does not depend on `dataset`"),
    "no data set": ({"metric": "dice"}, "dice needs `dataset`"),
    "no device": ({"metric": "latency", "value": None, "against": "unet", "margin": 0.1}, "latency needs `device`"),
    "no module": ({"metric": "attended"}, "attended needs `module`"),
    "negative margin": ({"margin": -0.1}, "greater than or equal to 0"),
    "whole margin": ({"margin": 1.0}, "less than 1"),
    "no number": ({"margin": math.nan}, "margin"),
    "endless": ({"value": math.inf}, "finite"),
    "no source": ({"source": ""}, "source"),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "text"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_claimed_is_refused_in_words(facts, text):
    with pytest.raises(ValidationError, match="(?s).*" + text.replace("(", r"\(")):
        claim(**facts)


def test_a_time_bound_needs_a_machine_or_a_network_beside_it():
    timed = {"metric": "latency", "device": "cuda", "relation": "at_most", "margin": 0.05}
    with pytest.raises(ValidationError, match="holds on one machine only and no `machine` is named"):
        claim(**timed, value=0.02)
    assert claim(**timed, value=0.02, machine="NVIDIA H100").machine
    assert claim(**timed, value=None, against="unet").against


def test_a_time_without_a_margin_is_untestable():
    with pytest.raises(ValidationError, match="a margin of 0 cannot be tested"):
        claim(metric="latency", device="cpu", relation="at_most", value=None, against="unet")


def test_torchs_allocator_counts_so_cuda_memory_needs_neither():
    assert claim(metric="memory_inference", device="cuda", relation="at_most", value=1e9).allowed.high == 1e9


def test_contradictions_are_found_among_claims_of_one_subject_only():
    at_most, at_least = claim(name="a", relation="at_most"), claim(name="b", relation="at_least", value=101.0)
    assert list(contradictions([at_most, at_least])) == [(at_most, at_least)]
    for changes in ({"network": "unet"}, {"size": 128}, {"margin": 0.02}):
        assert not list(contradictions([at_most, claim(relation="at_least", value=101.0, **changes)]))
