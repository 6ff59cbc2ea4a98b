"""Tables: what each column shows of a row, how it is written, and which figure is the best."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.networks import NETWORKS
from bench.quantities import QUANTITIES, Quantity
from bench.quantities.base import Column as Figure
from bench.quantities.scores import SCORES, Score
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.text import joined
from bench.stats.estimate import Estimate
from bench.units import UNITS

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
    mark: Callable[[Any], str] = lambda row: ""
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
    marks = ["" if value is None else column.mark(row) for row, value in zip(rows, values, strict=True)]
    units = max((value.n for value in values if isinstance(value, Estimate)), default=0) if column.alike else 0
    ranked = [None if mark else number(value, units) for value, mark in zip(values, marks, strict=True)]
    known = [figure for figure in ranked if figure is not None]
    best = column.best(known) if column.best and len(known) > 1 else math.nan
    others = [figure for figure in known if figure != best]
    second = column.best(others) if column.best and len(others) > 1 else math.nan
    found = zip(values, marks, ranked, strict=True)
    return [replace(_cell(column, value), mark=m, best=f == best, second=f == second) for value, m, f in found]


def number(value: Value, units: int = 0) -> float | None:
    """A value as a plain number; None where it has none, or where it is over fewer units."""
    if isinstance(value, Estimate):
        value = value.value if value.n >= units else None
    return None if value is None or isinstance(value, str) or math.isnan(value) else value


def _cell(column: Column, value: Value) -> Cell:
    if not isinstance(value, Estimate):
        return Cell(column.text(value))
    deviation = f"± {column.text(value.deviation).lstrip('+')}" if value.deviation is not None else ""
    interval = f"[{column.text(value.low)}, {column.text(value.high)}]" if value.n > 1 else ""
    return Cell(column.text(value.value), deviation, interval)


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


MARKS: dict[str, Callable[[Any], str]] = {
    "": lambda row: "",
    "unverified": lambda row: UNVERIFIED if row.cost and row.cost.doubt else "",
    "tainted": lambda row: TAINTED if row.taints else "",
    "partial": lambda row: PARTIAL if row.lost_seeds[0] else "",
}
BEST = {"least": min, "most": max}


def of_quantity(quantity: Quantity, figure: Figure) -> Column:
    """A quantity's own column as the report shows it."""
    return Column(
        figure.key, figure.name, figure.detail,
        lambda row: figure.value(found) if (found := row.results(quantity.result)) else None,
        figure.unit, BEST[figure.best], MARKS[figure.mark], quantity.name, optional=True,
    )  # fmt: skip


def of_score(score: Score, distance_unit: str = "", **more: Any) -> Column:
    """A score's column; one that no row has is left out: records are older than it, or were made elsewhere."""
    return Column(
        score.name, score.title, distance_unit if score.unit == "distance" else "", lambda row: row.score(score.name),
        score.unit, min if score.less_is_better else max, MARKS["partial"], "dice", optional=score.name != "dice",
        alike=True, **more,
    )  # fmt: skip


def _of_network(fact: str, row: Row) -> Any:
    """A fact of the table of networks; None where it has none, or has multiply-adds of another size than 224x224."""
    network = NETWORKS.get(row.network)
    return None if fact == "macs" and network and network.macs_size != 224 else getattr(network, fact, None)


DICE = of_score(SCORES["dice"], ranged=True)
_aside = partial(Column, aside=True, optional=True)
MAIN = (
    *(of_quantity(quantity, figure) for quantity in QUANTITIES.values() for figure in quantity.columns),
    replace(DICE, optional=True),
    _aside("kind", "Kind", "", partial(_of_network, "kind"), "text"),
    _aside("published_parameters", "Published", "M", partial(_of_network, "parameters"), "parameters"),
    _aside("published_macs", "Published", "GMAC", partial(_of_network, "macs"), "multiply-adds"),
)
_of_pair = partial(Column, quantity="dice")
PAIRED = (
    _of_pair("dice", "Dice", "difference", lambda paired: paired.difference, "difference", ranged=True),
    _of_pair("units", "Units", "", lambda paired: paired.difference.n, "count"),
    _of_pair("won", "Won", "", lambda paired: paired.test.won, "share"),
    _of_pair("lost", "Lost", "", lambda paired: paired.test.lost, "share"),
    _of_pair("p", "p", "Wilcoxon", lambda paired: paired.test.p, "probability"),
    _of_pair("holm_p", "p", "Holm", lambda paired: paired.test.holm_p, "probability"),
)


def accuracy(section: Section) -> tuple[Column, ...]:
    """The columns of a section's accuracy in full, with one for each class where there are several."""
    labels = section.dice.labels if section.dice else ()
    alone = len(section.trained_on) == 1
    aside = partial(Column, base="score", best=max, quantity="dice", aside=True)
    return (
        DICE,
        *(aside(f"dice_{label}", "Dice", label, partial(_dice_of_class, place)) for place, label in enumerate(labels)),
        *(of_score(score, section.distance_unit) for score in SCORES.values() if score.name != "dice"),
        aside("dice_pooled", "Dice", "pooled", lambda row: row.pooled_dice),
        aside("training", "Training", "images/s", lambda row: row.train_images_per_s if alone else None,
              base="images/s", optional=True),
    )  # fmt: skip


def _dice_of_class(place: int, row: Row) -> float | None:
    return row.dice_by_class[place] if row.dice_by_class else None
