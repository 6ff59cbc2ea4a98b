"""Figures show what the rows hold and keep a network's colour."""

import pytest
from handmade import dice_record

from bench.networks import NETWORKS
from bench.read.sections import sections
from bench.report.figures import dice_against_latency, learning_curves, look


def test_each_network_of_the_table_has_a_look_of_its_own():
    assert len({look(name) for name in NETWORKS}) == len(NETWORKS)


def test_a_stranger_has_a_look_too():
    assert look("mine.py:TinyNet") == look("mine.py:TinyNet")


def test_dice_against_latency_has_a_point_a_network_with_units_on_its_axes(reference):
    axes = dice_against_latency(sections(reference)[0]).axes[0]
    assert axes.get_xlabel().startswith("latency (ms")
    assert axes.get_ylabel() == "Dice, synthetic test"
    points = {
        line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if "(" in line.get_label()
    }
    assert points["U-Net (31.04 M)"] == pytest.approx((310, 0.7))
    assert points["MDSA-UNet (6.58 M)"] == pytest.approx((110, 2.35 / 3))


def test_learning_curves_show_every_leg(reference):
    loss, dice = learning_curves(sections(reference)[0]).axes
    assert [list(line.get_xdata()) for line in loss.lines] == [[20, 40], [20, 40]]
    assert list(dice.lines[0].get_ydata()) == [0.4, 0.6]


def test_each_seed_has_a_curve_and_one_entry_in_the_legend():
    (section,) = sections([dice_record(seed=0), dice_record(seed=1)])
    figure = learning_curves(section)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["U-Net"]
