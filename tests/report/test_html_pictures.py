"""Pictures in HTML: what the plot of Dice against cost is told, and figures as SVG that can share a page."""

import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from handmade import cost_record, dice_record, latency_record

from bench.read.rows import Row
from bench.read.sections import sections
from bench.report.document import Part, document
from bench.report.drawing import CROWDED, Picture
from bench.report.exhibits import Exhibit, Shown
from bench.report.html_pictures import pictures_html, plotted
from bench.run.predictions import Predictions


def part(records):
    return document(records, sections(records), []).parts[0]


def pictures(*drawn):
    return Part("p", "P", (), (), drawn)


def drawn(points, label=""):
    figure, axes = plt.subplots()
    axes.plot(range(points), range(points), ".", linestyle="", label=label)
    axes.set_title(label)
    return figure


def test_a_point_has_its_costs_in_the_axes_units_and_its_figures_as_text(reference):
    data = plotted(part(reference))
    assert data["axes"] == ["Latency (ms)", "GMAC (fvcore)", "Params (M)"]
    first = next(point for point in data["points"] if point["name"] == "MDSA-UNet")
    assert first["x"] == pytest.approx({"Latency (ms)": 110.0, "GMAC (fvcore)": 4.456852840, "Params (M)": 6.576225})
    assert first["low"] <= first["y"] <= first["high"]
    assert first["text"][0] == "MDSA-UNet"
    assert "Latency (ms): 110" in first["text"]
    assert "Params (M): 6.58" in first["text"]


def test_a_network_keeps_its_colour_and_black_is_the_pages_ink(reference):
    from bench.report.figures import PALETTE, look

    black = next(name for name in map(str, range(100)) if look(name)[0] == PALETTE[-1])
    found = plotted(part([*reference, cost_record(black), dice_record(black)]))["points"]
    colours = {point["name"]: point["colour"] for point in found}
    assert colours["MDSA-UNet"] == look("mdsa_unet")[0]
    assert colours[black] == "currentColor"


def test_a_cost_that_nobody_has_is_no_axis_and_who_has_none_is_no_point():
    data = plotted(part([dice_record(), cost_record(), dice_record("mdsa_unet")]))
    assert data["axes"] == ["GMAC (fvcore)", "Params (M)"]
    assert [point["name"] for point in data["points"]] == ["U-Net"]


def test_nothing_is_plotted_without_dice_or_without_cost():
    assert plotted(part([latency_record(), cost_record()])) == {}
    assert plotted(part([dice_record()])) == {}


def test_no_name_closes_the_script_element():
    name = "</script><!--<b>&"
    text = pictures_html(part([dice_record(name), cost_record(name)]))
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert json.loads(data)["points"][0]["name"] == name
    assert "<!--" not in text


def test_the_pictures_that_the_plot_stands_for_are_there_where_no_script_runs(reference):
    text = pictures_html(part(reference))
    inside = re.search(r"<noscript>(.*)</noscript>", text, re.DOTALL).group(1)
    assert 'id="picture-dice-latency-' in inside
    assert text.count('id="picture-dice-latency-') == 1
    assert 'id="picture-learning-curves-' not in inside


def test_two_figures_on_a_page_share_no_id_and_each_refers_to_its_own():
    text = pictures_html(pictures(*(Picture(name, "C", lambda: drawn(3, "A & <B>")) for name in ("one", "two"))))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {*re.findall(r'href="#([^"]+)"', text), *re.findall(r"url\(#([^)]+)\)", text)} <= set(ids)


def test_a_figure_brings_no_header_style_or_comment_with_it():
    text = pictures_html(pictures(Picture("one", "C", lambda: drawn(3, "<!-- A -->"))))
    assert not re.search(r"<\?xml|<!DOCTYPE|<style|<metadata|<!--", text)


def test_many_dots_become_pixels():
    few, many = (pictures_html(pictures(Picture("one", "C", lambda n=n: drawn(n)))) for n in (9, CROWDED + 1))
    assert "<image" not in few
    assert "<image" in many
    assert 'href="data:image/png;base64,' in many


def test_the_image_viewer_stands_for_the_picture_of_outlines():
    masks = np.zeros((1, 20, 20), np.uint8)
    masks[0, 5:10, 0:10] = 1
    shown = Shown(Row("unet", ()), Predictions(("image",), masks, {}), {"image": 0.5})
    exhibit = Exhibit((shown,), np.zeros((1, 3, 20, 20), np.uint8), masks, {"image": 0})
    names = ("outlines-p", "regions-p")
    text = pictures_html(Part("p", "P", (), (), tuple(Picture(n, n, lambda: drawn(3)) for n in names), None, exhibit))
    assert '<figure id="images-p"><figcaption>outlines-p</figcaption><div class="viewer"' in text
    assert 'id="picture-regions-p"' in text
    assert 'id="picture-outlines-p"' not in text
