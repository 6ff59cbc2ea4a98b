"""Rows on the same patients: differences, what is said of them, and ranks."""

import numpy as np
import pytest
from handmade import altered, cost_record, dice_record, predicted_record, unnamed_record

from bench.quantities.scores import PROTOCOLS
from bench.read.paired import paired, rank, reference_row
from bench.read.sections import sections
from bench.stats.paired import difference, holm

BASE = tuple(np.linspace(0.3, 0.6, 30))
SHIFTS = [0.1 if n % 5 else -0.02 for n in range(30)]
BETTER = tuple(d + s for d, s in zip(BASE, SHIFTS, strict=True))
CLEAR = tuple(d + 0.2 + 0.01 * (-1) ** n for n, d in enumerate(BASE))


def section(**dice: tuple[float, ...]):
    return sections([dice_record(name, values) for name, values in dice.items()])[0]


def seeds(name: str, dice: tuple[float, ...], count: int = 3, spread: float = 0.005):
    return [dice_record(name, tuple(d + spread * (seed - 1) for d in dice), seed) for seed in range(count)]


def test_one_training_of_each_speaks_of_these_trainings_alone():
    found = section(mdsa_unet=BASE, unet=BETTER)
    (one,) = paired(found.rows, reference_row(found.rows))
    assert (one.row.network, one.reference.network) == ("unet", "mdsa_unet")
    assert one.difference.value == pytest.approx(np.mean(SHIFTS), abs=1e-3)
    assert one.difference.low < one.difference.value < one.difference.high
    assert (one.statement.won, one.statement.lost) == pytest.approx((24 / 30, 6 / 30))
    assert (one.networks, one.statement.of, one.verdict) == (None, "these trainings", "better")
    assert one.statement.holm_p < 0.05


def test_three_trainings_of_each_speak_of_the_networks_too():
    records = [*seeds("mdsa_unet", BASE), *seeds("unet", CLEAR), *seeds("unetpp", CLEAR, count=2)]
    unet, unetpp = sections(records)[0].paired
    assert (unet.statement.of, unet.statement.trainings, unet.verdict) == ("the networks", (3, 3), "better")
    assert unet.trainings.of == "these trainings"
    assert unet.networks.high - unet.networks.low > unet.trainings.high - unet.trainings.low
    assert (unetpp.networks, unetpp.statement.trainings) == (None, (2, 3))


def test_a_gap_that_seeds_could_have_made_is_one_of_these_trainings_alone():
    (one,) = sections([*seeds("mdsa_unet", BASE, spread=0.2), *seeds("unet", CLEAR, spread=0.2)])[0].paired
    assert (one.trainings.decided, one.networks.decided, one.verdict, one.behind) == (True, False, "undecided", False)


def test_equal_networks_do_not_differ():
    found = section(mdsa_unet=BASE, unet=BASE)
    (one,) = paired(found.rows, reference_row(found.rows))
    said = one.statement
    assert (said.p, said.holm_p, said.won, said.lost, one.verdict) == (1, 1, 0, 0, "undecided")


def test_what_is_worse_is_behind():
    (one,) = section(mdsa_unet=CLEAR, unet=BASE).paired
    assert (one.behind, one.verdict) == (True, "worse")


def test_images_that_only_one_has_or_that_are_undefined_are_left_out():
    found = section(mdsa_unet=(0.5, float("nan"), 0.5, 0.5), unet=(0.6, 0.6, 0.6))
    (one,) = paired(found.rows, reference_row(found.rows))
    assert (one.difference.n, one.difference.has_interval) == (2, False)


def test_whom_the_others_are_compared_with():
    with_subject = section(mdsa_unet=(0.1, 0.2), unet=(0.5, 0.6), unetpp=(0.3, 0.3))
    assert reference_row(with_subject.rows).network == "mdsa_unet"
    assert reference_row(with_subject.rows, "unetpp").network == "unetpp"
    assert reference_row(section(unet=(0.5, 0.6), unetpp=(0.3, 0.3)).rows).network == "unet"
    assert reference_row(sections([cost_record()])[0].rows) is None
    assert reference_row(with_subject.rows, "swin_unet").network == "mdsa_unet"


def test_a_network_trained_here_goes_before_its_predictions_from_elsewhere():
    (found,) = sections(
        [predicted_record("mdsa_unet", CLEAR), dice_record("mdsa_unet", BASE), dice_record("unet", BASE)]
    )
    assert not reference_row(found.rows).elsewhere
    assert [one.title for one in found.paired] == ["MDSA-UNet (predicted elsewhere)", "U-Net"]


def test_by_the_pooled_protocol_the_figures_differ_as_they_are_shown():
    records = [dice_record("unet", (0.2, 0.4)), dice_record("mdsa_unet", (0.5, 0.5))]
    found = sections(records, PROTOCOLS["pooled"])[0]
    assert paired(found.rows, reference_row(found.rows))[0].difference.value == pytest.approx(-0.2)


def test_old_records_and_parts_of_the_test_split_say_nothing_and_are_shown():
    old = [unnamed_record("mdsa_unet", BASE), unnamed_record("unet", CLEAR)]
    part = [altered(dice_record(name, dice), test_images=30) for name, dice in (("mdsa_unet", BASE), ("unet", CLEAR))]
    for records in (old, part):
        (found,) = sections(records)
        (one,) = found.paired
        assert one.difference.value == pytest.approx(0.2, abs=1e-3)
        assert (one.difference.has_interval, one.verdict, one.statement.p) == (False, "undecided", 1.0)
        assert found.ranking is None


def test_nine_patients_say_nothing():
    (one,) = section(mdsa_unet=BASE[:9], unet=CLEAR[:9]).paired
    assert (one.difference.has_interval, one.verdict) == (False, "undecided")
    assert section(mdsa_unet=BASE[:9], unet=CLEAR[:9]).ranking.ranks() == {}


def test_a_reference_that_was_named_before_is_corrected_over_its_own_pairs_and_the_best_over_all():
    noise = np.random.default_rng(0).normal(0, 0.05, (3, 30))
    made = {name: tuple(np.add(BASE, 0.02 * n + noise[n])) for n, name in enumerate(("unet", "unetpp", "segnet"))}
    (found,) = sections([dice_record(name, dice) for name, dice in made.items()])
    assert found.reference.dice.value == max(row.dice.value for row in found.rows)
    terms = {row.network: row.terms("dice") for row in found.rows}
    every = [
        difference(terms[a], terms[b]).p for a, b in (("segnet", "unet"), ("segnet", "unetpp"), ("unet", "unetpp"))
    ]
    best = found.reference.network
    pairs = {frozenset(pair): p for pair, p in zip(
        (("segnet", "unet"), ("segnet", "unetpp"), ("unet", "unetpp")), holm(every), strict=True)}  # fmt: skip
    for one in found.paired:
        assert one.chosen_after
        assert one.statement.holm_p == pytest.approx(pairs[frozenset((one.row.network, best))])
    named = found.paired_with(found.reference, chosen_after=False)
    for one, paid in zip(named, found.paired, strict=True):
        assert one.statement.p == pytest.approx(paid.statement.p)
        assert one.statement.holm_p <= paid.statement.holm_p
        assert one.difference.high - one.difference.low < paid.difference.high - paid.difference.low
    (against,) = sections([dice_record(name, dice) for name, dice in made.items()], against="unet")
    assert not any(one.chosen_after for one in against.paired)
    with_subject = section(mdsa_unet=BASE, unet=CLEAR)
    assert not with_subject.paired[0].chosen_after
    assert with_subject.paired_with(with_subject.rows[1])[0].chosen_after


def test_ranks_of_a_section():
    records = [*seeds("mdsa_unet", BASE), *seeds("unet", CLEAR), *seeds("unetpp", BETTER)]
    ranks = sections(records)[0].ranking.ranks()
    assert {name: rank.rank for name, rank in ranks.items()} == {"MDSA-UNet": 3, "U-Net": 1, "UNet++": 2}
    assert (ranks["U-Net"].best > 0.99, ranks["U-Net"].low, ranks["U-Net"].high) == (True, 1, 1)
    assert {rank.of for rank in ranks.values()} == {"the networks"}
    assert sections(records[:-1])[0].ranking.of == "these trainings"
    assert section(unet=BASE).ranking is None


def test_two_files_of_weights_of_one_name_have_ranks_of_their_own():
    own = [
        altered(dice_record("unet", dice), {"weights_file": "best.pt"}, train=None, weights=f"{n}" * 12)
        for n, dice in enumerate((BASE, CLEAR))
    ]
    (found,) = sections(own)
    assert {name: place.rank for name, place in rank(found.rows).ranks().items()} == {
        "U-Net (best.pt)": 2, "U-Net (best.pt) (2)": 1,
    }  # fmt: skip


def test_five_trainings_against_one_bias_nothing():
    """Equal networks of skewed scores: averages of five are less skewed, which a signed-rank test takes for a lead."""
    from scipy.stats import wilcoxon

    scores = 0.95 - 0.1 * np.random.default_rng(0).gamma(0.5, size=(100, 6, 120))  # experiments, trainings, patients
    terms = np.stack([scores, np.ones(scores.shape)], axis=-1)[..., None, :]
    named = [[dict(zip(map(str, range(120)), training, strict=True)) for training in six] for six in terms]
    found = [difference(six[:5], six[5:]) for six in named]
    assert {one.of for one in found} == {"these trainings"}
    assert sum(one.decided for one in found) <= 100 * 0.05 + 2.5 * np.sqrt(100 * 0.05 * 0.95)
    averages = scores[:, :5].mean(axis=1) - scores[:, 5]
    assert (wilcoxon(averages, axis=1).pvalue < 0.05).mean() > 0.35


def test_a_reference_chosen_among_all_is_paid_for_by_the_networks_as_by_the_trainings():
    """Else the statement on networks could be the surer one, only because a third network has too few trainings."""
    records = [*seeds("unet", CLEAR), *seeds("unetpp", BASE), dice_record("segnet", BASE)]
    (found,) = sections(records)
    by_network = {one.row.network: one for one in found.paired}
    both = by_network["unetpp"]
    assert both.chosen_after
    assert by_network["segnet"].networks is None
    widths = [one.high - one.low for one in (both.trainings, both.networks)]
    assert widths[0] <= widths[1]
    assert both.trainings.holm_p <= both.networks.holm_p
