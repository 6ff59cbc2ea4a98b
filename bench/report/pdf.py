"""The report as a PDF.

The words, figures and pictures go to a Typst template as data, never as markup, so that no name or error can break it.
"""

import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.errors import plain
from bench.files import temporary_folder, write_whole
from bench.judge.verdict import Verdict
from bench.processes import stop, supervised
from bench.report.columns import Cell, Table
from bench.report.document import Document, Part
from bench.report.text import TEMPLATES, everywhere, in_line, joined, prose, template
from bench.report.verdicts import MARKS, claimed, command_of, count, figures, grouped, scope

SCALE = 0.72  # from inches as drawn to inches as printed: the widest figures fill the page, and all have type of 7 pt
COMMAND = 90  # characters in a line of a command
# Fonts of the system would make another PDF on another machine.
COMPILE = "import typst; typst.compile('report.typ', 'report.pdf', root='.', ignore_system_fonts=True)"


def write(document: Document, folder: Path) -> list[Path]:
    """Write report.pdf; the same document gives the same bytes on every machine with this Typst."""
    with temporary_folder() as root:
        (root / "report.typ").write_bytes((TEMPLATES / "report.typ").read_bytes())
        facts = everywhere(plain, json.loads(json.dumps(_data(document), default=vars)))
        (root / "data.json").write_text(json.dumps(facts), encoding="utf-8")
        for picture in document.pictures:
            (root / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
        _compile(root)
        return [write_whole(folder / "report.pdf", (root / "report.pdf").read_bytes())]


def _compile(root: Path) -> None:
    """Make report.pdf in a folder of its template. Raises RuntimeError with what Typst says against it.

    That is done in a process of its own: Typst keeps all that it has laid out in memory, beside the records.
    """
    told = root / "errors"
    with told.open("wb") as errors:
        child = supervised([sys.executable, "-P", "-c", COMPILE], {**os.environ}, cwd=root, stderr=errors)
        try:
            code = child.wait()
        finally:
            stop(child)
    if code:
        ended = f"it was killed by signal {-code}, probably because memory ran out" if code < 0 else f"exit code {code}"
        said = told.read_text(encoding="utf-8", errors="replace").strip()
        raise RuntimeError(f"Typst failed: {said.splitlines()[-1] if said else ended}")


def _data(document: Document) -> dict[str, Any]:
    """All that the template shows."""
    return {
        "question": prose("question"), "machines": document.machines,
        "claims": _claims(document.verdicts) if document.verdicts else None,
        "parts": [_part(part, document.is_long) for part in document.parts],
        "definitions": list(template("text.txt").module.definitions.items()),
        "commands": [_in_lines(command) for command in document.commands],
        "studies": [
            {"name": in_line(one.name), "digest": one.digest, "text": plain(one.text)} for one in document.studies
        ],
    }  # fmt: skip


def _in_lines(command: str) -> str:
    """A command in lines that fit and that a shell reads as one; an option stays with its value."""
    # No line ends in quotes or in a comment.
    tied = re.sub(r"'[^']*'|# NETWORKS: .*$", lambda found: re.sub(r"\s", "\0", found[0]), command)
    tied = re.sub(r"( --\S+) (?!-)", "\\1\0", tied)
    lines = textwrap.wrap(tied, COMMAND, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(lines).replace("\0", " ")


def _claims(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Claims of one sentence and verdict in one group; their sources and what would decide more, each told once."""
    groups = grouped(verdicts, lambda v: (v.outcome, v.claim.says, v.claim.source, v.reason))
    told = [verdict for group in groups for verdict in group]
    return {
        "count": count(verdicts), "groups": [[_verdict(verdict) for verdict in group] for group in groups],
        "sources": list(dict.fromkeys(verdict.claim.source for verdict in told)),
        "todo": [_in_lines(command) for command in dict.fromkeys(map(command_of, told)) if command],
    }  # fmt: skip


def _verdict(verdict: Verdict) -> dict[str, Any]:
    claim, measured, (figure, *beside) = verdict.claim, verdict.measured, figures(verdict)
    return {
        "outcome": verdict.outcome, "mark": MARKS[verdict.outcome], "says": claim.says, "source": claim.source,
        "claimed": claimed(claim), "figure": figure, "beside": joined(*beside, by=", "), "reason": verdict.reason,
        "measured": bool(measured), "machine": measured.machine if measured else "", "scope": scope(verdict),
    }  # fmt: skip


def _part(part: Part, long: bool) -> dict[str, Any]:
    """A part; the width of a picture is in points of print."""
    return {
        "title": part.title, "says": part.says, "tables": [_table(table, long) for table in part.tables],
        "pictures": [{"file": f"{one.name}.svg", "caption": one.caption, "width": 72 * SCALE * one.inches[0]}
                     for one in part.pictures],
    }  # fmt: skip


def _table(table: Table, long: bool) -> dict[str, Any]:
    columns = [{"name": column.name, "unit": column.unit} for column in table.columns]
    return {
        "caption": table.caption, "notes": table.notes, "columns": columns, "lines": table.lines,
        "widest": _widest(table), "exact": not long,
    }  # fmt: skip


def _widest(table: Table) -> list[tuple[str, list[Cell]]]:
    """Two lines of the longest figures and of the longest intervals: a table is never narrower than one of these."""
    columns = [*zip(*(cells for _, cells in table.lines), strict=True)]
    ways: tuple[Callable[[Cell], int], ...] = (lambda cell: len(cell.figure), lambda cell: len(cell.small))
    return [("", [max(column, key=length) for column in columns]) for length in ways]
