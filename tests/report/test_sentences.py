"""The answer in sentences."""

import pytest
from handmade import DICE, STATE, altered, cost_record, dice_record, image_score, latency_record, record

from bench.judge.pick import pick
from bench.quantities import CostSpec, Count
from bench.quantities.scores import PROTOCOLS
from bench.read.sections import sections
from bench.report.text import candidate_line, pick_reason, sentences


def test_who_is_most_accurate_fastest_and_smallest(reference):
    accurate, fastest, smallest = sentences(sections(reference)[0])
    assert accurate == (
        "Highest Dice: MDSA-UNet, 0.783, of 2 networks, 80 steps of 4 images, one training each. On 3 patients nothing "
        "is said of which network is better: that takes 10 or more."
    )
    assert fastest == "Fastest: MDSA-UNet, 110 ms an image on this machine, 2.8 times as fast as U-Net."
    assert smallest == "Smallest: MDSA-UNet, 6.58 M parameters; fewest multiply-adds: MDSA-UNet, 4.46 G."


WORSE = tuple(0.1 + n / 1000 for n in range(21))
BETTER = tuple(dice + 0.5 + n % 3 / 1000 for n, dice in enumerate(WORSE))


def trainings(network, dice, count=3):
    """Trainings whose figures are 0.001 apart."""
    return [dice_record(network, tuple(value + seed / 1000 for value in dice), seed) for seed in range(count)]


def said(records, protocol=None):
    return sentences(sections(records, protocol)[0])


def test_of_one_training_each_the_weights_are_said_to_be_better_and_of_the_networks_nothing():
    assert said([dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER)]) == [
        "Highest Dice: MDSA-UNet, 0.611, of 2 networks, 80 steps of 4 images, one training each. Its weights are "
        "better than those of U-Net: also on other patients (21 patients; probability of a false claim below 0.001; "
        "misses in fewer than about 13 % of the patients would not be seen), but another training may turn it round. "
        "Of the networks themselves nothing is said: that takes three trainings of each."
    ]


def test_of_three_trainings_each_a_clear_winner_is_called_one():
    assert said([*trainings("unet", WORSE), *trainings("mdsa_unet", BETTER)]) == [
        "Most accurate: MDSA-UNet, 0.612, of 2 networks, 80 steps of 4 images, 3 trainings each. As a network it is "
        "better than U-Net: also when both are trained again and on other patients (21 patients; probability of a "
        "false claim below 0.001; misses in fewer than about 13 % of the patients would not be seen)."
    ]


def test_trainings_that_differ_as_much_as_the_networks_decide_nothing_of_the_networks():
    """The same patients, so that one training each would say that the weights differ."""
    apart = [(seed, tuple(value + 0.06 * seed for value in WORSE)) for seed in range(3)]
    one = [dice_record("unet", dice, seed) for seed, dice in apart]
    other = [dice_record("mdsa_unet", tuple(value + 0.01 for value in dice), seed) for seed, dice in apart]
    (told,) = said([*one, *other])
    assert told.startswith("Highest Dice: MDSA-UNet")
    assert told.endswith("Against U-Net nothing is decided.")


def test_who_was_trained_less_is_compared_as_weights_alone():
    few = dice_record("unetpp", tuple(dice + 0.2 for dice in WORSE))
    (told,) = said([*trainings("unet", WORSE), *trainings("mdsa_unet", BETTER), few])
    assert told.startswith(
        "Highest Dice: MDSA-UNet, 0.612, of 3 networks, 80 steps of 4 images, 1 to 3 trainings each."
    )
    assert "As a network it is better than U-Net: also when" in told
    assert "Its weights are better than those of UNet++: also on other patients (" in told
    assert told.endswith(
        "With UNet++ only weights are compared: a statement about networks takes three trainings of each."
    )


def test_records_without_patients_and_parts_of_a_split_say_of_nobody_that_it_is_better():
    def changed(record, spec, **facts):
        job = record.job.model_copy(update={"spec": record.job.spec.model_copy(update=spec)})
        return record.model_copy(update={"job": job, "result": record.result.model_copy(update=facts)})

    records = [dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER)]
    (old,) = said([changed(one, {}, patients="") for one in records])
    assert old.endswith("The records name no patients, so nothing is said of which network is better.")
    (part,) = said([changed(one, {"test_images": 21}) for one in records])
    assert part.endswith("Only a part of the test split was scored, so nothing is said of which network is better.")
    other = said([changed(one, {}, differs="8 test images where 10 are published") for one in records])
    assert other[0] == "SYNTHETIC here is not the published data set: there are 8 test images where 10 are published."
    for told in (old, part):
        assert told.startswith("Highest Dice: MDSA-UNet")
        assert "better than" not in told


def test_the_length_of_training_is_said_of_what_was_trained_here_alone():
    result = dice_record("unet", BETTER).result.model_copy(update={"source": "theirs", "curve": ()})
    elsewhere = record("unet", DICE.model_copy(update={"train": None, "predicted": "c" * 12}), result)
    (told,) = said([dice_record("unet", WORSE), elsewhere])
    assert told.startswith(
        "Highest Dice: U-Net (predicted elsewhere), 0.611, of 2 results, 80 steps of 4 images for those trained here, "
        "one training each."
    )


def test_one_network_wins_nothing():
    assert sentences(sections([dice_record()])[0]) == []


def test_a_lead_by_the_mean_alone_is_not_called_one():
    """A little worse on nine in ten and far better on the rest: ahead by the mean, behind by the test."""
    mean_leader, often_better = (0.80,) * 100, (0.83,) * 90 + (0.20,) * 10
    found = sections([dice_record("unet", mean_leader), dice_record("mdsa_unet", often_better)])[0]
    assert "Against MDSA-UNet nothing is decided." in sentences(found)[0]
    assert "better than" not in sentences(found)[0]


def test_of_pooled_dice_the_pooled_figures_are_compared():
    """Half of the patients have ten times as many pixels, on which the other network is better."""

    def of(network, small, dice):
        """Ten small targets, and ten with ten times as many pixels."""
        scaled = [image_score(f"large-{n}", dice + n / 1000) for n in range(10)]
        scaled = [i.model_copy(update={name: 10 * getattr(i, name) for name in ("tp", "fp", "fn")}) for i in scaled]
        found = dice_record(network, tuple(small + n / 1000 for n in range(10)))
        images = (*found.result.images, *scaled)
        return found.model_copy(update={"result": found.result.model_copy(update={"images": images})})

    records = [of("unet", 0.9, 0.4), of("mdsa_unet", 0.3, 0.6)]
    assert said(records)[0].startswith("Highest Dice: U-Net, 0.65")
    pooled = said(records, PROTOCOLS["pooled"])[0]
    assert pooled.startswith("Highest Dice: MDSA-UNet, 0.577")  # (0.3045 + 10 x 0.6045) / 11
    assert "Its weights are better than those of U-Net" in pooled


def test_a_disturbed_time_is_not_the_fastest():
    before = STATE.model_copy(update={"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0})
    after = STATE.model_copy(update={"clock_s": 10.0, "cpu_busy_s": 15.0, "own_cpu_s": 5.0})
    busy = latency_record("unet", (0.1,) * 3).model_copy(update={"before": before, "after": after})
    quiet = [latency_record("unetpp", (0.2,) * 3), latency_record("mdsa_unet", (0.3,) * 3)]
    assert sentences(sections([busy, *quiet])[0])[0].startswith("Fastest: UNet++")


def test_of_very_many_names_the_first_ones_are_told():
    names = ["mdsa_unet", *(f"network_{n:02}" for n in range(12))]
    (told,) = said([dice_record(name, WORSE) for name in names])
    few = "network_00, network_01, network_02, network_03, network_04, network_05 and 6 others"
    assert f"Against {few} nothing is decided." in told


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


def test_a_choice_on_other_data_than_the_published_says_so():
    (one,) = sections([altered(dice_record("unet", BETTER), {"differs": "15 test pairs instead of 614"})])
    assert ", not the published data set)" in pick_reason(one, pick(one, {}))


def test_of_rivals_it_is_said_that_nothing_shows_them_to_be_worse():
    near = tuple(dice + (-1) ** n * 0.1 for n, dice in enumerate(BETTER))
    records = [dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER), dice_record("unetpp", near)]
    (one,) = sections(records)
    told = pick_reason(one, pick(one, {}))
    assert told.endswith("Nothing here shows that MDSA-UNet is worse: choose among them by cost.")
    old = [r.model_copy(update={"result": r.result.model_copy(update={"patients": ""})}) for r in records]
    (one,) = sections(old)
    assert "Nothing here shows that MDSA-UNet and U-Net are worse" in pick_reason(one, pick(one, {}))


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
