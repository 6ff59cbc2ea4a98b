"""Picks the most accurate network within given limits, from records alone."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from bench.errors import UserError, unknown
from bench.quantities import QUANTITIES, Column, Quantity
from bench.read.rows import Row
from bench.read.sections import Section
from bench.stats.estimate import Estimate


@dataclass(frozen=True)
class Limit:
    """A figure that can be limited: its unit, the function that reads it from a row, and the side of the limit."""

    name: str
    unit: str
    value: Callable[[Row], float | None]
    upper: bool = True


def _of_column(quantity: Quantity, column: Column) -> Limit:
    def value(row: Row) -> float | None:
        if row.pretended and column.mark in ("tainted", "pretended"):
            return None  # a time or memory that no GPU had
        results = row.results(quantity.result)
        return number(column.value(results)) if results else None

    return Limit(column.limit, column.unit, value, column.best == "least")


_BY_COLUMN = [_of_column(q, column) for q in QUANTITIES.values() for column in q.columns if column.limit]
_BY_DICE = Limit("dice", "score", lambda row: number(row.dice), upper=False)
LIMITS = {limit.name: limit for limit in (*_BY_COLUMN, _BY_DICE)}


@dataclass(frozen=True)
class Broken:
    """A limit that a row does not meet; `value` is None if it was not measured."""

    limit: Limit
    bound: float
    value: float | None


@dataclass(frozen=True)
class Candidate:
    """A row and the limits it breaks. `rivals` also meet all limits, and nothing shows them to be worse."""

    row: Row
    broken: tuple[Broken, ...]
    rivals: tuple[Row, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it meets every limit."""
        return not self.broken


def choose_section(found: Sequence[Section], dataset: str, device: str, machine: str) -> Section:
    """Choose the section for a data set and device, preferably of this machine.

    Weights that were trained on another data set count only where that is named too: "ddti, trained on isic2017".
    Raises UserError if there is none, or if several data sets were scored and none is named.
    """
    if not found:
        raise UserError("these records are of no network; measure some with `bench run`, or name another folder")
    foreign = {section.dataset for section in found if section.home}
    datasets = sorted({section.dataset for section in found if section.dice} - foreign)
    if dataset in foreign:
        datasets = [dataset]
    elif foreign and not datasets and not dataset:
        raise UserError(f"these are scores on data that was not trained on; give --dataset {_quoted(foreign)}")
    elif dataset:
        dataset = _named(dataset, datasets or sorted(foreign))
    if not dataset and len(datasets) > 1:
        raise UserError(f"these records are of several data sets; give --dataset with one of {', '.join(datasets)}")
    fitting = [s for s in found if not datasets or (s.dice and s.dataset == (dataset or datasets[0]))]
    timed = [s for s in fitting if device and s.latency and s.latency.device == device]
    if device and not timed:
        raise UserError(f"nothing in these records was timed on {device}; time it with `bench run --measure latency`")
    here = [s for s in timed or fitting if s.machine.fingerprint == machine]
    return (here or timed or fitting)[0]


def _quoted(datasets: Iterable[str]) -> str:
    return " or ".join(map(quote, sorted(datasets)))


def _named(dataset: str, datasets: Sequence[str]) -> str:
    """The data set that a user names: own folders by their name, their digest, or both: "folder/NAME"."""
    wanted = set(re.split(r"[ ()/]+", dataset)) - {""}
    fitting = [name for name in datasets if wanted and wanted <= set(re.split(r"[ ()/]+", name))]
    if len(fitting) > 1:
        raise UserError(f"--dataset {dataset} names several of these records: {', '.join(fitting)}; give one of them")
    if not fitting:
        raise unknown("data set in these records", dataset, datasets)
    return fitting[0]


def pick(section: Section, bounds: Mapping[str, float]) -> list[Candidate]:
    """Rank the rows: those that meet the limits first, then by Dice, then by latency, then by parameters.

    A network is left out where another computes the same function, for that one is faster.
    """
    candidates = [Candidate(row, tuple(_broken(row, bounds))) for row in section.rows if not row.twin]
    ranked = sorted(candidates, key=lambda candidate: (not candidate.fits, *_rank(candidate.row)))
    first = ranked[0]
    if not (first.fits and first.row.dice):
        return ranked
    fitting = {id(candidate.row) for candidate in ranked if candidate.fits}
    close = (one.row for one in section.paired_with(first.row) if not one.behind and id(one.row) in fitting)
    return [replace(first, rivals=tuple(close)), *ranked[1:]]


def _broken(row: Row, bounds: Mapping[str, float]) -> Iterator[Broken]:
    for limit, bound in ((LIMITS[name], bound) for name, bound in bounds.items()):
        value = limit.value(row)
        if value is None or (value > bound if limit.upper else value < bound):
            yield Broken(limit, bound, value)


def _rank(row: Row) -> tuple[Any, ...]:
    dice, latency, parameters = (LIMITS[name].value(row) for name in ("dice", "latency", "parameters"))
    last = float("inf")
    return -dice if dice is not None else last, latency or last, parameters or last


def number(value: float | Estimate | None) -> float | None:
    """The figure itself."""
    return value.value if isinstance(value, Estimate) else value
