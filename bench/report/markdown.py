"""Tables as GitHub writes them: best in bold, intervals in brackets, notes below."""

from pathlib import Path

from bench.files import write_whole
from bench.report.columns import Cell
from bench.report.document import Document, Part
from bench.report.tables import Table


def write(document: Document, folder: Path) -> list[Path]:
    """Write report.md and an SVG a picture."""
    parts = ["# Networks compared\n", f"{document.question}\n", *_verdicts(document)]
    for part in document.parts:
        parts += _part(part)
    parts += ["\n## How to do it again\n", *(f"```sh\n{command}\n```\n" for command in document.commands)]
    pictures = [picture for part in document.parts for picture in part.pictures]
    drawn = [write_whole(folder / f"{picture.name}.svg", picture.svg) for picture in pictures]
    return [write_whole(folder / "report.md", "\n".join(parts)), *drawn]


def _verdicts(document: Document) -> list[str]:
    from bench.report.verdicts import as_markdown

    return ["\n## Claims\n", as_markdown(document.verdicts) + "\n"] if document.verdicts else []


def _part(part: Part) -> list[str]:
    lines = [f"\n## {escaped(part.title)}\n", *(f"{escaped(sentence)}\n" for sentence in part.says)]
    for table in part.tables:
        lines += [f"### {escaped(table.caption)}\n", markdown(table)]
    return lines + [f"![{picture.caption}]({picture.name}.svg)\n" for picture in part.pictures]


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
