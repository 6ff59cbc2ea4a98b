"""Figures show what the rows hold, keep a network's colour, and are the same bytes for the same records."""

import pytest
from handmade import cost_record, dice_record, latency_record

from bench.networks import NETWORKS
from bench.report.figures import dice_against_latency, learning_curves, look, save
from bench.summary.sections import sections


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


@pytest.mark.parametrize("records", [[cost_record()], [latency_record()], [dice_record()]])
def test_no_figure_without_both_measures(records):
    assert dice_against_latency(sections(records)[0]) is None


def test_learning_curves_show_every_leg(reference):
    loss, dice = learning_curves(sections(reference)[0]).axes
    assert [list(line.get_xdata()) for line in loss.lines] == [[20, 40], [20, 40]]
    assert list(dice.lines[0].get_ydata()) == [0.4, 0.6]
    assert learning_curves(sections([cost_record()])[0]) is None


def test_each_seed_has_a_curve_and_one_entry_in_the_legend():
    (section,) = sections([dice_record(seed=0), dice_record(seed=1)])
    figure = learning_curves(section)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["U-Net"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_same_records_same_bytes(tmp_path, reference, suffix):
    section = sections(reference)[0]
    paths = [save(dice_against_latency(section), tmp_path / f"{n}.{suffix}") for n in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
