"""How results show themselves: as tables in a notebook, as aligned columns in a terminal."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.errors import plain
from bench.report import columns
from bench.report.text import in_line

GAP = "  "  # between two columns


class Best(str):
    """A figure that is the best of its column; a notebook shows it in bold."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A caption, headers and lines of cells. The first column is of names, the others are of figures."""

    headers: Sequence[str]
    lines: Sequence[Sequence[str]]
    caption: str = ""


class Shown(ABC):
    """A result that is shown as tables, and sentences below them."""

    @abstractmethod
    def _tables(self) -> Sequence[Table]:
        """The tables, in order."""

    def _says(self) -> Sequence[str]:
        """What is to be said below the tables, a sentence each."""
        return ()

    def __str__(self) -> str:
        return "\n\n".join([*map(as_text, self._tables()), *filter(None, ["\n".join(map(in_line, self._says()))])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return "".join([*map(as_html, self._tables()), *(f"<p>{escape(in_line(line))}</p>" for line in self._says())])


def as_text(table: Table) -> str:
    """A table in aligned columns, the names to the left and the figures to the right."""
    rows = [[in_line(cell) for cell in row] for row in (table.headers, *table.lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        GAP.join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join([*filter(None, [plain(table.caption)]), *(line.rstrip() for line in lines)])


def as_html(table: Table) -> str:
    """A table as HTML, with all text escaped."""
    caption = f"<caption>{escape(in_line(table.caption))}</caption>" if table.caption else ""
    head = "".join(_html_cell("th", text, place) for place, text in enumerate(table.headers))
    body = "".join(
        f"<tr>{''.join(_html_cell('td', cell, place) for place, cell in enumerate(line))}</tr>" for line in table.lines
    )
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_cell(kind: str, text: str, place: int) -> str:
    inner = escape(in_line(text))
    style = f"text-align: {'right' if place else 'left'}; padding: 0 0.6em"
    return f'<{kind} style="{style}">{f"<b>{inner}</b>" if isinstance(text, Best) else inner}</{kind}>'


def of_report(shown: columns.Table, caption: str = "") -> Table:
    """A table of the report."""
    headers = ["Network", *(column.header for column in shown.columns)]
    lines = [[title, *(Best(cell.text) if cell.best else cell.text for cell in cells)] for title, cells in shown.lines]
    return Table(headers, lines, caption or shown.caption)
