"""The history of a metric as lines with bars, as JSON, and as a figure."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.errors import plain
from bench.files import write_whole
from bench.judge.history import Point
from bench.networks import title_of
from bench.quantities import Metric
from bench.report.figures import Picture
from bench.report.plot_style import Figure, look, subplots
from bench.report.text import joined, short
from bench.run.job import file_name
from bench.units import in_unit

BAR = 30  # characters of the longest bar


def _where(point: Point) -> str:
    return joined(point.conditions, point.machine, by=", ")


def as_text(network: str, metric: Metric, points: Sequence[Point]) -> str:
    """A line a commit, with a bar as long as the figure; where the machine or the conditions change, a line says so."""
    longest = max(point.value for point in points) or 1.0
    lines = [f"{metric.name} of {title_of(network)}"]
    for where, alike in groupby(points, _where):
        lines.append(f"  {where}")
        for point in alike:
            bar, figure = "█" * max(1, round(BAR * point.value / longest)), in_unit(point.value, metric.unit)
            lines.append(f"  {point.commit.at:%Y-%m-%d}  {point.commit.name}  {figure:>12}  {bar}")
    return plain("\n".join(lines))


def facts(point: Point) -> dict[str, Any]:
    """A point in base units."""
    return {
        "commit": point.commit.name, "at": point.commit.at.isoformat(), "subject": point.commit.subject,
        "value": point.value, "conditions": point.conditions, "machine": point.machine, "records": list(point.records),
    }  # fmt: skip


def draw(network: str, metric: Metric, points: Sequence[Point], to: Path) -> Path:
    """Write the figure of a history into the folder `to`; its path."""
    name = f"history-{file_name(network)}-{metric.name}"
    picture = Picture("history", name, f"{metric.name} of {network}", partial(_draw, network, metric, points))
    return write_whole(to / f"{name}.svg", picture.svg)


def _draw(network: str, metric: Metric, points: Sequence[Point]) -> Figure:
    """A step for each commit; figures of another machine or under other conditions are a line of their own."""
    figure, axes = subplots(7.2, 3.6)
    color, marker = look(network)
    series: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for place, point in enumerate(points):
        series[_where(point)].append((place, point.value))
    for number, (label, line) in enumerate(series.items()):
        style: dict[str, Any] = {"alpha": 1 / (1 + 0.5 * number), "linestyle": ("-", "--", ":")[number % 3]}
        axes.plot(*zip(*line, strict=True), color=color, marker=marker, label=short(label, 90), **style)
    axes.set_xticks(range(len(points)), [f"{p.commit.name[:7]}\n{p.commit.at:%Y-%m-%d}" for p in points], fontsize=8)
    axes.yaxis.set_major_formatter(lambda value, _: in_unit(value, metric.unit) if value else "0")
    axes.set_ylim(0, 1.15 * max(point.value for point in points) or 1)
    axes.set_title(f"{metric.name} of {short(title_of(network))}, by commit", loc="left", fontsize=10)
    axes.legend(loc="lower left", fontsize=8)
    return figure
