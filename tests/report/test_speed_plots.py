"""Sweeps and profiles as they are drawn."""

import pytest
from handmade import LATENCY, cost_record, latency_record, record

from bench.quantities import Latency, ModuleCost, Profile, ProfileSpec
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.plots import by_size, calls, latency_against_counts, throughput, time_by_module


def timed(seconds: float, **conditions):
    return record("unet", LATENCY.model_copy(update=conditions), Latency(samples_s=(seconds,) * 5, warmup_s=()))


def test_throughput_by_batch_has_a_line_a_network_with_units():
    (found,) = speeds([timed(0.1), timed(0.1, batch=2), timed(0.2, batch=4)])
    axes = throughput(found).axes[0]
    assert list(axes.lines[0].get_ydata()) == [10, 20, 20]
    assert axes.get_ylabel().startswith("images a second")


def test_latency_by_size():
    (found,) = speeds([timed(0.1), timed(0.4, size=448)])
    assert list(by_size(found).axes[0].lines[0].get_ydata()) == [100, 400]


def test_calls_are_shown_over_their_median():
    (found,) = speeds([latency_record("unet", (0.1, 0.2, 0.3))])
    (axes, *_) = calls(found).axes
    assert "3 calls" in axes.lines[0].get_label()
    assert list(axes.lines[0].get_xdata()) == pytest.approx([-50, 0, 50])


def part(name, time_s):
    return ModuleCost(name=name, kind="Part", parameters=1, macs=1, activations=1, calls=1, time_s=time_s)


def test_time_by_module_is_a_bar_of_shares_that_add_up_to_all_of_it():
    spec = ProfileSpec(machine=LATENCY.machine, device="cpu", threads=2)
    modules = (part("", 1.0), part("encode", 0.6), part("encode.inner", 0.5), part("decode", 0.3))
    result = Profile(modules=modules, operators=(), uncounted=(), passes=3, plain_s=0.9, clocked_s=1.0)
    (found,) = speeds([timed(0.1), record("unet", spec, result)])
    (axes,) = time_by_module(found).axes
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([60, 30, 10])
    assert [text.get_text() for text in axes.texts] == ["encode", "decode", "other"]


def test_latency_against_multiply_adds_has_a_point_a_network_and_lines_of_equal_speed():
    names = ("unet", "mdsa_unet", "swin_unet")
    records = [cost_record(name, macs=10**10) for name in names] + [latency_record(name) for name in names]
    axes = latency_against_counts(sections(records)[0]).axes[0]
    points = {line.get_label(): line.get_xydata()[0] for line in axes.lines if not line.get_label().startswith("_")}
    assert points.keys() == {"U-Net", "MDSA-UNet", "Swin-UNet"}
    assert list(points["U-Net"]) == pytest.approx([10, 310])
    assert {text.get_text() for text in axes.texts} <= {"10 GMAC/s", "100 GMAC/s"}
