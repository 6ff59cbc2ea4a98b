"""The report as one HTML file that needs nothing else, neither a network nor a folder beside it; on a phone or a desk.

The templates escape all text, also names and errors from outside.
"""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.files import write_whole
from bench.judge.verdict import Verdict
from bench.read.sections import outdated
from bench.report.document import Document, Part
from bench.report.html_figures import plotted, svg_inside, viewed
from bench.report.html_records import MOST, anchor, by_network, hint, repeat
from bench.report.text import TEMPLATES, slug, template
from bench.report.units import duration
from bench.report.verdicts import MARKS, claimed, count, grouped, measured_parts
from bench.run.store import Record


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

    @property
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
