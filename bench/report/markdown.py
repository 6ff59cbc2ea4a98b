"""The report as GitHub writes it: the best figures in bold, intervals in brackets, notes below each table."""

from pathlib import Path

from bench.files import write_whole
from bench.report.columns import Cell, Table
from bench.report.document import Document
from bench.report.text import markdown, markdown_row, template
from bench.report.verdicts import as_markdown


def write(document: Document, folder: Path) -> list[Path]:
    """Write report.md and an SVG for each picture."""
    claims = as_markdown(document.verdicts)
    text = template("report.md").render(document=document, claims=claims, table=table_lines)
    drawn = [write_whole(folder / f"{picture.name}.svg", picture.svg) for picture in document.pictures]
    return [write_whole(folder / "report.md", text), *drawn]


def table_lines(table: Table) -> str:
    """A table without its caption and notes."""
    header = ["Network", *(markdown(column.header) for column in table.columns)]
    rows = [[markdown(title), *map(_text, cells)] for title, cells in table.lines]
    return "\n".join(map(markdown_row, [header, ["---", *["---:"] * len(table.columns)], *rows]))


def _text(cell: Cell) -> str:
    figure, rest = markdown(cell.figure), cell.text[len(cell.figure) :]
    return f"**{figure}**{rest}" if cell.best else f"{figure}{rest}"
