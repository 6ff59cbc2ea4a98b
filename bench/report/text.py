"""The report's templates and fixed text, and text as Markdown and LaTeX show it unchanged."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

from bench.judge.pick import LIMITS, Candidate
from bench.read.sections import Section
from bench.stats.paired import ALL_PAIRS
from bench.units import NONE, UNITS, in_unit

TEMPLATES = Path(__file__).with_name("template")
ESCAPED = "\\|"  # no backslash may stand in the braces of an f-string before Python 3.12
END = "\x1e"  # ASCII's record separator, which stands in no name and no error
LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "–": "--", "±": r"$\pm$", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "§": r"\S{}",
    "¶": r"\P{}", "×": r"$\times$", "−": "$-$",
})  # fmt: skip


@cache
def template(name: str) -> Any:
    """A template of the folder `template`. What is written into HTML and XML is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["html", "xml"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}  # browsers know no Infinity
    found.globals.update(zip=zip, NONE=NONE, END=END, ALL_PAIRS=ALL_PAIRS)
    found.tests.update(nan=math.isnan)
    found.filters.update(markdown=markdown, slug=slug, quoted=quote, in_unit=in_unit, row=markdown_row)
    found.filters.update(cell=lambda value, unit: UNITS[unit].cell(value))
    return found.get_template(name)


def remarks(name: str, *facts: Any) -> list[str]:
    """The notes of this name in template/text.txt, where `END` ends each of them, each in one line."""
    told = getattr(template("text.txt").module, name)
    notes = (told(*facts) if callable(told) else told).split(END)
    return [" ".join(note.split()) for note in notes if note.strip()]


def prose(name: str, *facts: Any) -> str:
    """The sentence or the only note of this name in template/text.txt."""
    return remarks(name, *facts)[0]


def sentences(section: Section) -> list[str]:
    """The most accurate, the fastest, the smallest network; nothing where fewer than two can be compared."""
    return remarks("answers", section)


def pick_reason(section: Section, candidates: Sequence[Candidate]) -> str:
    """The network that `bench pick` names and why, or that none fits and which one comes nearest."""
    return prose("picked", section, sorted(candidates, key=lambda one: not one.fits and len(one.broken)))


def candidate_line(candidate: Candidate) -> str:
    """A network with its figures, then the limits it breaks."""
    return prose("candidate", candidate, LIMITS.values())


def joined(*parts: str, by: str = " ") -> str:
    """The parts that are not empty, in one line."""
    return by.join(filter(None, parts))


def interval(write: Callable[[float], str], low: float, high: float) -> str:
    """An interval in brackets, its ends without their unit; empty where it is a single value or unknown."""
    return (
        ""
        if low == high or math.isinf(low) or math.isinf(high)
        else f"[{', '.join(write(end).split(' ')[0] for end in (low, high))}]"
    )


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: a name or an error may hold what it takes for a tag or for emphasis."""
    return text.replace("<", "&lt;").replace("*", "\\*")


def markdown_row(cells: Iterable[str]) -> str:
    """A line of a table as GitHub writes it. The cells are Markdown; a `|` in them is escaped."""
    return f"| {' | '.join(cell.replace('|', ESCAPED) for cell in cells)} |"


def latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return text.translate(LATEX)


def slug(text: str) -> str:
    """Text as a part of an element's id, of a link to it, or of a LaTeX label.

    >>> slug("my data-224-cpu")
    'my-data-224-cpu'
    """
    return re.sub("[^A-Za-z0-9_-]", "-", text)
