"""The pictures of a part in HTML: a plot of Dice against cost to explore, the image viewer, figures as SVG."""

import json
import math
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from bench.read.rows import Row
from bench.report.columns import MAIN, Cell, Column, cells, worth_showing
from bench.report.document import Part
from bench.report.drawing import Picture
from bench.stats.estimate import Estimate

# What the plot can have on its horizontal axis, and what makes a base unit the axis's.
SCALES = {"Latency (ms)": 1e3, "GMAC (fvcore)": 1e-9, "Params (M)": 1e-6, "Memory (MiB)": 2.0**-20}
PLOTTED = ("dice-latency", "dice-counts")  # pictures that the plot stands for, where scripts run
VIEWED = "outlines"  # the picture that the image viewer stands for
INK = "#000000"


def pictures_html(part: Part) -> str:
    """All pictures of a part. Where no script runs, the plot's place is taken by the pictures that it stands for."""
    data = plotted(part)
    plain = [p for p in part.pictures if p.name.startswith(PLOTTED)] if data else []
    viewed = [p for p in part.pictures if p.name.startswith(VIEWED)] if part.exhibit else []
    others = [p for p in part.pictures if p not in plain and p not in viewed]
    blocks = [_plot(part, data), f"<noscript>{''.join(map(_picture, plain))}</noscript>"] if data else []
    return "\n".join([*blocks, *(_viewer(part, picture.caption) for picture in viewed), *map(_picture, others)])


def slug(text: str) -> str:
    """Text as a part of an element's id or of a link to it.

    >>> slug("my data-224-cpu")
    'my-data-224-cpu'
    """
    return re.sub("[^A-Za-z0-9_-]", "-", text)


def _viewer(part: Part, caption: str) -> str:
    from bench.report.viewer import viewer

    assert part.exhibit
    shown = viewer(part.exhibit, slug(part.name))
    return f'<figure id="images-{slug(part.name)}"><figcaption>{escape(caption)}</figcaption>{shown}</figure>'


def _picture(picture: Picture) -> str:
    caption = escape(picture.caption)
    return (
        f'<figure class="picture" id="picture-{slug(picture.name)}"><figcaption>{caption}</figcaption>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">{_svg(picture)}</div></figure>'
    )


def _svg(picture: Picture) -> str:
    """A figure as SVG inside a page: no header, date or style sheet, and ids that no other figure has."""
    inner = picture.svg.partition("<svg")[2].partition(">")[2].rpartition("</svg>")[0]
    inner = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>in-{slug(picture.name)}-", inner)
    inner = re.sub(r"\s*\n\s*", " ", inner)
    width, height = (72 * inches for inches in picture.inches)
    return (
        f'<svg class="drawn" role="img" aria-label="{escape(picture.caption)}" viewBox="0 0 {width:g} {height:g}" '
        f'style="--wide: {4 * width / 3:.0f}px">{inner}</svg>'
    )


def plotted(part: Part) -> dict[str, Any]:
    """What the plot of Dice against cost shows; nothing where no network has both."""
    if not part.section or not part.section.dice:
        return {}
    rows = [row for row in part.section.rows if row.dice and math.isfinite(row.dice.value)]
    dice = next(column for column in MAIN if column.name == "Dice")
    costs = worth_showing([column for name in SCALES for column in MAIN if column.header == name], rows)
    lines = cells((dice, *costs), rows)
    points = [_point(row, costs, line) for row, line in zip(rows, lines, strict=True)]
    points = [point for point in points if point["x"]]
    accuracy = f"Dice, {part.section.dice.dataset} test"
    axes = [column.header for column in costs if any(column.header in point["x"] for point in points)]
    return {"accuracy": accuracy, "axes": axes, "points": points} if points else {}


def _point(row: Row, costs: Sequence[Column], line: Sequence[Cell]) -> dict[str, Any]:
    """A network in the plot: where it lies, how it looks, and its figures as text."""
    from bench.report.figures import look

    assert row.dice
    colour, marker = look(row.network)
    known = {column.header: value for column in costs if (value := _figure(column, row))}
    dice, *texts = (cell.text for cell in line)
    told = [f"{column.header}: {text}" for column, text in zip(costs, texts, strict=True)]
    return {
        "name": row.title, "colour": "currentColor" if colour == INK else colour, "marker": marker,
        "x": {name: value * SCALES[name] for name, value in known.items()},
        "y": row.dice.value, "low": row.dice.low, "high": row.dice.high, "text": [row.title, f"Dice: {dice}", *told],
    }  # fmt: skip


def _figure(column: Column, row: Row) -> float | None:
    """A cost as a number above 0, for the axis is logarithmic."""
    value = column.value(row)
    figure = value.value if isinstance(value, Estimate) else value
    return figure if figure is not None and math.isfinite(figure) and figure > 0 else None


def _plot(part: Part, data: dict[str, Any]) -> str:
    """The data of a plot, which the page's script draws."""
    caption = f"{data['accuracy']}, against cost"
    return (
        f'<figure class="plot" id="plot-{slug(part.name)}" aria-label="{escape(caption)}"><figcaption>{escape(caption)}'
        "<small>Up and left is better; bars are intervals; the broken line joins the networks that no other beats at "
        "both. Point at a network, or reach it with the Tab key, for its figures.</small></figcaption>"
        f'<script type="application/json">{_json(data)}</script></figure>'
    )


def _json(data: dict[str, Any]) -> str:
    """JSON that no text in it can end the script element with, or begin a comment in it."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
