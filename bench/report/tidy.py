"""The rows of all sections for people's own plots, unrounded, in base units, with the ids of their records."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import plain
from bench.files import write_whole
from bench.quantities.scores import SCORES
from bench.read.across import transfers
from bench.read.rows import Row
from bench.read.sections import Section, named
from bench.read.trained import trained
from bench.report.columns import MAIN
from bench.report.document import Document
from bench.report.text import cell, everywhere

SUFFIXES = {"seconds": "_s", "bytes": "_bytes", "joules": "_j"}


def write_csv(document: Document, folder: Path) -> list[Path]:
    """Write table.csv, paired.csv where networks can be paired, and foreign.csv where weights met other data.

    Figures have ten digits, because further ones depend on the number of threads.
    """
    return [write_whole(folder / f"{name}.csv", _csv(rows)) for name, rows in _tables(document, cache(cell))]


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [*dict.fromkeys(name for row in rows for name in row)]
    writer.writerow(names)
    writer.writerows([_number(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _number(value: Any) -> Any:
    """A float with ten digits; what is not defined is an empty cell."""
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.10g}"


def write_parquet(document: Document, folder: Path) -> list[Path]:
    """Write table.parquet, and the others as `write_csv` does."""
    import pandas as pd

    return [
        write_whole(folder / f"{name}.parquet", pd.DataFrame(rows).to_parquet(index=False))
        for name, rows in _tables(document, cache(plain))
    ]


def _tables(document: Document, write: Callable[[str], str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The tables by name, those that have a row, with each text as `write` gives it."""
    found = document.sections
    for name, rows in (("table", tidy_rows(found)), ("paired", paired_rows(found)), ("foreign", foreign_rows(found))):
        if rows:
            yield name, [everywhere(write, row) for row in rows]


def tidy_rows(found: Sequence[Section]) -> list[dict[str, Any]]:
    """A row for each network of each section; with both data sets where some weights were tested on another one."""
    foreign = any(section.home for section in found)
    return [
        _tidy(name, section, row) | (_data_of(section) if foreign else {})
        for name, section in named(found).items() for row in section.rows
    ]  # fmt: skip


def _data_of(section: Section) -> dict[str, Any]:
    trained = section.dice and section.dice.train
    return {"dataset": section.tested_on, "trained_on": (section.home or section.tested_on) if trained else ""}


def paired_rows(found: Sequence[Section]) -> list[dict[str, Any]]:
    """A row for each network that was compared with its section's reference on the same patients."""
    return [
        {
            "section": name, "network": one.row.network, "reference": one.reference.network,
            "of": one.statement.of, "patients": one.statement.patients,
            "trainings": one.statement.trainings[0], "reference_trainings": one.statement.trainings[1],
            **_parts("dice_difference", "", one.difference), "won": one.statement.won, "lost": one.statement.lost,
            "p": one.statement.p, "p_holm": one.statement.holm_p, "p_false_claim": one.statement.false_claim,
            "verdict": one.verdict, "reference_chosen_after": one.chosen_after,
        }
        for name, section in named(found).items()
        for one in section.paired
    ]  # fmt: skip


def foreign_rows(found: Sequence[Section]) -> list[dict[str, Any]]:
    """A row for each network whose weights were tested on a data set that they were not trained on."""
    called = {id(section): name for name, section in named(found).items()}
    return [
        {
            "section": called[id(one.section)], "network": line.row.network, "trained_on": one.trained_on,
            "tested_on": one.tested_on, "copies": line.row.copies,
            **_parts("dice_home", "", line.home), **_parts("dice", "", line.there), **_parts("dice_own", "", line.own),
            **_parts("dice_difference", "", line.difference), "of": line.difference and line.difference.of,
            "patients": line.difference and line.difference.patients,
            "p": line.difference and line.difference.p, "p_holm": line.difference and line.difference.holm_p,
            "verdict": line.difference and line.verdict,
        }
        for one in transfers(found) for line in one.lines
    ]  # fmt: skip


def _tidy(name: str, section: Section, row: Row) -> dict[str, Any]:
    cost, dice, scored = row.cost, row.dice, section.dice
    own = trained(row.title, row.records)
    train = own.spec if own else scored and scored.train
    facts: dict[str, Any] = {
        "section": name, "machine": section.machine.title, "network": row.network, "weights": row.weights_file,
    }  # fmt: skip
    for column in (column for column in MAIN if column.quantity != "dice" and column.quantity):
        facts |= _parts(column.key, SUFFIXES.get(column.base, ""), column.value(row), column.quantity == "latency")
    facts |= {
        "macs_doubt": cost and cost.doubt, "latency_taints": "; ".join(row.taints),
        "processes": row.latency_s and row.latency_s.n, "protocol": scored and section.protocol.name,
    }  # fmt: skip
    for score in SCORES.values():
        facts |= _parts(score.name, f"_{section.distance_unit}" * (score.unit == "distance"), row.score(score.name))
    return facts | {
        **_parts("dice_pooled", "", row.pooled_dice), "dice_deviation": dice and dice.deviation,
        "seeds": dice and dice.seeds, "units": scored and section.protocol.units, "n": dice and dice.n,
        "steps": train and train.steps, "train_precision": train and train.precision,
        "train_images_per_s": row.train_images_per_s, "failures": "; ".join(row.failures),
        "records": " ".join(record.id for record in row.records),
        **({"notes": "; ".join(row.notes)} if row.notes else {}),
    }  # fmt: skip


def _parts(name: str, unit: str, value: Any, ranged: bool = True) -> dict[str, float | None]:
    """A figure by its name and unit, an estimate with the ends of its interval."""
    if not ranged:
        return {f"{name}{unit}": value}
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}{unit}": _finite(getattr(value, field, None)) for end, field in ends.items()}


def _finite(value: float | None) -> float | None:
    """A number; None for the bound of an interval that is not known."""
    return None if value is None or math.isinf(value) else value
