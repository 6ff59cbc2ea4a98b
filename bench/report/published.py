"""What papers print of the same networks on the same data set, beside what was measured here.

The figures are those of baselines/published.csv, each with the paper and the table that it was read in. Papers train
longer, with pre-training or on other splits, so none of them is a limit that is to be reached here.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from bench.quantities.scores import SCORES
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.columns import MAIN, Column, Table, of_score, table
from bench.report.text import prose
from bench.units import UNITS


@dataclass(frozen=True)
class Figure:
    """A published figure, in base units (shares, counts). `dataset` of a count is the size of the image."""

    network: str
    dataset: str
    metric: str
    value: float
    paper: str
    table: str


OURS = {column.key: replace(column, unit="", best=None, optional=False) for column in MAIN}
# By the file's name of a metric: what one of its units is in ours, and the column that shows ours.
METRICS = {
    "Dice": (0.01, OURS["dice"]),
    "IoU": (0.01, replace(of_score(SCORES["iou"]), best=None, optional=False)),
    "Params (M)": (1e6, OURS["parameters"]),
    "GMAC": (1e9, OURS["macs_torch"]),
}


@cache
def figures() -> tuple[Figure, ...]:
    """All published figures on file whose metric can be shown beside ours."""
    with files("baselines").joinpath("published.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] in METRICS]
    return tuple(Figure(**row | {"value": float(row["value"]) * METRICS[row["metric"]][0]}) for row in rows)  # type: ignore[arg-type]


def published_table(section: Section) -> Table | None:
    """A section's networks of which a paper prints an accuracy on its data set; None where there is none."""
    if not section.dice:
        return None
    here = {section.dice.dataset, f"{section.dice.size}x{section.dice.size}"}
    scored = [row for row in section.rows if row.dice and not row.weights_file]
    of = {row.network: [f for f in figures() if f.network == row.network and f.dataset in here] for row in scored}
    rows = [row for row in scored if any(METRICS[f.metric][1].base == "score" for f in of[row.network])]
    shown = [name for name in METRICS if any(f.metric == name for row in rows for f in of[row.network])]
    columns = [column for name in shown for column in (METRICS[name][1], _beside(name, of))]
    notes = [prose("published"), *(f"{row.title}: {_sources(of[row.network])}" for row in rows)]
    return table("published", "Beside published figures", columns, rows, *notes) if rows else None


def _beside(metric: str, of: Mapping[str, Sequence[Figure]]) -> Column:
    """The column of what papers print of a metric: one figure, or the least and the most."""
    ours = METRICS[metric][1]

    def printed(row: Row) -> str | None:
        values = [figure.value for figure in of[row.network] if figure.metric == metric]
        return " to ".join(dict.fromkeys(ours.text(end(values)) for end in (min, max))) if values else None

    return Column(f"published_{ours.key}", "Published", UNITS[ours.base].symbol or metric, printed, ours.base)


def _sources(found: Sequence[Figure]) -> str:
    """Each paper with its figures, in the order of the file."""
    by_paper: dict[str, list[str]] = defaultdict(list)
    for one in found:
        text = METRICS[one.metric][1].text(one.value)
        by_paper[f"{one.paper} ({one.table})"].append(f"{one.metric.split()[0]} {text}")
    return "; ".join(f"{', '.join(told)} in {paper}" for paper, told in by_paper.items())
