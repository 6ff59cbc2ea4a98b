"""The README and the pages of docs/, and the commands in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """A line that a reader is told to type."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell reads it."""
        return shlex.split(self.text, comments=True)


def lines() -> list[Line]:
    """Every line of the blocks for a shell, and those that a workflow runs; each text once."""
    found: dict[str, Line] = {}
    for page in PAGES:
        typed = [line for block in blocks(page, "sh") for line in block.splitlines()]
        typed += [run for block in blocks(page, "yaml") for run in re.findall(r"- run: (.+)", block)]
        for text in (line.strip() for line in typed if line.strip()):
            found.setdefault(text, Line(page.name, text))
    return list(found.values())


def command_lines() -> list[Line]:
    """Those that call `bench`."""
    return [line for line in lines() if line.words[0] == "bench"]
