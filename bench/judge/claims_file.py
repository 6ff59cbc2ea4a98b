"""Reads a TOML file of claims, one table per claim. Errors name the file and line."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import UserError, first_line, printable, unknown
from bench.files import content_of
from bench.judge.claim import Claim, contradictions

MOST_BYTES = 2**18  # of a file of claims; this repository's has a thirtieth
LONGEST_LINE = 2000  # characters: what reads TOML takes the square of a key's parts
Lines = dict[tuple[str, str], int]


def default_claims() -> Path:
    """./claims.toml if it exists, else the claims that are part of this package."""
    here = Path("claims.toml")
    return here if here.is_file() else Path(str(files("bench.judge") / "claims.toml"))


def read_claims(path: Path) -> list[Claim]:
    """Read the claims of a file in order. A claim `against` a list of networks becomes one claim per network.

    Raises UserError, which names file and line, if the file cannot be read, a table is not a claim, or two claims
    contradict each other.
    """
    try:
        text = _text_of(content_of(path))
        tables = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"cannot read the claims in '{path}': {error.strerror}; give --claims FILE") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file: {error.reason} at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise UserError(f"{path}:{line[1] if line else 'last line'}: not valid TOML: {error}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path}: cannot be read as claims: {first_line(error)}; give --claims FILE") from None
    lines = _lines_of(text)
    claims = [claim for name, table in tables.items() for claim in _claims(path, lines, name, table)]
    if not claims:
        raise UserError(f"{path}: no claim in it; a claim is a table: [name], then says, source, network, metric ...")
    for first, second in contradictions(claims):
        raise UserError(
            f"{path}:{second.line}: [{second.name}] allows {second.allowed} and [{first.name}] in line {first.line} "
            f"allows {first.allowed} of the same figure: they cannot both hold; remove one"
        )
    return claims


def _text_of(content: bytes) -> str:
    """The text of a file, also of one that an editor of Windows wrote. Raises ValueError for more than is read."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has {len(content):,} bytes, and at most {MOST_BYTES:,} are read")
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    if (longest := max(map(len, text.splitlines()), default=0)) > LONGEST_LINE:
        raise ValueError(f"it has a line of {longest:,} characters, and at most {LONGEST_LINE:,} are read")
    return text


def _claims(path: Path, lines: Lines, name: str, table: Any) -> list[Claim]:
    """The claims of one table."""
    if not isinstance(table, dict):
        where = _line_of(lines, "", name)
        told = f"'{printable(name)}' is outside of a table; put it below a [name of its claim]"
        raise UserError(f"{path}:{where}: {told}")
    if not (name and name.isprintable()):
        told = f"a claim's name is letters that print, got '{printable(name)}'; give it another"
        raise UserError(f"{path}:{_line_of(lines, name)}: {told}")
    known = [field for field in Claim.model_fields if field not in ("name", "line")]  # which are not in the file
    for key in table:
        if key not in known:
            raise UserError(f"{path}:{_line_of(lines, name, key)}: [{name}]: {unknown('key', key, known)}")
    names: list[dict[str, Any]] = [{"name": name}]
    if isinstance(others := table.get("against"), list) and others:  # an empty list is rejected below
        names = [{"name": f"{name}/{other}", "against": other} for other in others]
    try:
        return [Claim.model_validate({**table, **one, "line": _line_of(lines, name)}, strict=True) for one in names]
    except ValidationError as error:
        fault = error.errors()[0]
    key = str(next(iter(fault["loc"]), ""))
    told = f": {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] == "missing":
        told = f" has no `{key}`; add it"
    elif key and fault["type"] != "value_error":
        told = f" `{key}`{told}, got {fault['input']!r}"
    raise UserError(f"{path}:{_line_of(lines, name, key)}: [{name}]{told}")


def _lines_of(text: str) -> Lines:
    """The 1-based line of each key by its table's name, and of each table's header under the key ""."""
    found: Lines = {}
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*[\"']?([^\"'\]]*?)[\"']?\s*\]", line):
            name = header[1]
            found.setdefault((name, ""), number)
        elif key := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line):
            found.setdefault((name, key[1]), number)
    return found


def _line_of(lines: Lines, name: str, key: str = "") -> int:
    """The line of a key in a table; that of the table's header if the key is not found."""
    return lines.get((name, key)) or lines.get((name, ""), 1)
