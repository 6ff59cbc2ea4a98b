"""The figures of the HTML report as plain values: the plot of Dice against cost, the image viewer, figures as SVG."""

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.columns import MAIN, Cell, Column, cells, number, worth_showing
from bench.report.example_images import Examples
from bench.report.figures import Picture
from bench.report.plot_style import look
from bench.report.text import slug
from bench.report.units import share

# The columns on the plot's horizontal axis, and what makes a base unit the axis's.
SCALES = {"latency": 1e3, "macs_fvcore": 1e-9, "parameters": 1e-6, "memory": 2.0**-20}
COLUMNS = {column.key: column for column in MAIN}
INK = "#000000"


def plotted(section: Section | None) -> dict[str, Any]:
    """What the plot of Dice against cost shows; nothing where no network has both."""
    if section is None or not section.dice:
        return {}
    rows = [row for row in section.rows if number(row.dice) is not None]
    costs = worth_showing([COLUMNS[key] for key in SCALES], rows)
    lines = cells((COLUMNS["dice"], *costs), rows)
    points = [_point(row, costs, line) for row, line in zip(rows, lines, strict=True)]
    points = [point for point in points if point["x"]]
    axes = [column.header for column in costs if any(column.header in point["x"] for point in points)]
    return {"accuracy": f"Dice, {section.dice.dataset} test", "axes": axes, "points": points} if points else {}


def _point(row: Row, costs: Sequence[Column], line: Sequence[Cell]) -> dict[str, Any]:
    """A network in the plot: its place, its look, and its figures as text. Costs are above 0: their axis is a log."""
    assert row.dice
    color, marker = look(row.network)
    known = {column: value for column in costs if (value := number(column.value(row)) or 0.0) > 0}
    told = [f"{column.header}: {cell.text}" for column, cell in zip(costs, line[1:], strict=True)]
    return {
        "name": row.title, "color": "currentColor" if color == INK else color, "marker": marker,
        "x": {column.header: value * SCALES[column.key] for column, value in known.items()},
        "y": row.dice.value, "low": row.dice.low, "high": row.dice.high,
        "text": [row.title, f"Dice: {line[0].text}", *told],
    }  # fmt: skip


def svg_inside(picture: Picture) -> str:
    """What a figure's SVG element holds: no header, date or style sheet, and ids that no other figure has."""
    inner = picture.svg.partition("<svg")[2].partition(">")[2].rpartition("</svg>")[0]
    inner = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>in-{slug(picture.name)}-", inner)
    return re.sub(r"\s*\n\s*", " ", inner)


def viewed(shown: Examples) -> dict[str, Any]:
    """What the image viewer shows: the networks, and each image with the outlines of the truth and of every network."""
    networks = [(one.row.network, one.row.title, look(one.row.network)[0]) for one in shown.networks]
    images = [
        {
            "rank": rank, "name": name, "source": _source(shown.images[name]), "size": shown.truths[name].shape[::-1],
            "truth": _path(shown.truths[name]),
            "masks": [(_path(one.mask(name)), share(one.dice[name])) for one in shown.networks],
        }
        for rank, name in shown.ranks.items()
    ]  # fmt: skip
    return {"networks": networks, "images": images}


def _source(pixels: np.ndarray) -> str:
    """An image (3, H, W) as a data URI, for the page must work without any other file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.asarray(pixels).transpose(1, 2, 0))).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _path(mask: np.ndarray) -> str:
    """SVG's path of the outlines of every class of a label map, in pixels."""
    from contourpy import contour_generator

    # A frame of background, so that an outline at the image's edge is closed too; half a pixel to its center.
    framed = [np.pad((mask == label).astype(float), 1) for label in np.unique(mask[mask > 0])]
    lines = [np.asarray(line) - 0.5 for one in framed for line in contour_generator(z=one).lines(0.5)]
    return "".join(f"M{'L'.join(f'{x:.1f},{y:.1f}' for x, y in line)}" for line in lines)
