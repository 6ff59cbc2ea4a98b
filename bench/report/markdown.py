"""Tables as GitHub writes them: best in bold, intervals in brackets, notes below."""

from bench.report.columns import Cell
from bench.report.tables import Table


def markdown(table: Table) -> str:
    """The table and its notes, without its caption."""
    header = ["Network", *(column.header for column in table.columns)]
    lines = [_line(header), _line(["---", *["---:"] * (len(header) - 1)])]
    lines += [_line([escaped(title), *map(_text, found)]) for title, found in table.lines]
    return "\n".join([*lines, "", *(f"- {escaped(note)}" for note in table.notes)]) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: a name or an error may hold what it takes for a tag or for emphasis."""
    return text.replace("<", "&lt;").replace("*", "\\*")


def _line(texts: list[str]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


def _text(cell: Cell) -> str:
    return f"**{cell.figure}**{cell.text[len(cell.figure) :]}" if cell.best else cell.text
