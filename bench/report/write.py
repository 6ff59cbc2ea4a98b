"""Writes a report from records: Markdown with its figures, and tidy CSVs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.files import write_whole
from bench.report.figures import dice_against_latency, learning_curves, save
from bench.report.markdown import escaped, markdown
from bench.report.speed_figures import by_size, throughput
from bench.report.speed_tables import speed_tables
from bench.report.tables import Table, tables
from bench.report.tidy import csv, paired_rows, tidy_rows
from bench.report.words import sentences
from bench.summary.sections import Section, named
from bench.summary.speeds import Speeds

# By name of the file: a caption, and what draws it, or returns None where there is nothing to draw.
FIGURES: dict[str, tuple[str, Callable[[Any], Figure | None]]] = {
    "dice-latency": ("Dice against latency", dice_against_latency),
    "learning-curves": ("Loss and validation Dice while training", learning_curves),
}
SPEED_FIGURES: dict[str, tuple[str, Callable[[Any], Figure | None]]] = {
    "throughput": ("Throughput by batch", throughput),
    "by-size": ("Latency and memory by image size", by_size),
}


def write_report(
    found: list[Section], folder: Path, against: str | None = None, timed: list[Speeds] | None = None
) -> list[Path]:
    """Write report.md, table.csv, paired.csv where networks can be paired, and a PNG a figure into the folder.

    Returns their paths, the first to read first. `against` names the network that the others are compared with; `timed`
    is what was timed and weighed, which follows the sections.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts, figures = ["# Networks compared\n"], []
    for name, section in named(found).items():
        parts += [f"\n## {name}\n", *(f"{sentence}\n" for sentence in sentences(section))]
        figures += _add(parts, folder, name, tables(section, against), FIGURES, section)
    for number, speeds in enumerate(timed or [], 1):
        name = f"{speeds.device}-{number}" if number > 1 else speeds.device
        parts.append(f"\n## Speed and memory, {name}\n")
        figures += _add(parts, folder, name, speed_tables(speeds), SPEED_FIGURES, speeds)
    report = write_whole(folder / "report.md", "\n".join(parts))
    rows = {"table.csv": tidy_rows(found), "paired.csv": paired_rows(found, against)}
    written = [write_whole(folder / name, csv(lines)) for name, lines in rows.items() if lines]
    _clear(folder, {report, *written, *figures})
    return [report, *written, *figures]


def _clear(folder: Path, current: set[Path]) -> None:
    """Take away what an earlier report left and this one does not have: it would be read as a part of it."""
    names = ["table.csv", "paired.csv", *(f"{kind}-*.png" for kind in (*FIGURES, *SPEED_FIGURES))]
    for path in (path for name in names for path in folder.glob(name)):
        if path not in current:
            path.unlink()


def _add(
    parts: list[str],
    folder: Path,
    name: str,
    shown: list[Table],
    drawn: Mapping[str, tuple[str, Callable[[Any], Figure | None]]],
    source: Section | Speeds,
) -> list[Path]:
    """Add tables and figures to the parts; return the figures' paths."""
    paths = []
    for table in shown:
        parts += [f"### {escaped(table.caption)}\n", markdown(table)]
    for kind, (caption, draw) in drawn.items():
        figure = draw(source)
        if figure is not None:
            paths.append(save(figure, folder / f"{kind}-{name}.png"))
            parts.append(f"![{caption}]({paths[-1].name})\n")
    return paths
