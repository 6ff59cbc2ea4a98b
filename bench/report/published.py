"""What papers print of the same networks on the same data set, beside what was measured here.

The figures are those of baselines/published.csv, each with the paper and the table that it was read in. Papers train
longer, with pre-training or on other splits, so none of them is a limit that is to be reached here.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.columns import Cell, Column, cells
from bench.report.tables import Table
from bench.report.units import NONE, giga, millions, share


@dataclass(frozen=True)
class Figure:
    """A published figure, in base units (shares, counts). `dataset` of a count is the size of the image."""

    network: str
    dataset: str
    metric: str
    value: float
    paper: str
    table: str


@dataclass(frozen=True)
class Metric:
    """A metric as the file calls it: what one of its units is in ours, and the column that shows ours."""

    unit: float
    column: Column


def _column(name: str, value: Callable[[Any], Any], text: Callable[[float | None], str]) -> Column:
    return Column(name, "", value, text)


METRICS = {
    "Dice": Metric(0.01, _column("Dice", lambda row: row.dice, share)),
    "IoU": Metric(0.01, _column("IoU", lambda row: row.iou, share)),
    "Params (M)": Metric(1e6, _column("Params", lambda row: row.cost and row.cost.parameters, millions)),
    "GMAC": Metric(1e9, _column("GMAC", lambda row: row.cost and row.cost.torch.macs, giga)),
}
UNITS = {"Params (M)": "M", "GMAC": "GMAC"}


@cache
def figures() -> tuple[Figure, ...]:
    """All published figures on file whose metric can be shown beside ours."""
    with files("baselines").joinpath("published.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] in METRICS]
    return tuple(
        Figure(
            row["network"], row["dataset"], row["metric"], float(row["value"]) * METRICS[row["metric"]].unit,
            row["paper"], row["table"],
        )
        for row in rows
    )  # fmt: skip


def published_table(section: Section) -> Table | None:
    """A section's networks of which a paper prints an accuracy on its data set; None where there is none."""
    if not section.dice:
        return None
    here = {section.dice.dataset, f"{section.dice.size}x{section.dice.size}"}
    of = {
        row.network: [f for f in figures() if f.network == row.network and f.dataset in here]
        for row in section.rows if row.dice and not row.weights_file
    }  # fmt: skip
    rows = [row for row in section.rows if any(f.metric not in UNITS for f in of.get(row.network, ()))]
    shown = [name for name in METRICS if any(f.metric == name for row in rows for f in of[row.network])]
    if not rows:
        return None
    columns = [column for name in shown for column in (METRICS[name].column, _beside(name))]
    lines = [(row.title, _line(row, of[row.network], shown)) for row in rows]
    notes = [f"{row.title}: {_sources(of[row.network])}" for row in rows]
    return Table("Beside published figures", tuple(columns), tuple(lines), (CAUTION, *notes))


CAUTION = (
    "published: the least and the most that the papers below print, under their own training, split and pre-training; "
    "what differs from the training here stands above"
)


def _beside(metric: str) -> Column:
    return Column("Published", UNITS.get(metric, metric), lambda row: None, METRICS[metric].column.text)


def _line(row: Row, found: Sequence[Figure], shown: Sequence[str]) -> tuple[Cell, ...]:
    measured = cells([METRICS[name].column for name in shown], [row])[0]
    beside = [Cell(_range([f.value for f in found if f.metric == name], name)) for name in shown]
    return tuple(cell for pair in zip(measured, beside, strict=True) for cell in pair)


def _range(values: list[float], metric: str) -> str:
    text = METRICS[metric].column.text
    if not values:
        return NONE
    least, most = text(min(values)), text(max(values))
    return least if least == most else f"{least} to {most}"


def _sources(found: Sequence[Figure]) -> str:
    """Each paper with its figures, in the order of the file."""
    by_paper: dict[str, list[str]] = {}
    for one in found:
        text = METRICS[one.metric].column.text(one.value)
        by_paper.setdefault(f"{one.paper} ({one.table})", []).append(f"{one.metric.split()[0]} {text}")
    return "; ".join(f"{', '.join(figures)} in {paper}" for paper, figures in by_paper.items())
