"""The report as one self-contained HTML file, for phones and desktops.

The templates escape all text, also names and errors from outside.
"""

import base64
import io
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import plain
from bench.files import write_whole
from bench.judge.verdict import Verdict
from bench.networks import titles
from bench.quantities import QUANTITIES, Cost, Latency, Scores
from bench.read.rows import Row, taints
from bench.read.sections import Section, outdated
from bench.report.columns import MAIN, Cell, Column, cells, number, worth_showing
from bench.report.document import Document, Part
from bench.report.example_images import Examples
from bench.report.figures import Picture
from bench.report.plot_style import look
from bench.report.text import MOST_NAMED, TEMPLATES, everywhere, joined, scored_on, slug, template
from bench.report.verdicts import MARKS, claimed, command_of, count, figures, grouped, scope
from bench.run.store import Record
from bench.units import duration, giga, milliseconds, share

MOST_RECORDS = 2000  # that are shown in full: more make a page that browsers are slow to open
MOST = 60  # samples of a record that are shown; its file holds them all
# The columns on the plot's horizontal axis, and what makes a base unit the axis's.
SCALES = {"latency": 1e3, "macs_fvcore": 1e-9, "parameters": 1e-6, "memory": 2.0**-20}
COLUMNS = {column.key: column for column in MAIN}
INK = "#000000"


def write(document: Document, folder: Path) -> list[Path]:
    """Write report.html."""
    return [write_whole(folder / "report.html", page(document))]


def page(document: Document) -> str:
    """The whole report; all style sheets and scripts of the template's folder go into it."""
    called = titles(record.job.network for record in document.records)
    ordered = sorted(document.records, key=lambda r: (called[r.job.network], r.job.network, r.id))
    left_out, ordered = max(0, len(ordered) - MOST_RECORDS), ordered[:MOST_RECORDS]
    known = {record.id for record in ordered}
    return template("report.html").render(
        document=document, style=_all("*.css"), script=_all("*.js"), claims=_claims(document), marks=MARKS,
        known=known, old={record.id for record in outdated(document.records)},
        networks=groupby(ordered, lambda record: record.job.network), title_of=called.get, told=_told,
        parts=[_part(part, known) for part in document.parts], left_out=left_out, svg=svg_inside, most=MOST,
        anchor=anchor, hint=hint, claimed=claimed, figures=figures, scope=scope, duration=duration,
    )  # fmt: skip


def _all(pattern: str) -> str:
    return "\n".join(path.read_text() for path in sorted(TEMPLATES.glob(pattern)))


def _claims(document: Document) -> dict[str, Any]:
    """What fails first, then what holds; what is undecided apart, together where the reason is one.

    In each table, claims of one sentence and source share their first cells.
    """
    groups = grouped(document.verdicts, lambda v: (v.outcome, v.claim.says, v.claim.source, v.reason, command_of(v)))
    undecided: dict[tuple[str, str], list[list[Verdict]]] = defaultdict(list)
    for group in groups:
        if group[0].outcome == "undecided":
            undecided[group[0].reason, command_of(group[0])].append(group)
    decided = [group for group in groups if group[0].outcome != "undecided"]
    return {"count": count(document.verdicts), "decided": decided, "undecided": undecided}


def _part(part: Part, known: Collection[str]) -> dict[str, Any]:
    """A part with its plot, its image viewer, and for each title the records behind the figures of the row."""
    return {
        "part": part, "slug": slug(part.name), "origins": _origins(part, known),
        "plot": everywhere(plain, plotted(part.section)),
        "viewed": viewed(part.examples) if part.examples else None,
    }  # fmt: skip


def _origins(part: Part, known: Collection[str]) -> dict[str, dict[str, Any]]:
    """By a row's title its records, repeats in order, and the ids of what its figures link to: see `_origin`.

    Of very many rows those alone that a table shows.
    """
    source = part.section or part.speeds
    rows = source.rows if source else ()
    shown = {title for table in part.tables for title in table.origins}
    behind: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        if row.title in shown or len(rows) <= MOST_NAMED:
            behind[row.title] += row.records
    places = {title: f"row-{slug(part.name)}-{line}" for line, title in enumerate(behind)}
    ordered = {title: sorted(found, key=lambda record: (_repeat(record), record.id)) for title, found in behind.items()}
    return {title: _origin(place, ordered[title], known) for title, place in places.items()}


def _origin(place: str, records: Sequence[Record], known: Collection[str]) -> dict[str, Any]:
    """The id of the element that lists the records, and of what lies behind a figure of each quantity.

    That is the record itself where there is one that the page shows, else the list of them.
    """
    by_quantity: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_quantity[record.job.spec.quantity].append(record)
    targets = {
        quantity: anchor(found[0].id) if len(found) == 1 and found[0].id in known else f"{place}-{quantity}"
        for quantity, found in by_quantity.items()
    }
    return {"place": place, "records": records, "targets": targets}


# ---- records ---------------------------------------------------------------------------------------------------------


def anchor(record_id: str) -> str:
    """The id of a record's element; the hash at the end of a record's own id keeps two of them apart.

    >>> anchor("mine.py:Tiny-cost-0f3a9c51d2e4")
    'record-mine-py-Tiny-cost-0f3a9c51d2e4'
    """
    return f"record-{slug(record_id)}"


def hint(record: Record) -> str:
    """What distinguishes a record from its neighbors, and its outcome if it failed."""
    return joined(_repeat(record), "" if record.status == "ok" else record.outcome, by=", ")


def _repeat(record: Record) -> str:
    """What distinguishes a record from others of its network and quantity."""
    return ", ".join(QUANTITIES[record.job.spec.quantity].repeat(record.job.spec))


def _told(record: Record) -> dict[str, Any]:
    """A record's result, doubts, conditions and samples as text."""
    quantity = record.job.spec.quantity
    return {
        "found": QUANTITIES[quantity].summary(record.result) if record.result else "",
        "doubts": "; ".join(taints([record]) if quantity == "latency" else record.pretended),
        "conditions": ", ".join(_conditions(record.job.spec.model_dump(mode="json", exclude_none=True))),
        "samples": _samples(record.result),
    }


def _conditions(facts: dict[str, Any], of: str = "") -> Iterator[str]:
    """ "batch 1", "train.steps 600"."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _conditions(value, f"{name}.")
        elif value not in ("", []):
            yield f"{of}{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def _samples(result: Any) -> tuple[list[str], str, Sequence[float], str]:
    """The samples of a result: each as text, what they are, and those that are drawn as a strip with their unit.

    Of a latency these are the calls in order, of scores the images, of a count the operators, which are not drawn.
    """
    if isinstance(result, Latency):
        return [milliseconds(sample) for sample in result.samples_s], "calls in order, ms", result.samples_s, "seconds"
    if isinstance(result, Scores):
        scores = [f"{image.id} {share(image.dice)}" for image in result.images]
        return scores, "scores, image and Dice", [image.dice for image in result.images], "score"
    by_operator = result.fvcore.by_operator if isinstance(result, Cost) else {}
    counted = sorted(by_operator.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"{name} {giga(macs)}" for name, macs in counted], "operators, GMAC by fvcore", (), "multiply-adds"


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
    return {"accuracy": f"Dice, {scored_on(section)}", "axes": axes, "points": points} if points else {}


def _point(row: Row, costs: Sequence[Column], line: Sequence[Cell]) -> dict[str, Any]:
    """A network in the plot: its place, its look, and its figures as text. Costs are above 0: their axis is a log.

    Without an interval its bar has no length.
    """
    assert row.dice
    color, marker = look(row.network)
    low, high = (row.dice.low, row.dice.high) if row.dice.has_interval else (row.dice.value, row.dice.value)
    told = [f"{column.header}: {cell.text}" for column, cell in zip(costs, line[1:], strict=True)]
    return {
        "name": row.title, "color": "currentColor" if color == INK else color, "marker": marker,
        "x": {c.header: value * SCALES[c.key] for c in costs if (value := number(c.value(row)) or 0.0) > 0},
        "y": row.dice.value, "low": low, "high": high,
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
