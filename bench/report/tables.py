"""The tables of a section: which rows and columns each has, and the notes a reader needs below it.

Measured figures are shown next to those that papers print for the same networks and data set. Those figures are in
baselines/published.csv, each with the paper and the table that it was read in. Papers train longer, with pre-training
or on other splits, so none of their figures is a limit to reach here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from bench.quantities.scores import SCORES
from bench.read.rows import Row
from bench.read.sections import Section
from bench.read.versions import origins
from bench.report.columns import (
    MAIN,
    RANKS,
    SPREAD,
    Column,
    Ranked,
    Table,
    accuracy,
    main,
    of_score,
    pairs,
    ranks_by,
    surfaces,
    table,
)
from bench.report.text import MOST_NAMED, joined, prose, remarks
from bench.stats.paired import SIGNIFICANCE, Of
from bench.stats.ranking import Rank
from bench.units import UNITS

OURS = {column.key: replace(column, unit="", best=None, optional=False) for column in MAIN}
# By the name of a metric in published.csv: what one of its units is in ours, and the column that shows ours.
METRICS = {
    "Dice": (0.01, OURS["dice"]),
    "IoU": (0.01, replace(of_score(SCORES["iou"]), optional=False)),
    "Params (M)": (1e6, OURS["parameters"]),
    "GMAC": (1e9, OURS["macs_torch"]),
}


def tables(section: Section) -> list[Table]:
    """Cost beside accuracy; then, where something was scored, accuracy in full and every network against one."""
    found, at = [replace(main_table(section), notes=tuple(notes(section)))], _at(section)
    scored = [row for row in section.rows if row.dice]
    if scored:
        told = remarks("accuracy_notes", section, SCORES.values())
        found.append(table("accuracy", f"Accuracy in full{at}", accuracy(section), scored, *told))
    rows = [row for row in section.rows if any(row.score(s.name) for s in SCORES.values() if not s.counts)]
    if rows:  # predictions made elsewhere may have distances and no Dice
        told = remarks("surface_notes", section, SCORES.values())
        found.append(table("surfaces", f"Outlines and failures{at}", surfaces(section), rows, *told))
    if scored:
        found.append(table("spread", f"Spread of Dice{at}", SPREAD, scored, prose("spread", section)))
    if section.reference and section.paired:
        caption, told = f"Paired with {section.reference.title}{at}", remarks("paired", section, SIGNIFICANCE)
        found.append(table("paired", caption, pairs(section), section.paired, *told))
    if section.ranking and (ranks := section.ranking.ranks()):
        caption = f"Ranks by Dice {whose(section.ranking.of)}{at}"
        found.append(table("ranks", caption, RANKS, ranked(ranks), prose("ranks", section)))
    if section.ranks_by.keys() - {"dice"}:
        first = next(iter(section.ranks_by.values()))
        note = prose("ranks_by", section)
        found.append(table("ranks-by", f"Ranks by each score{at}", ranks_by(section), ranked(first), note))
    return found


def _at(section: Section) -> str:
    """The size of the images that were scored, if cost was measured at another."""
    size = section.dice.size if section.dice else section.size
    return "" if size == section.size else f", at {size}x{size}"


def main_table(section: Section) -> Table:
    """The first table, cost beside accuracy, without its notes."""
    return table("main", "Accuracy and cost", main(section), section.rows)


def ranked(ranks: Mapping[str, Rank]) -> list[Ranked]:
    """Networks by rank, the best first."""
    return sorted((Ranked(*one) for one in ranks.items()), key=lambda one: (one.rank.rank, -one.rank.best, one.title))


def whose(statement: Of) -> str:
    """Of what a statement is, in words."""
    return "of the networks" if statement == "the networks" else "of these weights"


def notes(section: Section) -> list[str]:
    """Conditions, conventions, doubts, failures and origins: what a reader must know beside the figures."""
    tuning = remarks("tuning", section) if section.tuned and section.dice and section.dice.train else []
    return [*remarks("section_notes", section, _seeds(section)), *tuning, *origins(section.rows)]


def _seeds(section: Section) -> str:
    """The seeds of all networks, then the networks that were trained with more; their folds likewise."""
    scored = [row for row in section.rows if row.dice and row.seeds]
    seeds = _numbers("seed", {row.title: row.seeds for row in scored})
    return joined(seeds, _numbers("fold", {row.title: row.folds for row in scored}), by="; ")


def _numbers(what: str, numbers: Mapping[str, Set[int]]) -> str:
    """The numbers that all titles have, then those that some have more: "seeds 0, 1, U-Net also with seed 2"."""
    common = set.intersection(*map(set, numbers.values())) if numbers else set()
    more_of: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for title, own in numbers.items():
        more_of[tuple(sorted(own - common))].append(title)
    more = [(f"{_all_of(titles)} also with ", own) for own, titles in sorted(more_of.items())]
    every = [("", sorted(common)), *more]
    return ", ".join(
        f"{who}{what}{'s' if len(own) > 1 else ''} {', '.join(map(str, own))}" for who, own in every if own
    )


def _all_of(titles: Sequence[str]) -> str:
    others = len(titles) - MOST_NAMED
    return " and ".join(titles if others < 1 else [*titles[:MOST_NAMED], f"{others} others"])


# ---- published figures -----------------------------------------------------------------------------------------------


@cache
def published() -> tuple[Any, ...]:
    """All published figures whose metric can be shown beside ours, in base units (shares, counts).

    Each has `network`, `dataset`, `metric`, `value`, `paper` and `table`. The `dataset` of a count is the size of the
    image, such as "224x224".
    """
    import pandas as pd

    with files("baselines").joinpath("published.csv").open() as file:
        found = pd.read_csv(file, float_precision="round_trip").query("metric in @METRICS")
    scale = {name: scale for name, (scale, _) in METRICS.items()}
    return tuple(found.assign(value=found.value * found.metric.map(scale)).itertuples(index=False))


def published_table(section: Section) -> Table | None:
    """A section's networks of which a paper prints an accuracy on its data set; None where there is none."""
    if not section.dice or section.home:
        return None
    here = {section.dice.dataset, f"{section.size}x{section.size}"}
    scored = [row for row in section.rows if row.dice and row.seeds]
    of = {row.network: [f for f in published() if f.network == row.network and f.dataset in here] for row in scored}
    rows = [row for row in scored if any(METRICS[f.metric][1].base == "score" for f in of[row.network])]
    shown = [name for name in METRICS if any(f.metric == name for row in rows for f in of[row.network])]
    columns = [column for name in shown for column in (METRICS[name][1], _beside(name, of))]
    told = [prose("published"), *(f"{row.title}: {_sources(of[row.network])}" for row in rows)]
    return table("published", "Beside published figures", columns, rows, *told) if rows else None


def _beside(metric: str, of: Mapping[str, Sequence[Any]]) -> Column:
    """The column of what papers print of a metric: one figure, or the least and the most."""
    ours = METRICS[metric][1]

    def printed(row: Row) -> str | None:
        values = [figure.value for figure in of[row.network] if figure.metric == metric]
        return " to ".join(dict.fromkeys(ours.text(end(values)) for end in (min, max))) if values else None

    return Column(f"published_{ours.key}", "Published", UNITS[ours.base].symbol or metric, printed, ours.base)


def _sources(found: Iterable[Any]) -> str:
    """Each paper with its figures, in the order of the file."""
    by_paper: dict[str, list[str]] = defaultdict(list)
    for one in found:
        text = METRICS[one.metric][1].text(one.value)
        by_paper[f"{one.paper} ({one.table})"].append(f"{one.metric.split()[0]} {text}")
    return "; ".join(f"{', '.join(told)} in {paper}" for paper, told in by_paper.items())
