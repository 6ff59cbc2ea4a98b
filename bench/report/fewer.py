"""As many networks as a figure has room for, and as a reader of a long report reads tables of.

What is left out is said in the caption of a figure and below a table.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from bench.read.paired import SUBJECT
from bench.read.rows import Row
from bench.read.sections import Section
from bench.read.speeds import Speed, Speeds
from bench.report.columns import Table
from bench.report.text import MOST_NAMED, prose

MOST = 40  # networks that can be told apart in a figure, and lines of a table of a long report
MARKS = "†‡§¶ "  # before the title that a note begins with
T = TypeVar("T")


def fewer(source: T) -> tuple[T, str]:
    """The source without most of its networks, and which are left, in words; itself where all have room.

    Kept are the reference, then the most accurate networks and the fastest of those without scores; of times, this
    project's network and the fastest.
    """
    some, which = chosen(source)
    count = len(source.rows) if isinstance(source, Section | Speeds) else 0
    return some, f"; {MOST} of {count} networks, {which}, for a figure has no room for more" if which else ""


def chosen(source: T, most: int = MOST) -> tuple[T, str]:
    """The source with at most so many networks, and which they are in words; itself and "" where it has no more."""
    rows = source.rows if isinstance(source, Section | Speeds) else ()
    if len(rows) <= most:
        return source, ""
    if isinstance(source, Section):
        ordered = sorted(source.rows, key=lambda row: _of_scores(row, source.reference))
        kept = {id(row) for row in ordered[:most]}
        some = tuple(row for row in source.rows if id(row) in kept)
        return replace(source, rows=some), "the most accurate" if source.dice else "the fastest"
    assert isinstance(source, Speeds)
    fastest = {id(row) for row in sorted(source.rows, key=_of_times)[:most]}
    chosen = tuple(row for row in source.rows if id(row) in fastest)
    return replace(source, rows=chosen), "the fastest"


def _of_scores(row: Row, reference: Row | None) -> tuple[bool, float, float]:
    dice, latency = row.dice, row.latency_s
    return row is not reference, -dice.value if dice else 0.0, latency.value if latency else float("inf")


def _of_times(row: Speed) -> tuple[bool, float]:
    latency = row.latency_s()
    return row.network != SUBJECT, latency.value if latency else float("inf")


# ---- tables ----------------------------------------------------------------------------------------------------------


def is_long(sources: Iterable[Section | Speeds]) -> bool:
    """Whether a report of these has so many networks that nobody reads all of them."""
    return len({row.title for source in sources for row in source.rows}) > MOST_NAMED


def shortened(tables: Sequence[Table], source: Section | Speeds | None = None) -> tuple[Table, ...]:
    """The tables of a source with the lines of the networks that its figures show, and a note where some are left out.

    Of a table without a source the first lines are kept. Marks of the best stay those among all lines.
    """
    some, which = chosen(source)
    kept = {row.title for row in some.rows} if some else set()
    return tuple(_shortened(one, kept, which) if len(one.lines) > MOST else one for one in tables)


def _shortened(table: Table, kept: Collection[str], which: str) -> Table:
    places = [place for place, title in enumerate(table.origins) if title in kept][:MOST_NAMED]
    places = places or list(range(MOST))
    if len(places) == len(table.lines):
        return table
    lines, origins = tuple(table.lines[n] for n in places), tuple(table.origins[n] for n in places)
    gone = tuple(f"{title}:" for title in {*table.origins}.difference(origins))
    notes = [note for note in table.notes if not note.lstrip(MARKS).startswith(gone)]
    more = [prose("more_notes", len(notes) - MOST_NAMED)] if len(notes) > MOST_NAMED else []
    told = (prose("shortened", len(lines), len(table.lines), which), *notes[:MOST_NAMED], *more)
    return replace(table, lines=lines, origins=origins, notes=told)
