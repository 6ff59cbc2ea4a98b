"""Weights on data that they were not trained on, folds, and ranks over data sets."""

import dataclasses

import numpy as np
import pytest
from handmade import (
    TRAIN,
    altered,
    dice_record,
    fold_record,
    foreign_record,
    home_record,
    latency_record,
    unnamed_record,
)
from scipy import stats

from bench.read.across import overall, transfers
from bench.read.sections import conditions_of, is_named, named, sections

RNG = np.random.default_rng(7)
OWN = tuple((0.6 + 0.2 * RNG.random(20)).round(3))  # on ddti, trained on it
LESS = tuple((np.array(OWN) - 0.1 - 0.03 * RNG.random(20)).round(3))  # trained on isic2017
LEVEL = tuple((np.array(OWN) + 0.03 * RNG.standard_normal(20)).round(3))
HOME = tuple((0.8 + 0.1 * RNG.random(30)).round(3))  # on isic2017, trained on it


def three(network="unet", there=LESS, own=OWN, seed=0):
    """One network: on isic2017, its weights on ddti, and trained on ddti."""
    return [
        home_record(network, HOME, "isic2017", seed),
        foreign_record(network, there, "isic2017", "ddti", seed),
        home_record(network, own, "ddti", seed),
    ]  # fmt: skip


def the(records):
    (found,) = transfers(sections(records))
    return found


def test_foreign_weights_are_a_section_of_their_own_whose_name_says_both():
    found = named(sections([*three(), *three("mdsa_unet")]))
    assert {name: (one.dataset, one.home, one.tested_on) for name, one in found.items()} == {
        "isic2017-224": ("isic2017", "", "isic2017"),
        "ddti-trained-on-isic2017-224": ("ddti, trained on isic2017", "isic2017", "ddti"),
        "ddti-224": ("ddti", "", "ddti"),
    }  # fmt: skip
    assert [[len(row.records) for row in section.rows] for section in found.values()] == [[1, 1]] * 3
    dice = [section.rows[0].dice.value for section in found.values()]
    assert dice == pytest.approx([np.mean(HOME), np.mean(LESS), np.mean(OWN)], abs=1e-3)


def test_weights_from_two_data_sets_are_two_sections_and_own_folders_are_told_by_their_digest():
    one, other = foreign_record("unet", LESS, "tn3k", "ddti"), foreign_record("unet", LESS, "folder", "ddti")
    again = altered(other, trained_data="b" * 12)
    assert [section.home for section in sections([one, other, again])] == [
        "tn3k", "folder (folder)", "folder (bbbbbb)",
    ]  # fmt: skip


def test_foreign_scores_are_of_no_data_set_that_is_asked_for_by_name():
    own, foreign = home_record("unet", OWN, "ddti"), foreign_record("unet", LESS, "isic2017", "ddti")
    assert [(is_named("ddti", one), is_named("isic2017", one)) for one in (own, foreign)] == [
        (True, False), (False, False),
    ]  # fmt: skip


def test_what_is_lost_is_the_paired_difference_on_the_patients_of_the_other_data_set():
    (line,) = the(three()).lines
    assert [one.value for one in (line.home, line.there, line.own)] == pytest.approx(
        [np.mean(HOME), np.mean(LESS), np.mean(OWN)], abs=1e-3
    )
    test = stats.ttest_rel(LESS, OWN)
    interval = test.confidence_interval()
    found = line.difference
    assert (found.value, found.p, found.low, found.high) == pytest.approx(
        (np.mean(LESS) - np.mean(OWN), test.pvalue, interval.low, interval.high), rel=1e-6, abs=1e-12
    )
    assert (found.patients, found.trainings, found.of, line.verdict) == (20, (1, 1), "these trainings", "worse")


def test_p_values_are_corrected_for_all_networks_of_the_table():
    given = {"unet": LESS, "unetpp": LEVEL, "unext": tuple(np.array(OWN) + 0.01 * RNG.standard_normal(20))}
    found = the([record for network, there in given.items() for record in three(network, there)])
    raw = {line.row.network: line.difference.p for line in found.lines}
    alone = {name: transfers(sections(three(name, there)))[0].lines[0].difference.p for name, there in given.items()}
    assert raw == pytest.approx(alone)
    least, middle, most = sorted(raw, key=raw.get)
    expected = {least: 3 * raw[least]}
    expected[middle] = max(expected[least], min(1, 2 * raw[middle]))
    expected[most] = max(expected[middle], raw[most])
    assert {line.row.network: line.difference.holm_p for line in found.lines} == pytest.approx(expected)


def test_three_trainings_of_each_say_something_of_the_networks():
    seeds = [r for s in range(3) for r in three(there=tuple(np.array(LESS) + 0.002 * s), seed=s)]
    (line,) = the(seeds).lines
    assert (line.difference.of, line.difference.trainings, line.verdict) == ("the networks", (3, 3), "worse")


def test_without_a_training_on_the_other_data_set_there_is_no_difference():
    home, foreign, _ = three()
    found = the([home, foreign])
    assert (found.own, found.lines[0].own, found.lines[0].difference) == (None, None, None)
    assert found.lines[0].home.value == pytest.approx(np.mean(HOME), abs=1e-3)
    (line,) = the([foreign]).lines
    assert (line.home, line.there.value) == (None, pytest.approx(np.mean(LESS), abs=1e-3))
    only_one = the([*three(), *three("unext")[:2]])
    assert [bool(line.difference) for line in only_one.lines] == [True, False]


@pytest.mark.parametrize(
    ("conditions", "result"),
    [
        ({"train": TRAIN.model_copy(update={"steps": 600})}, {}), ({"size": 96}, {}), ({"tolerance": 9.0}, {}),
        ({"protocol": "per_volume"}, {}), ({"data": "another"}, {}), ({}, {"differs": "3 images instead of 4"}),
    ],
)  # fmt: skip
def test_another_budget_another_way_of_scoring_and_other_images_are_not_compared(conditions, result):
    home, foreign, own = three()
    (line,) = the([home, foreign, altered(own, result, **conditions)]).lines
    assert line.difference is None


def test_a_training_as_many_epochs_long_is_of_the_same_budget():
    home, foreign, own = three()
    longer = altered(own, train=TRAIN.model_copy(update={"steps": 160, "checkpoint_interval": 40}))
    assert the([home, foreign, longer]).lines[0].difference is not None


def test_nothing_is_decided_by_copies_a_part_of_the_split_or_records_without_patients():
    home, foreign, own = three()
    copies = altered(foreign, {"copies": 1})
    part = [altered(record, test_images=15) for record in (foreign, own)]
    unnamed = [
        altered(unnamed_record("unet", dice), **{name: getattr(like.job.spec, name) for name in NAMES})
        for dice, like in ((LESS, foreign), (OWN, own))
    ]
    for records in ([home, copies, own], [home, *part], [home, *unnamed]):
        (line,) = the(records).lines
        assert line.difference.value == pytest.approx(np.mean(LESS) - np.mean(OWN), abs=1e-3)
        assert (line.verdict, line.difference.has_interval) == ("undecided", False)


NAMES = ("dataset", "data", "trained_on", "trained_data")


def test_a_section_with_copies_has_no_pairs_that_decide_and_no_ranks():
    records = [foreign_record(name, dice, "isic2017", "ddti") for name, dice in (("unet", LESS), ("unext", OWN))]
    (section,) = sections([altered(record, {"copies": 2}) for record in records])
    assert not any(pair.statement.has_interval for pair in section.paired)
    assert (section.ranking, section.unbeaten, section.rows[0].copies) == (None, [], 2)


def test_the_same_scores_beside_two_machines_are_told_once():
    other = altered(latency_record("unet"), machine="another")
    assert len(sections([*three(), latency_record("unet"), other])) == 6
    assert len(transfers(sections([*three(), latency_record("unet"), other]))) == 1


# ---- folds -----------------------------------------------------------------------------------------------------------


def folds(network, of_fold, seeds=(0,), **conditions):
    """Folds of one data set that share their test images, as those of TN3K do."""
    return [
        altered(dice_record(network, tuple(np.array(dice) + 0.001 * seed), seed), dataset="tn3k", data=f"{fold}" * 12,
                fold=fold, **conditions)
        for seed in seeds for fold, dice in enumerate(of_fold)
    ]  # fmt: skip


OF_FOLD = [tuple((np.array(OWN) + by).round(3)) for by in (0.0, 0.05, -0.05, 0.02, 0.03)]


def test_folds_that_share_their_test_images_are_one_training_pooled_by_patient():
    (section,) = sections(folds("unet", OF_FOLD))
    (row,) = section.rows
    of_patient = np.mean(OF_FOLD, axis=0)
    interval = stats.t.interval(0.95, 19, of_patient.mean(), stats.sem(of_patient))
    assert (section.folds, section.seeds, row.lost_seeds, row.dice.seeds) == ([0, 1, 2, 3, 4], [0], (0, 5), 1)
    assert (row.dice.value, row.dice.n, row.dice.deviation) == (pytest.approx(of_patient.mean(), abs=1e-3), 20, None)
    assert row.dice.low < interval[0]
    assert row.dice.high > interval[1], "each limit allows for one patient more"
    assert row.dice_by_fold == pytest.approx({n: np.mean(dice) for n, dice in enumerate(OF_FOLD)}, abs=1e-3)
    assert row.by_unit("dice")["image-3"] == pytest.approx(of_patient[3], abs=1e-3)


def test_five_folds_are_no_five_seeds_and_three_seeds_of_five_folds_are_three_trainings():
    for seeds, of in (((0,), "these trainings"), ((0, 1, 2), "the networks")):
        better = [tuple(np.array(dice) + 0.1) for dice in OF_FOLD]
        (section,) = sections([*folds("unet", OF_FOLD, seeds), *folds("mdsa_unet", better, seeds)])
        (pair,) = section.paired
        assert (pair.statement.of, pair.statement.trainings) == (of, (len(seeds), len(seeds)))
        assert pair.statement.value == pytest.approx(-0.1)


def test_folds_with_test_images_of_their_own_are_pooled_within_a_seed_whatever_is_missing():
    dice = {(seed, fold): tuple(np.array(OWN[:12]) + 0.1 * seed) for seed in (0, 1) for fold in (0, 1)}
    records = [fold_record("unet", d, fold, seed) for (seed, fold), d in dice.items()]
    (row,) = sections(records)[0].rows
    assert (row.dice.seeds, row.dice.n) == (2, 24)
    assert row.dice.deviation == pytest.approx(np.std([np.mean(OWN[:12]), np.mean(OWN[:12]) + 0.1], ddof=1), abs=1e-3)
    (row,) = sections(records[1:])[0].rows  # fold 0 of seed 0 failed: its fold 1 is no half of seed 1
    assert (row.dice.seeds, row.dice.value) == (1, pytest.approx(np.mean(OWN[:12]) + 0.1, abs=1e-3))


def test_one_fold_is_told_and_nothing_is_pooled():
    (section,) = sections(folds("unet", OF_FOLD[:1], (0, 1, 2)))
    assert (section.folds, section.rows[0].dice.seeds, section.rows[0].dice_by_fold) == ([0], 3, {})


def test_weights_of_all_folds_on_another_data_set_are_one_row():
    made = [foreign_record("unet", dice, "tn3k", "ddti") for dice in OF_FOLD]
    there = [altered(r, trained_data=f"{n}" * 12, trained_fold=n) for n, r in enumerate(made)]
    assert len({conditions_of(record) for record in there}) == 1
    found = the([*folds("unet", OF_FOLD), *there, home_record("unet", OWN, "ddti")])
    (line,) = found.lines
    assert (line.row.dice.seeds, line.row.folds, found.trained_on) == (1, {0, 1, 2, 3, 4}, "tn3k")
    assert line.home.value == pytest.approx(np.mean(OF_FOLD), abs=1e-3)
    assert line.difference.value == pytest.approx(np.mean(OF_FOLD) - np.mean(OWN), abs=1e-3)


# ---- ranks over data sets --------------------------------------------------------------------------------------------


def ranked(dataset, by_network, **conditions):
    return [altered(home_record(name, dice, dataset), **conditions) for name, dice in by_network.items()]


LOW, MIDDLE, HIGH = (tuple(np.array(OWN) + by) for by in (-0.2, -0.1, 0.0))


def test_the_mean_rank_is_that_of_the_ranks_on_each_data_set():
    records = [
        *ranked("ddti", {"unet": HIGH, "unetpp": MIDDLE, "unext": LOW}),
        *ranked("isic2017", {"unet": MIDDLE, "unetpp": HIGH, "unext": LOW}),
        *ranked("tn3k", {"unet": HIGH, "unetpp": MIDDLE, "unext": LOW}),
    ]
    found = overall(sections(records))
    assert {name: one.rank for name, one in found.mean.items()} == pytest.approx(
        {"U-Net": 4 / 3, "UNet++": 5 / 3, "UNeXt": 3.0}
    )
    assert {of: {name: one.rank for name, one in ranks.items()} for of, ranks in found.each.items()} == {
        "ddti": {"U-Net": 1, "UNet++": 2, "UNeXt": 3}, "isic2017": {"U-Net": 2, "UNet++": 1, "UNeXt": 3},
        "tn3k": {"U-Net": 1, "UNet++": 2, "UNeXt": 3},
    }  # fmt: skip
    assert found.is_as_long


def test_a_network_that_one_data_set_lacks_moves_no_other():
    records = [
        *ranked("ddti", {"unext": HIGH, "unet": MIDDLE, "unetpp": LOW}),
        *ranked("isic2017", {"unet": HIGH, "unetpp": LOW}),
    ]
    found = overall(sections(records))
    assert {name: one.rank for name, one in found.mean.items()} == {"U-Net": 1, "UNet++": 2}
    assert found.each["ddti"]["U-Net"].rank == 1


def test_patients_of_two_data_sets_are_drawn_apart():
    """With one chance in about ten to be second on each, both at once is one in a hundred: outside of 95 %."""
    drawn = np.random.default_rng(1).standard_normal(20)
    shift = 0.03 * ((drawn - drawn.mean()) / drawn.std() + stats.norm.ppf(0.9) / np.sqrt(20))
    by_network = {"unet": OWN, "unetpp": tuple(np.array(OWN) + shift)}
    alone = overall(sections([record for data in ("ddti", "isic2017") for record in ranked(data, by_network)]))
    each = alone.each["ddti"]["UNet++"]
    assert 0.85 < each.best < 0.95, "the data of this test are such that it is not sure"
    assert (each.low, each.high) == (1, 2)
    assert (alone.mean["UNet++"].low, alone.mean["UNet++"].high) == (1, 1.5)
    assert alone.mean["UNet++"].best == pytest.approx(each.best, abs=0.02), "p p + p (1 - p), for ties are shared"


def test_ranks_are_of_one_budget_and_foreign_weights_have_none():
    two = {"unet": HIGH, "unetpp": LOW}
    longer = {"train": TRAIN.model_copy(update={"steps": 800})}
    assert overall(sections([*ranked("ddti", two), *ranked("isic2017", two, **longer)])) is None
    foreign = [foreign_record(name, dice, "ddti", "isic2017") for name, dice in two.items()]
    assert overall(sections([*ranked("ddti", two), *foreign])) is None
    both = [r for data in ("ddti", "isic2017") for more in ({}, longer) for r in ranked(data, two, **more)]
    found = overall(sections([*both, *ranked("tn3k", two)]))
    assert [section.dice.train.steps for section in found.sections] == [80, 80, 80], "most data sets come first"
    assert [section.dice.train.steps for section in overall(sections(both)).sections] == [800, 800]


def test_epochs_of_two_data_sets_are_as_many_and_their_steps_are_not():
    two, epochs = {"unet": HIGH, "unetpp": LOW}, {"steps": 160, "checkpoint_interval": 40}
    records = [*ranked("ddti", two), *ranked("isic2017", two, train=TRAIN.model_copy(update=epochs))]
    found = overall(sections(records))
    assert (len(found.sections), found.is_as_long) == (2, False)


def test_ranks_are_those_of_the_networks_alone_where_all_have_three_trainings():
    by_seed = [
        altered(home_record(name, tuple(np.array(dice) + 0.001 * seed), data, seed))
        for data in ("ddti", "tn3k") for seed in range(3) for name, dice in (("unet", HIGH), ("unext", LOW))
    ]  # fmt: skip
    found = overall(sections(by_seed))
    assert {one.of for one in found.mean.values()} == {"the networks"}
    assert dataclasses.astuple(found.mean["U-Net"])[:3] == (1, 1, 1)
