"""Tables: what each column shows of a row, how it is written, and which figure is the best."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.networks import NETWORKS
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.text import joined
from bench.report.units import UNITS
from bench.stats.estimate import Estimate

Value = float | str | Estimate | None
# Marks of an unverified count, of a disturbed time, and of a score without a failed seed: never the best.
UNVERIFIED, TAINTED, PARTIAL = "†", "‡", "§"


@dataclass(frozen=True)
class Column:
    """A column by its `key`: its header's name and unit, its value of a row, and the base unit that value is in.

    `best` is min or max where one figure is the best. `mark` gives a row's mark; a marked figure is never the best.
    `quantity` names the quantity whose records are behind the figures; a published figure has none. A narrow terminal
    leaves out columns `aside`, and shows intervals and deviations only in columns `ranged`. An `optional` column is
    left out where no row has a value. In a column `alike`, a figure over fewer units than another is never the best,
    such as a precision of 1 from the two images where something was predicted.
    """

    key: str
    name: str
    unit: str
    value: Callable[[Any], Value]
    base: str
    best: Callable[..., float] | None = None
    mark: Callable[[Any], str] | None = None
    quantity: str = ""
    aside: bool = False
    ranged: bool = False
    optional: bool = False
    alike: bool = False

    @property
    def header(self) -> str:
        """Name and unit in one line."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def text(self, value: float | str | None) -> str:
        """A value as the column's cells show it."""
        return value if isinstance(value, str) else UNITS[self.base].cell(value)


@dataclass(frozen=True)
class Cell:
    """A figure as text, its deviation over seeds, its interval, its mark, and whether it is the best or the second.

    The second is the best of what is left without the best and all that equal it.
    """

    figure: str
    deviation: str = ""
    interval: str = ""
    best: bool = False
    mark: str = ""
    second: bool = False

    @property
    def small(self) -> str:
        """Deviation and interval."""
        return joined(self.deviation, self.interval)

    @property
    def text(self) -> str:
        """Figure, mark, deviation and interval in one line."""
        return joined(self.figure + self.mark, self.small)


def worth_showing(columns: Sequence[Column], rows: Sequence[Any]) -> tuple[Column, ...]:
    """The columns without the optional ones in which no row has a value."""
    return tuple(c for c in columns if not c.optional or any(c.value(row) is not None for row in rows))


def cells(columns: Sequence[Column], rows: Sequence[Any]) -> list[tuple[Cell, ...]]:
    """Each row's cells, in the order of the columns."""
    by_column = [_cells(column, rows) for column in columns]
    return [tuple(column[place] for column in by_column) for place in range(len(rows))]


def _cells(column: Column, rows: Sequence[Any]) -> list[Cell]:
    values = [column.value(row) for row in rows]
    marks = [
        column.mark(row) if column.mark and value is not None else "" for row, value in zip(rows, values, strict=True)
    ]
    units = max((value.n for value in values if isinstance(value, Estimate)), default=0) if column.alike else 0
    ranked = [None if mark else number(value, units) for value, mark in zip(values, marks, strict=True)]
    known = [figure for figure in ranked if figure is not None]
    best = column.best(known) if column.best and len(known) > 1 else None
    others = [figure for figure in known if figure != best]
    second = column.best(others) if column.best and len(others) > 1 else None
    return [
        _cell(column, value, mark, best=figure is not None and figure == best,
              second=figure is not None and figure == second)
        for value, mark, figure in zip(values, marks, ranked, strict=True)
    ]  # fmt: skip


def number(value: Value, units: int = 0) -> float | None:
    """A value as a plain number; None where it has none, or where it is over fewer units."""
    if isinstance(value, Estimate):
        value = value.value if value.n >= units else None
    return None if value is None or isinstance(value, str) or math.isnan(value) else value


def _cell(column: Column, value: Value, mark: str, best: bool, second: bool) -> Cell:
    if not isinstance(value, Estimate):
        return Cell(column.text(value), best=best, mark=mark, second=second)
    deviation = f"± {column.text(value.deviation).lstrip('+')}" if value.deviation is not None else ""
    interval = f"[{column.text(value.low)}, {column.text(value.high)}]" if value.n > 1 else ""
    return Cell(column.text(value.value), deviation, interval, best, mark, second)


@dataclass(frozen=True)
class Table:
    """A table by its `key`, which no other table of its part has: caption, columns, lines and notes.

    A line is a network's title and its cells. `origins` has for each line the title of the row whose records are behind
    it: that of "U-Net, folded" is "U-Net".
    """

    key: str
    caption: str
    columns: tuple[Column, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[str, ...]
    origins: tuple[str, ...]


def table(key: str, caption: str, columns: Sequence[Column], rows: Sequence[Any], *notes: str) -> Table:
    """A table of rows that have a title, without the optional columns in which none has a value."""
    shown = worth_showing(columns, rows)
    lines = zip((row.title for row in rows), cells(shown, rows), strict=True)
    return Table(key, caption, shown, tuple(lines), notes, tuple(getattr(row, "origin", row.title) for row in rows))


# ---- the columns of a section ----------------------------------------------------------------------------------------


def _unverified(row: Row) -> str:
    return UNVERIFIED if row.cost and row.cost.doubt else ""


def tainted(row: Any) -> str:
    """The mark of a row whose times were disturbed."""
    return TAINTED if row.taints else ""


def _partial(row: Row) -> str:
    return PARTIAL if row.lost_seeds[0] else ""


def _kind(row: Row) -> str | None:
    return NETWORKS[row.network].kind if row.network in NETWORKS else None


def _published(fact: str, row: Row) -> float | None:
    """What was published for images of 224x224."""
    network = NETWORKS.get(row.network)
    return None if network is None or (fact == "macs" and network.macs_size != 224) else getattr(network, fact)


_cost = partial(Column, base="multiply-adds", best=min, mark=_unverified, quantity="cost", optional=True)
_measured = partial(Column, optional=True)
_aside = partial(Column, aside=True, optional=True)
MAIN = (
    _measured("parameters", "Params", "M", lambda row: row.cost and row.cost.parameters, "parameters", min,
              quantity="cost"),
    _cost("macs_fvcore", "GMAC", "fvcore", lambda row: row.cost and row.cost.fvcore.macs),
    _cost("macs_torch", "GMAC", "torch", lambda row: row.cost and row.cost.torch.macs),
    _measured("latency", "Latency", "ms", lambda row: row.latency_s, "seconds", min, tainted, "latency"),
    _measured("memory", "Memory", "MiB", lambda row: row.memory and row.memory.peak_bytes, "bytes", min,
              quantity="memory"),
    _measured("dice", "Dice", "", lambda row: row.dice, "score", max, _partial, "dice", ranged=True, alike=True),
    _aside("kind", "Kind", "", _kind, "text"),
    _aside("published_parameters", "Published", "M", partial(_published, "parameters"), "parameters"),
    _aside("published_macs", "Published", "GMAC", partial(_published, "macs"), "multiply-adds"),
)  # fmt: skip
_of_pair = partial(Column, quantity="dice")
PAIRED = (
    _of_pair("dice", "Dice", "difference", lambda paired: paired.difference, "difference", ranged=True),
    _of_pair("units", "Units", "", lambda paired: paired.difference.n, "count"),
    _of_pair("won", "Won", "", lambda paired: paired.won, "share"),
    _of_pair("lost", "Lost", "", lambda paired: paired.lost, "share"),
    _of_pair("p", "p", "Wilcoxon", lambda paired: paired.p, "probability"),
    _of_pair("holm_p", "p", "Holm", lambda paired: paired.holm_p, "probability"),
)


def accuracy(section: Section) -> tuple[Column, ...]:
    """The columns of a section's accuracy in full, with one for each class where there are several."""
    labels = section.dice.labels if section.dice else ()
    alone = len(section.trained_on) == 1
    score = partial(Column, unit="", base="score", best=max, mark=_partial, quantity="dice", alike=True)
    aside = partial(Column, base="score", best=max, quantity="dice", aside=True)
    return (
        score("dice", "Dice", value=lambda row: row.dice, ranged=True),
        *(aside(f"dice_{label}", "Dice", label, partial(_dice_of_class, place)) for place, label in enumerate(labels)),
        score("iou", "IoU", value=lambda row: row.iou),
        score("hd95", "HD95", unit=section.distance_unit, value=lambda row: row.hd95, base="distance", best=min,
              optional=True),
        score("sensitivity", "Sensitivity", value=lambda row: row.sensitivity),
        score("precision", "Precision", value=lambda row: row.precision),
        aside("dice_pooled", "Dice", "pooled", lambda row: row.pooled_dice),
        aside("training", "Training", "images/s", lambda row: row.train_images_per_s if alone else None,
              base="images/s", optional=True),
    )  # fmt: skip


def _dice_of_class(place: int, row: Row) -> float | None:
    return row.dice_by_class[place] if row.dice_by_class else None
