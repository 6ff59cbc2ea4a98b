"""The display of a profile in a terminal: the tree of modules with their costs, and the slowest operators."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bench.cli.terminal import Part, Screen, say, table
from bench.quantities import ModuleCost, OperatorTime, Profile, ProfileSpec
from bench.report.text import remarks
from bench.units import NONE, milliseconds, scale

SMALL = 0.005  # of the whole network, in every column: such modules share one line
LARGE = 0.1  # of the whole: shown in bold
TOP = 10
COLUMNS = {"Params": "parameters", "": "multiply-adds", "Acts": "activations", "Time": "seconds"}  # and its unit
CELL = 11  # characters: a number, and a share in percent


class Line(NamedTuple):
    """One line of the tree: a figure for each of `COLUMNS` in base units, and the text shown instead of a time."""

    label: str
    figures: np.ndarray
    note: str = ""


def show(to: Screen, title: str, given: ProfileSpec, found: Profile, depth: int) -> None:
    """Both tables, and what their numbers mean."""
    where = f"{given.device}, {given.threads} threads" if given.device == "cpu" else given.device
    image = f"{given.batch}x{given.channels}x{given.size}x{given.size}"
    say(to, f"{title}, a batch of {image} in float32 on {where}", style="bold")
    whole, *below = lines(found, title, depth)
    multiples = [scale(unit, figure) for unit, figure in zip(COLUMNS.values(), whole.figures, strict=True)]
    ones = [one for _, one in multiples]
    headers = [_header(name, symbol) for name, (symbol, _) in zip(COLUMNS, multiples, strict=True)]
    cells = [[line.label, *_cells(line, whole, ones)] for line in below]
    names = max(12, to.width - len(COLUMNS) * (CELL + 1))
    to.print(table(("Module", *headers), [[(title, "bold"), *_cells(whole, whole, ones)], *cells], 1, CELL, names))
    say(to, "\nWhere the time goes by operator, under torch's profiler", style="bold")
    if found.operators:
        to.print(table(("Operator", "Calls", "Own time (ms)", "%"), _operators(found)))
    else:  # as in a container whose users may not read the GPU's counters
        say(to, f"torch's profiler saw no operator at work on {given.device}")
    to.print()
    for note in remarks("profile_notes", found, found.clocked_s / found.plain_s - 1):
        say(to, note)


def lines(found: Profile, title: str, depth: int) -> list[Line]:
    """The tree down to so many levels below the network."""
    whole = found.modules[0]
    small = SMALL * _figures(whole)
    children: dict[str, list[ModuleCost]] = {cost.name: [] for cost in found.modules}
    for cost in found.modules[1:]:
        children[cost.name.rpartition(".")[0]].append(cost)

    def below(cost: ModuleCost) -> Iterator[Line]:
        inside = children[cost.name]
        if cost.depth == depth or not inside or not _used(cost):
            return
        # A module deserves a line where it costs something, or where its parameters lie idle.
        large = [c for c in inside if (_figures(c) > small).any() or (c.parameters and not _used(c))]
        rest = [child for child in inside if child not in large]
        own = _figures(cost) - sum(map(_figures, inside))  # what it does beside calling its children
        branches = [[_line(child), *below(child)] for child in large]
        if cost.calls and (own > small).any():
            branches.append([Line("(its own)", own.clip(0))])
        if rest:
            branches.append([_line(rest[0]) if len(rest) == 1 else _others(rest)])
        for branch in branches:
            fork, side = ("└ ", "  ") if branch is branches[-1] else ("├ ", "│ ")
            yield from (line._replace(label=(side if n else fork) + line.label) for n, line in enumerate(branch))

    return [_line(whole)._replace(label=title), *below(whole)]


def _used(cost: ModuleCost) -> bool:
    return cost.time_s is not None or cost.calls is None


def _figures(cost: ModuleCost) -> np.ndarray:
    return np.array([cost.parameters, cost.macs, cost.activations, cost.time_s or 0.0])


def _line(cost: ModuleCost) -> Line:
    times = f" ×{cost.calls}" if cost.calls and cost.calls > 1 else ""
    note = "" if cost.time_s is not None else "scripted" if cost.calls is None else "not called"
    return Line(f"{cost.name.rpartition('.')[2]} {cost.kind}{times}", _figures(cost), note)


def _others(rest: list[ModuleCost]) -> Line:
    """One line for several small modules. What modules share can leave less than nothing, shown as nothing."""
    idle = sum(not _used(cost) for cost in rest)
    label = f"({len(rest)} others" + (f", {idle} not called)" if idle else ")")
    return Line(label, np.sum([_figures(cost) for cost in rest], axis=0).clip(0))


def _header(name: str, symbol: str) -> str:
    """A column's name with its unit in brackets; the symbol of multiply-adds tells both."""
    return f"{name} ({symbol})" if name and symbol else name or symbol


def _cells(line: Line, whole: Line, ones: Sequence[float]) -> list[Part]:
    """Each figure, in a column's multiple of its unit, with its share of the whole network."""
    cells = list(map(_cell, line.figures, whole.figures, ones))
    return [cells[0], NONE, NONE, (line.note, "yellow")] if line.note else cells


def _cell(figure: float, whole: float, unit: float) -> Part:
    if not figure:
        return "0     ", "dim"
    share, value = figure / whole, figure / unit
    style = "dim" if share < SMALL else "bold" if share >= LARGE else ""
    places = 2 if value < 1000 and unit != 1 else 0
    return f"{value:.{places}f} {100 * share:>3.0f}%", style


def _operators(found: Profile) -> list[tuple[str, ...]]:
    """The slowest by their own time, and the others in one line."""
    shown, rest = list(found.operators[:TOP]), found.operators[TOP:]
    if rest:
        sums = {name: sum(getattr(one, name) for one in rest) for name in ("calls", "self_s", "share")}
        shown.append(OperatorTime(name=f"({len(rest)} others)", **sums))
    return [(one.name, f"{one.calls:g}", milliseconds(one.self_s), f"{100 * one.share:.0f}") for one in shown]
