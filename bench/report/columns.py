"""What a table shows: literal lists of columns, which serve the terminal, Markdown and whatever comes next."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.networks import NETWORKS
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.units import (
    NONE,
    difference,
    giga,
    mebibytes,
    millions,
    milliseconds,
    p_value,
    percent,
    share,
    significant,
)
from bench.stats.estimate import Estimate

Text = Callable[[float | None], str]
# A count that is doubted, a time that was disturbed, a score from which a failed seed is missing: never the best.
UNVERIFIED, TAINTED, PARTIAL = "†", "‡", "§"


@dataclass(frozen=True)
class Column:
    """A name with its unit, what it shows of a row, how that is written, whether least or most is best.

    A narrow terminal does without the columns `aside`, and has intervals and deviations in columns `ranged` only. An
    `optional` column is left out where no row has anything in it. In a column `alike`, a figure that leaves out more
    units than another one is not called the best: a precision of 1 from the two images where something was predicted.
    """

    name: str
    unit: str
    value: Callable[[Any], float | Estimate | None]
    text: Text
    best: Callable[..., float] | None = None
    mark: Callable[[Any], str] = lambda row: ""
    aside: bool = False
    ranged: bool = False
    optional: bool = False
    alike: bool = False

    @property
    def header(self) -> str:
        """Name and unit in one line."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Cell:
    """What a cell says: the figure, how it moves with the seed, its interval, whether it is the best, or marked.

    `second` is the best of what is left when the best, and all that equal it, are taken away.
    """

    figure: str
    deviation: str = ""
    interval: str = ""
    best: bool = False
    mark: str = ""
    second: bool = False

    @property
    def text(self) -> str:
        """Figure, mark, deviation and interval in one line."""
        return " ".join(filter(None, (self.figure + self.mark, self.deviation, self.interval)))


def _unverified(row: Row) -> str:
    return UNVERIFIED if row.cost and row.cost.doubt else ""


def tainted(row: Any) -> str:
    """The mark of a row whose times were disturbed."""
    return TAINTED if row.taints else ""


def _partial(row: Row) -> str:
    return PARTIAL if row.lost_seeds[0] and row.dice else ""


KINDS = ("cnn", "transformer", "hybrid")


def _kind(row: Row) -> float | None:
    """The place of a network's kind among KINDS."""
    return KINDS.index(NETWORKS[row.network].kind) if row.network in NETWORKS else None


def _kind_text(place: float | None) -> str:
    return NONE if place is None else KINDS[int(place)]


def _published(row: Row, fact: str) -> float | None:
    """What was published for images of 224x224."""
    network = NETWORKS.get(row.network)
    return None if network is None or (fact == "macs" and network.macs_size != 224) else getattr(network, fact)


MAIN = (
    Column("Params", "M", lambda row: row.cost.parameters if row.cost else None, millions, min, optional=True),
    Column(
        "GMAC", "fvcore", lambda row: row.cost.fvcore.macs if row.cost else None, giga, min, _unverified, optional=True
    ),
    Column(
        "GMAC", "torch", lambda row: row.cost.torch.macs if row.cost else None, giga, min, _unverified, optional=True
    ),
    Column("Latency", "ms", lambda row: row.latency_s, milliseconds, min, tainted, optional=True),
    Column("Memory", "MiB", lambda row: row.memory.peak_bytes if row.memory else None, mebibytes, min, optional=True),
    Column("Dice", "", lambda row: row.dice, share, max, _partial, ranged=True, optional=True, alike=True),
    Column("Kind", "", _kind, _kind_text, aside=True, optional=True),
    Column("Published", "M", lambda row: _published(row, "parameters"), millions, aside=True, optional=True),
    Column("Published", "GMAC", lambda row: _published(row, "macs"), giga, aside=True, optional=True),
)
PAIRED = (
    Column("Dice", "difference", lambda paired: paired.difference, difference, ranged=True),
    Column("Units", "", lambda paired: paired.difference.n, lambda value: significant(value, 1)),
    Column("Won", "", lambda paired: paired.won, percent),
    Column("Lost", "", lambda paired: paired.lost, percent),
    Column("p", "Wilcoxon", lambda paired: paired.p, p_value),
    Column("p", "Holm", lambda paired: paired.holm_p, p_value),
)


def accuracy(section: Section) -> tuple[Column, ...]:
    """The columns of how accurate a section's rows are, and one a class where there are several."""
    labels = section.dice.labels if section.dice else ()
    alone = len(section.trained_on) == 1

    def speed(row: Row) -> float | None:
        return row.train_images_per_s if alone else None

    return (
        Column("Dice", "", lambda row: row.dice, share, max, _partial, ranged=True, alike=True),
        *(_class_column(number, label) for number, label in enumerate(labels)),
        Column("IoU", "", lambda row: row.iou, share, max, _partial, alike=True),
        Column(
            "HD95", section.distance_unit, lambda row: row.hd95, significant, min, _partial, optional=True, alike=True
        ),
        Column("Sensitivity", "", lambda row: row.sensitivity, share, max, _partial, alike=True),
        Column("Precision", "", lambda row: row.precision, share, max, _partial, alike=True),
        Column("Dice", "pooled", lambda row: row.pooled_dice, share, max, aside=True),
        Column("Training", "images/s", speed, significant, max, aside=True, optional=True),
    )


def _class_column(number: int, label: str) -> Column:
    def value(row: Row) -> float | None:
        return row.dice_by_class[number] if row.dice_by_class else None

    return Column("Dice", label, value, share, max, aside=True)


def worth_showing(columns: Sequence[Column], rows: Sequence[Any]) -> tuple[Column, ...]:
    """The columns less the optional ones in which no row has anything."""
    return tuple(c for c in columns if not c.optional or any(c.value(row) is not None for row in rows))


def cells(columns: Sequence[Column], rows: Sequence[Any]) -> list[tuple[Cell, ...]]:
    """For each row its cells, in the order of the columns."""
    by_column = [_column(column, rows) for column in columns]
    return [tuple(column[place] for column in by_column) for place in range(len(rows))]


def _column(column: Column, rows: Sequence[Any]) -> list[Cell]:
    values = [column.value(row) for row in rows]
    plain = [value.value if isinstance(value, Estimate) else value for value in values]
    marks = [column.mark(row) for row in rows]
    most = max((value.n for value in values if isinstance(value, Estimate)), default=0) if column.alike else 0
    known = [
        figure
        for value, figure, mark in zip(values, plain, marks, strict=True)
        if figure is not None and not math.isnan(figure) and not mark and getattr(value, "n", 0) >= most
    ]
    best = column.best(known) if column.best and len(known) > 1 else None
    others = [figure for figure in known if figure != best]
    second = column.best(others) if column.best and len(others) > 1 else None
    return [
        _cell(column, value, "" if figure is None else mark, _is(figure, best, mark), _is(figure, second, mark))
        for value, figure, mark in zip(values, plain, marks, strict=True)
    ]


def _is(figure: float | None, rank: float | None, mark: str) -> bool:
    """Whether a figure has this rank; a marked one has none."""
    return figure is not None and figure == rank and not mark


def _cell(column: Column, value: float | Estimate | None, mark: str, best: bool, second: bool) -> Cell:
    if not isinstance(value, Estimate):
        return Cell(column.text(value), best=best, mark=mark, second=second)
    deviation = f"± {column.text(value.deviation).lstrip('+')}" if value.deviation is not None else ""
    interval = f"[{column.text(value.low)}, {column.text(value.high)}]" if value.n > 1 else ""
    return Cell(column.text(value.value), deviation, interval, best, mark, second)
