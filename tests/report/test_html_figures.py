"""Pictures in HTML: what the plot of Dice against cost is told, and figures as SVG that can share a page."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import cost_record, dice_record, latency_record

from bench.read.rows import Row
from bench.read.sections import sections
from bench.report.document import Part, document
from bench.report.example_images import Examples, Predicted
from bench.report.figures import CROWDED, Picture
from bench.report.html import page, svg_inside
from bench.report.html import plotted as of_section
from bench.report.plot_style import PALETTE, look, subplots
from bench.run.predictions import Predictions


def plotted(records):
    return of_section(sections(records)[0])


def html(*parts):
    return page(replace(document([], [], []), parts=parts))


def made(records):
    return html(*document(records, sections(records), []).parts)


def pictures(*drawn):
    return html(Part("p", "P", (), (), drawn))


def picture(name, points, label=""):
    def draw():
        figure, axes = subplots(5, 4)
        axes.plot(range(points), range(points), ".", linestyle="", label=label)
        axes.set_title(label)
        return figure

    return Picture(name, name, "C", draw)


def test_a_point_has_its_costs_in_the_axes_units_and_its_figures_as_text(reference):
    data = plotted(reference)
    assert data["axes"] == ["Latency (ms)", "GMAC (fvcore)", "Params (M)"]
    first = next(point for point in data["points"] if point["name"] == "MDSA-UNet")
    assert first["x"] == pytest.approx({"Latency (ms)": 110.0, "GMAC (fvcore)": 4.456852840, "Params (M)": 6.576225})
    assert first["low"] == first["y"] == first["high"]  # of three patients there is no interval
    assert first["text"][0] == "MDSA-UNet"
    assert "Latency (ms): 110" in first["text"]
    assert "Params (M): 6.58" in first["text"]


def test_a_point_has_the_interval_of_its_dice_and_browsers_can_read_the_data_without_one(reference):
    dice = tuple(0.5 + n / 100 for n in range(12))
    records = [cost_record(), dice_record(dice=dice)]
    found = sections(records)[0].rows[0].dice
    (point,) = plotted(records)["points"]
    assert (point["y"], point["low"], point["high"]) == pytest.approx((0.555, found.low, found.high))
    assert found.has_interval
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', made(reference))
    points = json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["points"]
    assert [one["name"] for one in points] == ["MDSA-UNet", "U-Net"]


def test_a_network_keeps_its_color_and_black_is_the_pages_ink(reference):
    black = next(name for name in map(str, range(100)) if look(name)[0] == PALETTE[-1])
    found = plotted([*reference, cost_record(black), dice_record(black)])["points"]
    colors = {point["name"]: point["color"] for point in found}
    assert colors["MDSA-UNet"] == look("mdsa_unet")[0]
    assert colors[black] == "currentColor"


def test_a_cost_that_nobody_has_is_no_axis_and_who_has_none_is_no_point():
    data = plotted([dice_record(), cost_record(), dice_record("mdsa_unet")])
    assert data["axes"] == ["GMAC (fvcore)", "Params (M)"]
    assert [point["name"] for point in data["points"]] == ["U-Net"]


def test_nothing_is_plotted_without_dice_or_without_cost():
    assert plotted([latency_record(), cost_record()]) == {}
    assert plotted([dice_record()]) == {}


def test_no_name_closes_the_script_element():
    name = "</script><!--<b>&"
    text = made([dice_record(name), cost_record(name)])
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert json.loads(data)["points"][0]["name"] == name
    assert "<!--" not in text


def test_the_pictures_that_the_plot_stands_for_are_there_where_no_script_runs(reference):
    text = made(reference)
    inside = re.search(r"<noscript>(.*)</noscript>", text, re.DOTALL).group(1)
    assert 'id="picture-dice-latency-' in inside
    assert text.count('id="picture-dice-latency-') == 1
    assert 'id="picture-learning-curves-' not in inside


def test_two_figures_on_a_page_share_no_id_and_each_refers_to_its_own():
    text = pictures(*(picture(name, 3, "A & <B>") for name in ("one", "two"))).partition('id="part-p"')[2]
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    figures = text.partition("<details")[0]
    assert {*re.findall(r'href="#([^"]+)"', figures), *re.findall(r"url\(#([^)]+)\)", figures)} <= set(ids)


def test_a_figure_brings_no_header_style_or_comment_with_it():
    assert not re.search(r"<\?xml|<!DOCTYPE|<style|<metadata|<!--", svg_inside(picture("one", 3, "<!-- A -->")))


def test_many_dots_become_pixels():
    few, many = (svg_inside(picture("one", n)) for n in (9, CROWDED + 1))
    assert "<image" not in few
    assert "<image" in many
    assert 'href="data:image/png;base64,' in many


# ---- the image viewer ------------------------------------------------------------------------------------------------


@pytest.fixture
def viewer():
    """A part with the outlines of two networks, one with a hostile name, and one more picture."""
    masks = np.zeros((1, 20, 20), np.uint8)
    masks[0, 5:10, 0:10] = 1
    networks = tuple(
        Predicted(Row(name, ()), Predictions(("a<b>",), masks, {}), {"a<b>": 0.5}, Path())
        for name in ("unet", "<script>")
    )
    shown = Examples(networks, {"best": "a<b>"}, {"a<b>": np.zeros((3, 20, 20), np.uint8)}, {"a<b>": masks[0]})
    return html(Part("p", "P", (), (), tuple(picture(name, 3) for name in ("outlines", "regions")), None, shown))


def test_the_image_viewer_stands_for_the_picture_of_outlines(viewer):
    assert re.search(r'<figure id="images-p"><figcaption>C</figcaption>\s*<div class="viewer"', viewer)
    assert 'id="picture-regions"' in viewer
    assert 'id="picture-outlines"' not in viewer


def test_one_network_is_shown_and_there_is_a_button_for_each(viewer):
    inside = viewer.partition('class="viewer"')[2].partition("</section>")[0]
    assert re.findall(r'data-shows="([^"]*)"', inside) == ["unet", "&lt;script&gt;"]
    assert ["hidden" in path for path in re.findall(r"<path data-of=[^>]*>", inside)] == [False, True]
    assert "<script" not in inside
    assert 'src="data:image/png;base64,' in inside


def test_an_outline_at_the_edge_is_closed(viewer):
    first = re.search(r'class="truth" d="M([^"]*)"', viewer)[1].split("L")
    assert first[0] == first[-1]
    xs = [float(point.split(",")[0]) for point in first]
    assert (min(xs), max(xs)) == (0.0, 10.0)
