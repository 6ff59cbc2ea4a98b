"""Reads a TOML file of claims, one table per claim. Errors name the file and line."""

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import UserError, first_line, unknown
from bench.files import content_of
from bench.judge.claim import Claim, contradictions

MOST = 1 << 18  # bytes of a file of claims; one claim has 200


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
        text = content_of(path, MOST).decode()
        tables = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"cannot read the claims in '{path}': {error.strerror}; give --claims FILE") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file: {error.reason} at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise UserError(f"{path}:{line[1] if line else 'last line'}: not valid TOML: {error}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path}: cannot be read as claims ({first_line(error)}); give --claims FILE") from None
    claims = [claim for name, table in tables.items() for claim in _claims(path, text, name, table)]
    if not claims:
        raise UserError(f"{path}: no claim in it; a claim is a table: [name], then says, source, network, metric ...")
    for first, second in contradictions(claims):
        raise UserError(
            f"{path}:{second.line}: [{second.name}] allows {second.allowed} and [{first.name}] in line {first.line} "
            f"allows {first.allowed} of the same figure: they cannot both hold; remove one"
        )
    return claims


def _claims(path: Path, text: str, name: str, table: Any) -> list[Claim]:
    """The claims of one table."""
    if not isinstance(table, dict):
        where = _line_of(text, "", name)
        raise UserError(f"{path}:{where}: '{name}' is outside of a table; put it below a [name of its claim]")
    known = [field for field in Claim.model_fields if field not in ("name", "line")]  # which are not in the file
    for key in table:
        if key not in known:
            raise UserError(f"{path}:{_line_of(text, name, key)}: [{name}]: {unknown('key', key, known)}")
    names: list[dict[str, Any]] = [{"name": name}]
    if isinstance(others := table.get("against"), list) and others:  # an empty list is rejected below
        names = [{"name": f"{name}/{other}", "against": other} for other in others]
    try:
        return [Claim.model_validate({**table, **one, "line": _line_of(text, name)}, strict=True) for one in names]
    except ValidationError as error:
        fault = error.errors()[0]
    key = str(next(iter(fault["loc"]), ""))
    told = f": {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] == "missing":
        told = f" has no `{key}`; add it"
    elif key and fault["type"] != "value_error":
        told = f" `{key}`{told}, got {fault['input']!r}"
    raise UserError(f"{path}:{_line_of(text, name, key)}: [{name}]{told}")


def _line_of(text: str, name: str, key: str = "") -> int:
    """The 1-based line of a key in a table; the line of the table's header if the key is not found."""
    lines = _lines(text)
    return lines.get((name, key)) or lines.get((name, "")) or 1


@lru_cache(maxsize=1)
def _lines(text: str) -> dict[tuple[str, str], int]:
    """The 1-based line of each table's header, under the key "", and of each key in a table."""
    found, inside = dict[tuple[str, str], int](), ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*[\"']?([^\"'\]]*?)[\"']?\s*\]", line):
            inside = header[1]
            found[inside, ""] = number
        elif key := re.match(r"\s*[\"']?([^\"'=.]*[^\"'=.\s])[\"']?\s*[=.]", line):
            found.setdefault((inside, key[1]), number)
    return found
