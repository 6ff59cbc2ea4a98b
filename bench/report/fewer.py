"""Sources of figures with as many networks as a figure has room for; its caption says how many are left out."""

from dataclasses import replace
from typing import TypeVar

from bench.read.paired import SUBJECT
from bench.read.rows import Row
from bench.read.sections import Section
from bench.read.speeds import Speed, Speeds

MOST = 40  # networks that can be told apart in a figure
T = TypeVar("T")


def fewer(source: T) -> tuple[T, str]:
    """The source without most of its networks, and which are left, in words; itself where all have room.

    Kept are the reference, then the most accurate networks and the fastest of those without scores; of times, this
    project's network and the fastest.
    """
    rows = source.rows if isinstance(source, Section | Speeds) else ()
    if len(rows) <= MOST:
        return source, ""
    if isinstance(source, Section):
        ordered = sorted(source.rows, key=lambda row: _of_scores(row, source.reference))
        kept = {id(row) for row in ordered[:MOST]}
        some = tuple(row for row in source.rows if id(row) in kept)
        return replace(source, rows=some), _told(len(rows), "the most accurate")
    assert isinstance(source, Speeds)
    fastest = {id(row) for row in sorted(source.rows, key=_of_times)[:MOST]}
    chosen = tuple(row for row in source.rows if id(row) in fastest)
    return replace(source, rows=chosen), _told(len(rows), "the fastest")


def _of_scores(row: Row, reference: Row | None) -> tuple[bool, float, float]:
    dice, latency = row.dice, row.latency_s
    return row is not reference, -dice.value if dice else 0.0, latency.value if latency else float("inf")


def _of_times(row: Speed) -> tuple[bool, float]:
    latency = row.latency_s()
    return row.network != SUBJECT, latency.value if latency else float("inf")


def _told(count: int, which: str) -> str:
    return f"; {MOST} of {count} networks, {which}, for a figure has no room for more"
