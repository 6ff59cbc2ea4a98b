"""The answer in sentences."""

import pytest
from handmade import STATE, cost_record, dice_record, latency_record, record

from bench.judge.pick import pick
from bench.quantities import CostSpec, Count
from bench.quantities.scores import PROTOCOLS
from bench.read.sections import sections
from bench.report.text import candidate_line, pick_reason, sentences


def test_who_is_most_accurate_fastest_and_smallest(reference):
    accurate, fastest, smallest = sentences(sections(reference)[0])
    assert accurate.startswith(
        "Most accurate: MDSA-UNet, Dice 0.783; paired on the same 3 images, chance could explain"
    )
    assert fastest == "Fastest: MDSA-UNet, 110 ms an image on this machine, 2.8 times as fast as U-Net."
    assert smallest == "Smallest: MDSA-UNet, 6.58 M parameters; fewest multiply-adds: MDSA-UNet, 4.46 G."


def test_a_clear_winner_is_called_one():
    worse = tuple(0.1 + n / 1000 for n in range(21))
    records = [dice_record("unet", worse), dice_record("mdsa_unet", tuple(dice + 0.5 for dice in worse))]
    assert sentences(sections(records)[0]) == [
        "Most accurate: MDSA-UNet, Dice 0.610, ahead of every other by more than chance, paired on the same 21 images."
    ]


def test_one_network_wins_nothing():
    assert sentences(sections([dice_record()])[0]) == []


def test_a_lead_by_the_mean_alone_is_not_called_one():
    """A little worse on nine in ten and far better on the rest: ahead by the mean, behind by the test."""
    mean_leader, often_better = (0.80,) * 100, (0.83,) * 90 + (0.20,) * 10
    found = sections([dice_record("unet", mean_leader), dice_record("mdsa_unet", often_better)])[0]
    assert sentences(found)[0].endswith("chance could explain its lead over MDSA-UNet.")


def test_pooled_dice_makes_no_claim_of_pairs():
    records = [dice_record("unet", (0.1,) * 20), dice_record("mdsa_unet", (0.9,) * 20)]
    (said,) = sentences(sections(records, PROTOCOLS["pooled"])[0])
    assert said.startswith("Most accurate: MDSA-UNet, Dice 0.900 (pooled; ")


def test_a_disturbed_time_is_not_the_fastest():
    before = STATE.model_copy(update={"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0})
    after = STATE.model_copy(update={"clock_s": 10.0, "cpu_busy_s": 15.0, "own_cpu_s": 5.0})
    busy = latency_record("unet", (0.1,) * 3).model_copy(update={"before": before, "after": after})
    quiet = [latency_record("unetpp", (0.2,) * 3), latency_record("mdsa_unet", (0.3,) * 3)]
    assert sentences(sections([busy, *quiet])[0])[0].startswith("Fastest: UNet++")


def test_of_very_many_names_the_first_ones_are_told():
    names = ["mdsa_unet", *(f"network_{n:02}" for n in range(12))]
    said = sentences(sections([dice_record(name, (0.5, 0.6, 0.7)) for name in names])[0])[0]
    assert said.endswith("network_00, network_01, network_02, network_03, network_04, network_05 and 6 others.")


def test_doubted_counts_are_not_the_fewest():
    """The counters differ by more than 2 %, so that no count of multiply-adds is told."""
    records = [
        record(name, CostSpec(), cost_record(name).result.model_copy(update={"torch": Count(counter="torch", macs=1)}))
        for name in ("unet", "mdsa_unet")
    ]
    assert sentences(sections(records)[0]) == ["Smallest: MDSA-UNet, 31.04 M parameters."]


@pytest.fixture
def section(reference):
    (found,) = sections(reference)
    return found


def test_who_and_why(section):
    told = pick_reason(section, pick(section, {"parameters": 10e6}))
    assert told.startswith("MDSA-UNet: Dice 0.783, the highest of 1 that fit (A CPU, 2 cores")


def test_nobody_fits(section):
    told = pick_reason(section, pick(section, {"parameters": 1e6, "latency": 0.2}))
    assert told.startswith("None of 2 networks fits")
    assert told.endswith("The fewest limits are broken by MDSA-UNet.")


def test_a_line_has_figures_with_units_and_the_limits_it_breaks(section):
    unet = next(c for c in pick(section, {"latency": 0.2, "memory": 1e9}) if c.row.network == "unet")
    assert candidate_line(unet) == (
        "U-Net: parameters 31,037,633, multiply-adds 36.878 GMAC, latency 310 ms, dice 0.700; over latency 200 ms; "
        "memory was not measured"
    )
