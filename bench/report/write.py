"""Writes a report from records: Markdown with its figures, and a tidy CSV."""

from pathlib import Path

from bench.files import write_whole
from bench.report.figures import dice_against_latency, learning_curves, save
from bench.report.summary import Section, named
from bench.report.tables import markdown, tidy_csv
from bench.report.words import sentences

FIGURES = {
    "dice-latency": ("Dice against latency", dice_against_latency),
    "learning-curves": ("Loss and validation Dice while training", learning_curves),
}


def write_report(found: list[Section], folder: Path) -> list[Path]:
    """Write report.md, table.csv and a PNG a figure into the folder; return their paths, the first to read first."""
    folder.mkdir(parents=True, exist_ok=True)
    parts, figures = ["# Networks compared\n"], []
    for name, section in named(found).items():
        parts += [f"\n## {name}\n", *(f"{sentence}\n" for sentence in sentences(section)), markdown(section)]
        for kind, (caption, draw) in FIGURES.items():
            figure = draw(section)
            if figure is not None:
                figures.append(save(figure, folder / f"{kind}-{name}.png"))
                parts.append(f"\n![{caption}]({figures[-1].name})")
    report, table = folder / "report.md", folder / "table.csv"
    write_whole(report, "\n".join(parts) + "\n")
    write_whole(table, tidy_csv(found))
    return [report, table, *figures]
