"""The report's templates and fixed text, and text as Markdown and LaTeX show it unchanged."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

from bench.errors import plain
from bench.judge.pick import LIMITS, Candidate
from bench.read.sections import Section
from bench.stats.paired import ALL_PAIRS
from bench.stats.ranking import MOST as MOST_RANKED
from bench.units import NONE, UNITS, in_unit

TEMPLATES = Path(__file__).with_name("template")
ESCAPED = "\\|"  # no backslash may stand in the braces of an f-string before Python 3.12
END = "\x1e"  # ASCII's record separator, which is written out where it stands in a name or an error
MOST_NAMED = 100  # networks up to which a report names all: in its tables, notes and commands
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # at the beginning of a spreadsheet's cell
LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "–": "--", "±": r"$\pm$", "†": r"\textdagger{}", "‡": r"\textdaggerdbl{}", "§": r"\S{}",
    "¶": r"\P{}", "×": r"$\times$", "−": "$-$", "…": r"\ldots{}",
})  # fmt: skip


@cache
def template(name: str) -> Any:
    """A template of the folder `template`. What is written into HTML and XML is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["html", "xml"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_finished,
    )  # fmt: skip
    found.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}  # browsers know no Infinity
    found.globals.update(zip=zip, NONE=NONE, END=END)
    found.globals.update(ALL_PAIRS=ALL_PAIRS, MOST_RANKED=MOST_RANKED, MOST_NAMED=MOST_NAMED)
    found.tests.update(nan=math.isnan)
    found.filters.update(markdown=markdown, slug=slug, quoted=quote, in_unit=in_unit, row=markdown_row)
    found.filters.update(code=code, fence=fence)
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


def scored_on(section: Section) -> str:
    """What a section's scores are of, for the axis of a figure: "ddti test, trained on isic2017"."""
    return short(f"{section.tested_on} test") + (f", trained on {short(section.home)}" if section.home else "")


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


def _finished(value: Any) -> Any:
    """What a template writes, by `plain`. What is marked as safe was written by this program."""
    return plain(value) if type(value) is str and value != END else value


def everywhere(write: Callable[[str], str], facts: Any) -> Any:
    """Facts as JSON holds them, with each text in them as `write` gives it."""
    if isinstance(facts, str):
        return write(facts)
    if isinstance(facts, Mapping):
        return {write(name): everywhere(write, value) for name, value in facts.items()}
    return [everywhere(write, one) for one in facts] if isinstance(facts, list | tuple) else facts


def in_line(text: str) -> str:
    """`plain` text in one line."""
    return plain(" ".join(text.split()))


def markdown(text: str) -> str:
    r"""Text that Markdown shows as it is, in one line: a name or an error may hold what it takes for its own signs.

    >>> print(markdown("[a](b) `c` *d* <e>\n# _f_ g_h"))
    [a]\(b) \`c\` \*d\* &lt;e> # \_f\_ g_h
    """
    told = re.sub(r"[\\`*~$]", r"\\\g<0>", in_line(text)).replace("<", "&lt;")
    told = re.sub(r"&(?=#?\w+;)", lambda found: "&amp;", told) if "&" in text else told
    told = re.sub(r"(?<=\])(?=[(\[:])|(?<![^\W_])(?=_)|(?=_(?![^\W_]))", r"\\", told)
    return re.sub(r"^(?=[#>]|[-+=]+(?: |$))|^(\d+)(?=[.)] )", r"\g<1>\\", told)


def code(text: str) -> str:
    """Text as code in a line of Markdown, between as many backticks as it takes."""
    told = in_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", told)), default=0))
    return f"{fence}{told}{fence}" if len(fence) == 1 else f"{fence} {told} {fence}"


def fence(text: str) -> str:
    """The line that begins and ends a block of code with this text."""
    return "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))


def markdown_row(cells: Iterable[str]) -> str:
    """A line of a table as GitHub writes it. The cells are Markdown; a `|` in them is escaped."""
    return f"| {' | '.join(cell.replace('|', ESCAPED) for cell in cells)} |"


def latex(text: str) -> str:
    """Text that LaTeX prints as it is, in one line; letters that its fonts lack are named by their numbers."""
    told = in_line(text).translate(LATEX)
    return told if told.isascii() else re.sub(r"[^\x00-\u017f]", lambda found: f"U+{ord(found[0]):04X}", told)


def cell(text: str) -> str:
    """Text for a cell of a spreadsheet, which takes none for a formula: such a one begins with an apostrophe.

    >>> cell("=1+1"), cell("-net"), cell("unet")
    ("'=1+1", "'-net", 'unet')
    """
    told = plain(text)
    return f"'{told}" if text.lstrip().startswith(FORMULA) or text.startswith(("\t", "\r", "\n")) else told


def short(text: str, most: int = 48) -> str:
    """A name for a figure: in one line, its middle left out where it is longer than a figure has room for.

    >>> short("abcdefghijklmnop", 9)
    'abcd…mnop'
    """
    told, half = in_line(text), (most - 1) // 2
    return told if len(told) <= most else f"{told[:half]}…{told[-half:]}"


def slug(text: str) -> str:
    """Text as a part of an element's id, of a link to it, or of a LaTeX label.

    >>> slug("my data-224-cpu")
    'my-data-224-cpu'
    """
    return re.sub("[^A-Za-z0-9_-]", "-", text)
