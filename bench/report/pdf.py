"""The report as a PDF, to read at a stretch and to hand on.

The words, figures and pictures go to a Typst template as data, never as markup, so that no name or error can break it.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import count as numbers
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.files import write_whole
from bench.judge.verdict import Verdict
from bench.report.columns import Cell
from bench.report.document import Document, Part
from bench.report.drawing import Picture
from bench.report.tables import Table
from bench.report.verdicts import MARKS, claimed, count, found, measured_parts

TEMPLATE = Path(__file__).parent / "template" / "report.typ"
TITLE = "Networks compared"
ORDER = ("fails", "holds", "undecided")  # what fails is what a reader looks for first
SCALE = 0.72  # from inches as drawn to inches as printed: the widest figures fill the page, and all have type of 7 pt
COMMAND = 90  # characters in a line of a command


def write(document: Document, folder: Path) -> list[Path]:
    """Write report.pdf; the same document gives the same bytes on every machine with this Typst."""
    import typst

    with TemporaryDirectory() as aside:
        root = Path(aside)
        (root / "report.typ").write_bytes(TEMPLATE.read_bytes())
        (root / "data.json").write_text(json.dumps(_data(document, root)), encoding="utf-8")
        # Fonts of the system would make another PDF on another machine.
        pdf = typst.compile(root / "report.typ", root=root, ignore_system_fonts=True)
    assert isinstance(pdf, bytes)
    return [write_whole(folder / "report.pdf", pdf)]


def _data(document: Document, root: Path) -> dict[str, Any]:
    """All that the template shows; pictures are drawn into the folder `root` and named."""
    files = (f"{number}.svg" for number in numbers())
    return {
        "title": TITLE,
        "question": document.question,
        "machines": document.machines,
        "claims": _claims(document.verdicts),
        "parts": [_part(part, files, root) for part in document.parts],
        "definitions": document.definitions,
        "commands": [_in_lines(command) for command in document.commands],
    }


def _in_lines(command: str) -> str:
    """A command in lines that fit and that a shell reads as one; an option stays with its value."""
    tied = re.sub(r"( --\S+) (?!-)", "\\1\0", command)
    lines = textwrap.wrap(tied, COMMAND, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(lines).replace("\0", " ")


# ---- verdicts --------------------------------------------------------------------------------------------------------


def _claims(verdicts: Sequence[Verdict]) -> dict[str, Any] | None:
    """Claims of one sentence and verdict in one group; their sources and what would decide more, each told once."""
    if not verdicts:
        return None
    ranked = sorted(verdicts, key=lambda verdict: ORDER.index(verdict.outcome))
    sources = list(dict.fromkeys(verdict.claim.source for verdict in ranked))
    groups = [list(group) for _, group in groupby(ranked, _sharing)]
    return {
        "count": count(verdicts),
        "groups": [_group(group, sources.index(group[0].claim.source) + 1) for group in groups],
        "sources": sources,
        "todo": [_in_lines(todo) for todo in dict.fromkeys(verdict.todo for verdict in ranked if verdict.todo)],
    }


def _sharing(verdict: Verdict) -> tuple[str, ...]:
    return verdict.outcome, verdict.claim.says, verdict.claim.source, verdict.reason


def _group(group: Sequence[Verdict], source: int) -> dict[str, Any]:
    first = group[0]
    return {
        "outcome": first.outcome,
        "mark": MARKS[first.outcome],
        "says": first.claim.says,
        "source": source,
        "lines": _lines(group),
        "reason": first.reason,
        "machines": list(dict.fromkeys(v.measured.machine for v in group if v.measured and v.measured.machine)),
    }


def _lines(group: Sequence[Verdict]) -> list[dict[str, str]]:
    """A line a claim: what is claimed and what was measured; one for all where nothing was measured."""
    if len(group) > 1 and not any(verdict.measured for verdict in group):
        more = f"{claimed(group[0].claim)} and {len(group) - 1} more"
        return [{"claimed": more, "figure": found(group[0].claim, None), "beside": ""}]
    return [_line(verdict) for verdict in group]


def _line(verdict: Verdict) -> dict[str, str]:
    figure, beside = measured_parts(verdict)
    return {"claimed": claimed(verdict.claim), "figure": figure, "beside": beside}


# ---- parts -----------------------------------------------------------------------------------------------------------


def _part(part: Part, files: Iterator[str], root: Path) -> dict[str, Any]:
    return {
        "title": part.title,
        "says": part.says,
        "tables": [_table(table) for table in part.tables],
        "pictures": [_picture(picture, root / next(files)) for picture in part.pictures],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "caption": table.caption,
        "columns": [{"name": column.name, "unit": column.unit} for column in table.columns],
        "lines": [{"title": title, "cells": [_cell(cell) for cell in cells]} for title, cells in table.lines],
        "notes": [note[:1].upper() + note[1:] for note in table.notes],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    small = " ".join(filter(None, (cell.deviation, cell.interval)))
    return {"figure": cell.figure, "mark": cell.mark, "small": small, "best": cell.best, "second": cell.second}


def _picture(picture: Picture, path: Path) -> dict[str, Any]:
    """Put a picture beside the template; its width in points of print."""
    path.write_text(picture.svg, encoding="utf-8")
    return {"file": path.name, "caption": picture.caption, "width": 72 * SCALE * picture.inches[0]}
