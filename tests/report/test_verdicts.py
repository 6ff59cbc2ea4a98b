import json
from xml.etree import ElementTree

import pytest
from claiming import MACHINE, claim, counted, timed, trained
from handmade import cost_record

from bench.judge.verdict import judge
from bench.report.verdicts import FORMATS, as_github, as_json, as_junit, as_markdown, as_text, claimed, found, sentence


@pytest.fixture
def verdicts():
    claims = [
        claim(name="small", says="It is small | slim", value=7e6),
        claim(name="smaller", value=6e6),
        claim(name="accurate", metric="dice", dataset="ddti", value=0.8, relation="at_least"),
    ]
    return judge(claims, [cost_record("mdsa_unet", 6_000_000), counted()], MACHINE)


def test_a_failure_is_one_line_with_what_was_what_is_and_what_is_claimed(verdicts):
    assert sentence(verdicts[1]) == (
        "parameters of mdsa_unet grew from 6,000,000 to 6,576,225; claimed at most 6,000,000"
    )


def test_text_ends_with_what_fails_and_a_count(verdicts):
    lines = as_text(verdicts).splitlines()
    assert lines[:6:2] == [
        "✓ holds      small: It is small | slim", "? undecided  accurate: so", "✗ fails      smaller: so",
    ]  # fmt: skip
    assert lines[1] == f"{' ' * 13}6,576,225, was 6,000,000  claimed at most 7,000,000"
    assert "6,576,225, was 6,000,000" in lines[5]
    assert lines[7:9] == ["To decide more:", "  bench run mdsa_unet --dataset ddti --data-root FOLDER --budget paper"]
    assert lines[-1] == "1 holds, 1 fails, 1 undecided"


def test_claims_of_one_table_share_a_line_where_they_are_undecided_for_one_reason():
    several = [
        claim(name=f"ahead/{other}", metric="dice", dataset="ddti", against=other) for other in ("unet", "unetpp")
    ]
    heading, first, second, *_ = as_text(judge(several, [], MACHINE)).splitlines()
    assert heading == "? undecided  ahead: so"
    assert [first.split()[0], second.split()[0]] == ["unet", "unetpp"]
    alike = judge([c.model_copy(update={"against": "unet"}) for c in several], [], MACHINE)
    heading, first, *rest = as_text(alike).splitlines()
    assert (heading, rest[0]) == ("? undecided  ahead: so", "")
    assert first.startswith(f"{' ' * 13}unet, unetpp  no record")


def test_the_claims_of_a_table_stand_in_columns_below_its_sentence():
    several = [claim(name=f"less/{other}", says="It has\nfewer", against=other) for other in ("unet", "attention_unet")]
    records = [counted(), counted("unet", 31_037_633), counted("attention_unet", 34_877_421)]
    assert as_text(judge(several, records, MACHINE)).splitlines()[:3] == [
        "✓ holds      less: It has fewer",
        "             unet            0.212 times  claimed at most U-Net's",
        "             attention_unet  0.189 times  claimed at most Attention U-Net's",
    ]


def test_github_annotates_the_networks_file_on_one_line(verdicts):
    error, notice, total = as_github(verdicts).splitlines()
    assert error.startswith(
        "::error file=bench/mdsa_unet/__init__.py,line=1,title=claim smaller fails::parameters of mdsa_unet"
    )
    assert notice.startswith("::notice file=bench/mdsa_unet/__init__.py,line=1,title=claim accurate is undecided::")
    assert total == "1 holds, 1 fails, 1 undecided"


def test_what_github_would_take_for_a_command_is_escaped():
    (verdict,) = judge([claim(name="a,b:c%\n", value=1.0)], [counted()], MACHINE)
    first, *_ = as_github([verdict]).splitlines()
    assert "title=claim a%2Cb%3Ac%25%0A fails::" in first


def test_junit_can_be_parsed_and_counts(verdicts):
    suite = ElementTree.fromstring(as_junit(verdicts))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [len(case) for case in suite] == [0, 1, 1]
    assert "grew from" in suite.find(".//failure").get("message")


def test_json_has_base_units_and_the_records(verdicts):
    small = json.loads(as_json(verdicts))[0]
    assert (small["value"], small["outcome"], small["unit"]) == (6_576_225, "holds", "parameters")
    assert small["records"] == [counted().id]


def test_markdown_escapes_what_would_break_its_table(verdicts):
    text = as_markdown(verdicts)
    assert "It is small \\| slim" in text
    assert text.endswith("Sources: a paper.")
    assert len({line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_quotients_and_leads_are_written_with_their_intervals():
    verdict = judged(3)
    value, low, high = (float(part.strip("[],")) for part in found(verdict).split())
    assert (value, claimed(verdict.claim)) == (0.2, "at least U-Net's")
    assert low < value < high
    ratio = claim(metric="latency", device="cpu", against="unet", times=0.5, margin=0.1)
    (verdict,) = judge([ratio], [*timed("mdsa_unet", [1.0] * 5), *timed("unet", [4.0] * 5, 1)], MACHINE)
    assert found(verdict) in ("0.250 times", "0.250 times [0.250, 0.250]")
    assert claimed(ratio) == "at most 0.500 times U-Net's ± 10 %"


WORSE = tuple(0.3 + n / 100 for n in range(20))
LEAD = claim(name="lead", metric="dice", dataset="synthetic", against="unet", relation="at_least")


def judged(seeds, of=LEAD, by=0.2, patients=20):
    """The verdict on a lead of 0.2, of so many trainings each."""
    dice = {"unet": WORSE, "mdsa_unet": tuple(value + by + n % 2 / 100 - 0.005 for n, value in enumerate(WORSE))}
    records = [
        trained(name, tuple(value + seed / 1000 for value in values[:patients]), seed)
        for name, values in dice.items()
        for seed in range(seeds)
    ]
    (verdict,) = judge([of], records, MACHINE)
    return verdict


@pytest.mark.parametrize("form", ["text", "markdown", "junit", "github"])
def test_whose_score_it_is_stands_beside_every_verdict_on_one(form):
    """JUnit and GitHub tell of failures and open claims alone."""
    behind = LEAD.model_copy(update={"ahead_by": 0.5})
    alone = claim(metric="dice", dataset="synthetic", value=0.9, relation="at_least")
    told = [FORMATS[form]([verdict]) for verdict in (judged(3, behind), judged(1), judged(1, alone), judged(3, alone))]
    assert "the networks: 20 patients, 3 trainings each" in told[0]
    assert "these weights: 20 patients, 1 training each" in told[1]
    assert "these weights: 20 patients, 1 training" in told[2]
    assert "each" not in told[2]
    assert "the network: 20 patients, 3 trainings" in told[3]


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_the_probability_of_a_false_claim_stands_beside_a_lead_that_holds_and_nowhere_else(form):
    told = "probability of a false claim < 0.001"
    no_worse = LEAD.model_copy(update={"margin": 0.4})
    holds = judged(3), judged(3, no_worse), judged(3, no_worse, by=0.005), judged(3, no_worse, by=-0.2)
    assert [verdict.outcome for verdict in holds] == ["holds"] * 4
    # Two are better by more than chance; one cannot be told apart; one is worse, and by less than the margin.
    assert [told in FORMATS[form]([verdict]).replace("&lt;", "<") for verdict in holds] == [True, True, False, False]
    assert "false claim" not in FORMATS[form]([judged(1)])


def test_how_much_more_would_decide_is_told_beside_the_claim_and_is_no_command():
    near = judged(3, LEAD.model_copy(update={"ahead_by": 0.1995}))
    assert near.outcome == "undecided"
    _, first, second, *rest = as_text([near]).splitlines()
    assert first.endswith("the interval spans the limit")
    assert second.strip().startswith("the networks: 20 patients, 3 trainings each; to decide it: ")
    assert "To decide more:" not in rest
    assert "`" not in as_markdown([near])
    trainings = judged(1)
    assert "To decide more:\n  bench run" in as_text([trainings])
    assert max(map(len, as_text([near, trainings]).splitlines())) < 160


def test_json_has_whose_score_it_is_and_null_for_what_is_not_known():
    def strict(text):
        return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    (holds,) = strict(as_json([judged(3)]))
    assert (holds["outcome"], holds["scope"]) == (
        "holds",
        "the networks: 20 patients, 3 trainings each",
    )
    assert 0 <= holds["false_claim"] < 0.001
    assert holds["need"] is None
    (few,) = strict(as_json([judged(3, patients=5)]))
    assert (few["outcome"], few["n"], few["low"], few["high"]) == ("undecided", 5, None, None)
    assert few["value"] == pytest.approx(0.199)
    (near,) = strict(as_json([judged(3, LEAD.model_copy(update={"ahead_by": 0.1995}))]))
    assert set(near["need"]) == {"patients", "trainings"}
    (one,) = strict(as_json([judged(1)]))
    assert (one["scope"], one["need"]) == ("these weights: 20 patients, 1 training each", None)


def test_nothing_measured_is_a_dash(verdicts):
    assert found(verdicts[2]) == "–"
    assert set(FORMATS) == {"text", "markdown", "json", "junit", "github"}
