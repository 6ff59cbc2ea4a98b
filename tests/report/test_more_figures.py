"""Figures beside the main one show what the rows hold."""

import pytest
from handmade import cost_record, latency_record

from bench.read.sections import sections
from bench.report.more_figures import dice_against_counts, latency_against_counts, paired_differences


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


def test_latency_against_multiply_adds_has_a_point_a_network_and_lines_of_equal_speed():
    names = ("unet", "mdsa_unet", "swin_unet")
    records = [cost_record(name, macs=10**10) for name in names] + [latency_record(name) for name in names]
    axes = latency_against_counts(sections(records)[0]).axes[0]
    points = {line.get_label(): line.get_xydata()[0] for line in axes.lines if not line.get_label().startswith("_")}
    assert points.keys() == {"U-Net", "MDSA-UNet", "Swin-UNet"}
    assert list(points["U-Net"]) == pytest.approx([10, 310])
    assert {text.get_text() for text in axes.texts} <= {"10 GMAC/s", "100 GMAC/s"}
