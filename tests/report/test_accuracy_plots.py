"""Figures of accuracy show what the rows hold."""

import pytest
from handmade import DICE, dice_record, record

from bench.read.sections import sections
from bench.report.plots import dice_against_counts, dice_against_latency, learning_curves, paired_differences


def test_dice_against_latency_has_a_point_a_network_with_units_on_its_axes(reference):
    axes = dice_against_latency(sections(reference)[0]).axes[0]
    assert axes.get_xlabel().startswith("latency (ms")
    assert axes.get_ylabel() == "Dice, synthetic test"
    points = {
        line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if "(" in line.get_label()
    }
    assert points["U-Net (31.04 M)"] == pytest.approx((310, 0.7))
    assert points["MDSA-UNet (6.58 M)"] == pytest.approx((110, 2.35 / 3))


def test_learning_curves_show_every_checkpoint(reference):
    loss, dice = learning_curves(sections(reference)[0]).axes
    assert [list(line.get_xdata()) for line in loss.lines] == [[20, 40], [20, 40]]
    assert list(dice.lines[0].get_ydata()) == [0.4, 0.6]


def test_each_seed_has_a_curve_and_one_entry_in_the_legend():
    (section,) = sections([dice_record(seed=0), dice_record(seed=1)])
    figure = learning_curves(section)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["U-Net"]


def test_dice_against_counts_has_a_point_a_network_and_the_front(reference):
    (section,) = sections(reference)
    left, right = dice_against_counts(section).axes[:2]
    assert left.get_xscale() == right.get_xscale() == "log"
    assert {line.get_label() for line in left.lines} >= {"U-Net", "MDSA-UNet"}


def test_one_network_beats_the_other_at_both_so_there_is_no_front_to_draw(reference):
    (section,) = sections(reference)
    assert not [line for line in dice_against_counts(section).axes[0].lines if line.get_linestyle() == "--"]


def test_paired_differences_have_a_line_a_network(reference):
    (section,) = sections(reference)
    axes = paired_differences(section).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["U-Net"]
    assert "MDSA-UNet" in axes.get_xlabel()
    assert axes.get_title(loc="left") == ""  # of three patients there is no interval


def test_the_intervals_of_these_weights_and_of_the_networks_are_told_apart():
    dice = tuple(0.3 + n / 100 for n in range(12))
    apart = (("mdsa_unet", 0.0), ("unet", 0.2))
    records = [
        dice_record(name, tuple(value + start + (0.05 + n % 2 / 50) * seed for n, value in enumerate(dice)), seed)
        for name, start in apart
        for seed in range(3)
    ]
    (section,) = sections([*records, dice_record("unetpp", tuple(value + 0.1 for value in dice[::-1]))])
    axes = paired_differences(section).axes[0]
    lines = {
        (line.get_ydata()[0], line.get_linewidth()): tuple(line.get_xdata())
        for line in axes.lines
        if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]
    }
    unet, unetpp = section.paired  # drawn from the bottom: the last is at 0
    assert lines == {
        (1, 6.0): (unet.networks.low, unet.networks.high), (1, 1.5): (unet.trainings.low, unet.trainings.high),
        (0, 1.5): (unetpp.trainings.low, unetpp.trainings.high),
    }  # fmt: skip
    assert "Thin line: 95 % interval of these weights; thick: of the networks" in axes.get_title(loc="left")


def test_what_was_predicted_elsewhere_is_hollow(reference):
    result = dice_record("unet").result.model_copy(update={"source": "theirs", "curve": ()})
    elsewhere = record("unet", DICE.model_copy(update={"train": None, "predicted": "c" * 12}), result)
    left, _ = dice_against_counts(sections([*reference, elsewhere])[0]).axes[:2]
    faces = {line.get_label(): line.get_markerfacecolor() for line in left.lines}
    assert faces["U-Net (predicted elsewhere)"] == "white"
    assert faces["U-Net"] != "white"
