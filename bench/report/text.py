"""The report's fixed sentences and templates, and text as Markdown and LaTeX show it unchanged."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.report.units import NONE

TEMPLATES = Path(__file__).with_name("template")
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--", "±": r"$\pm$", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "§": r"\S{}", "×": r"$\times$",
    "−": "$-$",
}  # fmt: skip


@cache
def texts() -> dict[str, Any]:
    """The sentences by name, from template/text.toml."""
    return tomllib.loads((TEMPLATES / "text.toml").read_text(encoding="utf-8"))


def prose(name: str, **facts: Any) -> str:
    """The sentence of this name, its braces filled with facts."""
    text: str = texts()[name]
    return " ".join(text.format(**facts).split())


@cache
def environment() -> Any:
    """The templates of the folder `template`; what is written into HTML is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["html"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.globals.update(zip=zip, NONE=NONE)
    found.filters.update(markdown=markdown, slug=slug)
    return found


def joined(*parts: str, by: str = " ") -> str:
    """The parts that are not empty, in one line."""
    return by.join(filter(None, parts))


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: a name or an error may hold what it takes for a tag or for emphasis."""
    return text.replace("<", "&lt;").replace("*", "\\*")


def markdown_table(header: Sequence[str], alignment: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as GitHub writes it. The cells are Markdown; a `|` in them is escaped."""
    lines = [header, alignment, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(LATEX.get(character, character) for character in text)


def slug(text: str) -> str:
    """Text as a part of an element's id, of a link to it, or of a LaTeX label.

    >>> slug("my data-224-cpu")
    'my-data-224-cpu'
    """
    return re.sub("[^A-Za-z0-9_-]", "-", text)
