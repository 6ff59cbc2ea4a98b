"""Tables: what each column shows of a row, how it is written, and which figure is the best."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

from bench.networks import NETWORKS
from bench.quantities import QUANTITIES, Quantity
from bench.quantities.base import Column as Figure
from bench.quantities.scores import SCORES, Score
from bench.read.paired import Paired
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.text import joined
from bench.stats.estimate import Estimate
from bench.stats.paired import Difference
from bench.stats.ranking import Rank
from bench.units import UNITS

Value = float | str | Estimate | None
# Marks of an unverified count, of a disturbed time, of a score without a failed seed, and of the score of the network
# that computes the same function: never the best.
NOTHING = SimpleNamespace(holm_p=None, false_claim=None)
UNVERIFIED, TAINTED, PARTIAL, SHARED = "†", "‡", "§", "¶"


@dataclass(frozen=True)
class Column:
    """A column by its `key`: its header's name and unit, its value of a row, and the base unit that value is in.

    `best` is min or max where one figure is the best; instead, `leads` may tell for each row whether it is one of the
    best. `mark` gives a row's mark; a marked figure is never the best.
    `quantity` names the quantity whose records are behind the figures; a published figure has none. A narrow terminal
    leaves out columns `aside`, and shows intervals and deviations only in columns `ranged`. An `optional` column is
    left out where no row has a value.
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
    leads: Callable[[Any], bool] = lambda row: False

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

    The second is the best of what is left without the best and all that equal it. Of scores there is no second.
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
    ranked = [None if mark else number(value) for value, mark in zip(values, marks, strict=True)]
    known = [figure for figure in ranked if figure is not None]
    best = column.best(known) if column.best and len(known) > 1 else math.nan
    others = [figure for figure in known if figure != best]
    second = column.best(others) if column.best and len(others) > 1 else math.nan
    leads = [figure is not None and column.leads(row) for figure, row in zip(ranked, rows, strict=True)]
    found = zip(values, marks, ranked, leads, strict=True)
    return [
        replace(_cell(column, value), mark=m, best=leads or f == best, second=f == second)
        for value, m, f, leads in found
    ]


def number(value: Value) -> float | None:
    """A value as a plain number; None where it has none."""
    if isinstance(value, Estimate):
        value = value.value
    return None if value is None or isinstance(value, str) or math.isnan(value) else value


def _cell(column: Column, value: Value) -> Cell:
    if not isinstance(value, Estimate):
        return Cell(column.text(value))
    deviation = f"± {column.text(value.deviation).lstrip('+')}" if value.deviation is not None else ""
    bounded = value.n > 1 and value.has_interval
    interval = f"[{column.text(value.low)}, {column.text(value.high)}]" if bounded else ""
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
    "pretended": lambda row: TAINTED if row.pretended else "",
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
    """A score's column; one that no row has is left out: records are older than it, or were made elsewhere.

    No figure is the best by its value alone: a higher score may be chance.
    """
    return Column(
        score.name, score.title, distance_unit if score.unit == "distance" else "", lambda row: row.score(score.name),
        score.unit, mark=MARKS["partial"], quantity="dice", optional=score.name != "dice", **more,
    )  # fmt: skip


def of_dice(section: Section) -> Column:
    """The column of Dice, in which all networks lead that nothing shows to be worse than the one with the highest.

    Its header tells the size of the images, if the other columns are of another size.
    """
    unbeaten = {id(row) for row in section.unbeaten} if section.dice else set()
    size = section.dice.size if section.dice else section.size
    unit = "" if size == section.size else f"{size}x{size}"
    return replace(DICE, unit=unit, leads=lambda row: id(row) in unbeaten)


def main(section: Section) -> list[Column]:
    """The columns of cost beside accuracy."""
    return [replace(of_dice(section), optional=True) if column.key == "dice" else column for column in MAIN]


def _of_network(fact: str, row: Row) -> Any:
    """A fact of the table of networks; None where it has none, or has multiply-adds of another size than 224x224."""
    network = NETWORKS.get(row.network)
    return None if fact == "macs" and network and network.macs_size != 224 else getattr(network, fact, None)


def _interval_of(which: Literal["trainings", "networks"], paired: Paired) -> Estimate | None:
    """The difference of these trainings or of the networks, with its interval."""
    found: Difference | None = getattr(paired, which)
    return Estimate(found.value, found.low, found.high, found.patients) if found else None


def _decidable(paired: Paired) -> Any:
    """The statement; without an interval it has no p either."""
    return paired.statement if paired.statement.has_interval else NOTHING


def _verdict(paired: Paired) -> str:
    whose = {"these trainings": "these weights", "the networks": "networks"}[paired.statement.of]
    return paired.verdict if paired.verdict == "undecided" else f"{paired.verdict} ({whose})"


def _quantile(place: int, row: Row) -> float | None:
    found = row.quantiles()
    return found[place] if found else None


def _third(place: int, row: Row) -> float | None:
    return row.dice_by_size[place] if row.dice_by_size else None


def _dice(row: Row) -> Estimate | None:
    """Dice of the row, or of the row of the network that computes the same function."""
    return row.twin.dice if row.twin else row.dice


DICE = replace(
    of_score(SCORES["dice"], ranged=True), value=_dice, mark=lambda row: SHARED if row.twin else MARKS["partial"](row)
)
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
    _of_pair("dice", "Dice", "these weights", partial(_interval_of, "trainings"), "difference", ranged=True),
    _of_pair("networks", "Dice", "the networks", partial(_interval_of, "networks"), "difference", ranged=True,
             optional=True),
    _of_pair("patients", "Patients", "", lambda paired: paired.statement.patients, "count"),
    _of_pair("trainings", "Trainings", "", lambda paired: "{} and {}".format(*paired.statement.trainings), "text"),
    _of_pair("won", "Won", "", lambda paired: paired.statement.won, "share"),
    _of_pair("lost", "Lost", "", lambda paired: paired.statement.lost, "share"),
    _of_pair("holm_p", "p", "Holm", lambda paired: _decidable(paired).holm_p, "probability", optional=True),
    _of_pair("false_claim", "P", "false claim", lambda paired: _decidable(paired).false_claim, "probability",
             optional=True),
    _of_pair("verdict", "Verdict", "", _verdict, "text"),
)  # fmt: skip
RANKS = (
    _of_pair("rank", "Rank", "", lambda ranked: f"{ranked.rank.rank:g}", "text"),
    _of_pair("interval", "95 %", "", lambda ranked: f"{ranked.rank.low:g} to {ranked.rank.high:g}", "text"),
    _of_pair("best", "P(best)", "", lambda ranked: ranked.rank.best, "probability"),
)
SPREAD = (
    *(_of_pair(f"dice_p{percent}", "Dice", f"{percent} %", partial(_quantile, place), "score")
      for place, percent in enumerate((5, 25, 50))),
    *(_of_pair(f"dice_{size}", "Dice", f"{size} targets", partial(_third, place), "score", optional=True)
      for place, size in enumerate(("small", "middle", "large"))),
)  # fmt: skip


class Ranked(NamedTuple):
    """A network with its rank."""

    title: str
    rank: Rank


def ranks_by(section: Section) -> list[Column]:
    """A column for each score: a network's rank by it, with its interval."""

    def of(name: str, ranked: Ranked) -> str | None:
        found = section.ranks_by[name].get(ranked.title)
        return f"{found.rank:g} ({found.low:g} to {found.high:g})" if found else None

    return [_of_pair(name, SCORES[name].title, "", partial(of, name), "text") for name in section.ranks_by]


def accuracy(section: Section) -> tuple[Column, ...]:
    """The columns of a section's accuracy in full, with one for each class where there are several."""
    labels = section.dice.labels if section.dice else ()
    alone = len(section.trained_on) == 1
    aside = partial(Column, base="score", quantity="dice", aside=True)
    return (
        of_dice(section),
        *(aside(f"dice_{label}", "Dice", label, partial(_dice_of_class, place)) for place, label in enumerate(labels)),
        *(of_score(score) for score in SCORES.values() if score.counts and score.name != "dice"),
        aside("dice_pooled", "Dice", "pooled", lambda row: row.pooled_dice),
        aside("training", "Training", "images/s", lambda row: row.train_images_per_s if alone else None,
              base="images/s", best=max, mark=MARKS["pretended"], optional=True),
    )  # fmt: skip


def pairs(section: Section) -> list[Column]:
    """The columns of the paired table; where no patients are named, images or volumes are counted."""
    counted = "Patients" if section.patients == "named" else section.protocol.units.capitalize()
    return [replace(column, name=counted) if column.key == "patients" else column for column in PAIRED]


def surfaces(section: Section) -> tuple[Column, ...]:
    """The columns of distances between outlines, and of shares of failures."""
    return tuple(of_score(score, section.distance_unit) for score in SCORES.values() if not score.counts)


def _dice_of_class(place: int, row: Row) -> float | None:
    return row.dice_by_class[place] if row.dice_by_class else None
