"""The report as one HTML file that needs nothing else, neither a network nor a folder beside it; on a phone or a desk.

The templates escape all text, also names and errors from outside.
"""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bench.files import write_whole
from bench.judge.verdict import Verdict
from bench.read.rows import Row
from bench.read.sections import Section, outdated
from bench.report.columns import MAIN, Cell, Column, cells, number, worth_showing
from bench.report.document import Document, Part
from bench.report.example_images import Examples
from bench.report.figures import Picture
from bench.report.html_records import MOST, anchor, by_network, hint, repeat
from bench.report.plot_style import look
from bench.report.text import TEMPLATES, slug, template
from bench.report.units import duration, share
from bench.report.verdicts import MARKS, claimed, count, grouped, measured_parts
from bench.run.store import Record

# The columns on the plot's horizontal axis, and what makes a base unit the axis's.
SCALES = {"latency": 1e3, "macs_fvcore": 1e-9, "parameters": 1e-6, "memory": 2.0**-20}
COLUMNS = {column.key: column for column in MAIN}
INK = "#000000"


def write(document: Document, folder: Path) -> list[Path]:
    """Write report.html."""
    return [write_whole(folder / "report.html", page(document))]


def page(document: Document) -> str:
    """The whole report; all style sheets and scripts of the template's folder go into it."""
    old = {record.id for record in outdated(document.records)}
    return template("report.html").render(
        document=document, style=_all("*.css"), script=_all("*.js"), claims=_claims(document),
        known={record.id for record in document.records}, parts=[_part(part) for part in document.parts],
        records=by_network(document.records, old), svg=svg_inside, most=MOST, anchor=anchor, hint=hint, claimed=claimed,
        measured_parts=measured_parts, marks=MARKS, duration=duration,
    )  # fmt: skip


def _all(pattern: str) -> str:
    return "\n".join(path.read_text() for path in sorted(TEMPLATES.glob(pattern)))


def _claims(document: Document) -> dict[str, Any]:
    """What fails first, then what holds; what is undecided apart, together where the reason is one.

    In each table, claims of one sentence and source share their first cells.
    """
    groups = grouped(document.verdicts, lambda v: (v.outcome, v.claim.says, v.claim.source, v.reason, v.todo))
    undecided: dict[tuple[str, str], list[list[Verdict]]] = {}
    for group in groups:
        if group[0].outcome == "undecided":
            undecided.setdefault((group[0].reason, group[0].todo), []).append(group)
    decided = [group for group in groups if group[0].outcome != "undecided"]
    return {"count": count(document.verdicts), "decided": decided, "undecided": undecided}


@dataclass(frozen=True)
class Origin:
    """Where the figures of a row come from: its records, and the id of the element that lists them."""

    title: str
    place: str
    records: tuple[Record, ...]

    @cached_property
    def by_quantity(self) -> dict[str, list[Record]]:
        """Its records by quantity, repeats in order."""
        ordered = sorted(self.records, key=lambda record: (record.job.spec.quantity, repeat(record), record.id))
        return {name: list(group) for name, group in groupby(ordered, lambda record: record.job.spec.quantity)}

    def target(self, quantity: str) -> str:
        """The id of what lies behind a figure: the record where there is one, else the list of them."""
        records = self.by_quantity.get(quantity, [])
        if len(records) == 1:
            return anchor(records[0].id)
        return f"{self.place}-{quantity}" if records else self.place


def _part(part: Part) -> dict[str, Any]:
    """A part with the origins of its rows by their titles, its plot and its image viewer."""
    shown = viewed(part.examples) if part.examples else None
    return {
        "part": part, "slug": slug(part.name), "origins": _origins(part), "plot": plotted(part.section), "viewed": shown
    }  # fmt: skip


def _origins(part: Part) -> dict[str, Origin]:
    source = part.section or part.speeds
    behind: dict[str, list[Record]] = {}
    for row in source.rows if source else ():
        behind.setdefault(row.title, []).extend(row.records)
    place = f"row-{slug(part.name)}"
    return {title: Origin(title, f"{place}-{n}", tuple(of)) for n, (title, of) in enumerate(behind.items())}


# ---- figures: the plot of Dice against cost, the image viewer, figures as SVG ----------------------------------------


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
