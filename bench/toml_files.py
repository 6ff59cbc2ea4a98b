"""Reads TOML files that people write, so that errors can name the file and the line."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError, first_line
from bench.files import content_of

MOST_BYTES = 2**18  # of such a file; the claims of this repository have a thirtieth
LONGEST_LINE = 2000  # characters: what reads TOML takes the square of a key's parts
HEADER = re.compile(r"\s*\[(\[?)\s*(.*?)\s*\]")
KEY = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]")
PART = re.compile(r"""[^."'\s]+|"[^"]*"|'[^']*'""")
Place = tuple[str | int, ...]  # names of tables and a key; the number of a table in an array of tables, from 0


@dataclass(frozen=True)
class TomlFile:
    """The tables of a file, and the 1-based lines of its keys and of its tables' headers."""

    path: Path
    tables: dict[str, Any]
    lines: dict[Place, int]

    def line_of(self, place: Iterable[str | int]) -> int:
        """The line of a key, else that of the innermost table around it that has a header."""
        names = tuple(place)
        while names and names not in self.lines:
            names = names[:-1]
        return self.lines.get(names, 1)

    def at(self, place: Iterable[str | int] = ()) -> str:
        """The file and the line of a key: "study.toml:12"."""
        return f"{self.path}:{self.line_of(place)}"


def read_toml(path: Path, holds: str, advice: str) -> TomlFile:
    """Read a file that `holds` something, such as "the claims"; `advice` says what to give instead.

    Raises UserError, which names file and line, if it cannot be read.
    """
    try:
        text = _text_of(content_of(path))
        tables = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {holds} in '{path}': {error.strerror}; {advice}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file: {error.reason} at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise UserError(f"{path}:{line[1] if line else 'last line'}: not valid TOML: {error}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        kind = holds.removeprefix("the ")
        raise UserError(f"{path}: cannot be read as {kind}: {first_line(error)}; {advice}") from None
    return TomlFile(path, tables, _lines_of(text))


def _text_of(content: bytes) -> str:
    """The text of a file, also of one that an editor of Windows wrote. Raises ValueError for more than is read."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has {len(content):,} bytes, and at most {MOST_BYTES:,} are read")
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    if (longest := max(map(len, text.splitlines()), default=0)) > LONGEST_LINE:
        raise ValueError(f"it has a line of {longest:,} characters, and at most {LONGEST_LINE:,} are read")
    return text


def _lines_of(text: str) -> dict[Place, int]:
    """The first line of each key and of each table's header, by their names."""
    found: dict[Place, int] = {}
    inside: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            inside = tuple(part.strip("\"'") for part in PART.findall(header[2]))
            if header[1]:  # one of an array of tables
                inside = next((*inside, n) for n in range(number) if (*inside, n) not in found)
            found.setdefault(inside, number)
        elif key := KEY.match(line):
            found.setdefault((*inside, key[1]), number)
    return found
