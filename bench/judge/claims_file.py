"""Reads a TOML file of claims, one table per claim. Errors name the file and line."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.errors import UserError, printable, unknown
from bench.judge.claim import Claim, contradictions
from bench.toml_files import TomlFile, read_toml


def default_claims() -> Path:
    """./claims.toml if it exists, else the claims that are part of this package."""
    here = Path("claims.toml")
    return here if here.is_file() else Path(str(files("bench.judge") / "claims.toml"))


def read_claims(path: Path) -> list[Claim]:
    """Read the claims of a file in order. A claim `against` a list of networks becomes one claim per network.

    Raises UserError, which names file and line, if the file cannot be read, a table is not a claim, or two claims
    contradict each other.
    """
    read = read_toml(path, "the claims", "give --claims FILE")
    claims = [claim for name, table in read.tables.items() for claim in _claims(read, name, table)]
    if not claims:
        raise UserError(f"{path}: no claim in it; a claim is a table: [name], then says, source, network, metric ...")
    for first, second in contradictions(claims):
        raise UserError(
            f"{path}:{second.line}: [{second.name}] allows {second.allowed} and [{first.name}] in line {first.line} "
            f"allows {first.allowed} of the same figure: they cannot both hold; remove one"
        )
    return claims


def _claims(read: TomlFile, name: str, table: Any) -> list[Claim]:
    """The claims of one table."""
    if not isinstance(table, dict):
        told = f"'{printable(name)}' is outside of a table; put it below a [name of its claim]"
        raise UserError(f"{read.at([name])}: {told}")
    if not (name and name.isprintable()):
        told = f"a claim's name is letters that print, got '{printable(name)}'; give it another"
        raise UserError(f"{read.at([name])}: {told}")
    known = [field for field in Claim.model_fields if field not in ("name", "line")]  # which are not in the file
    for key in table:
        if key not in known:
            raise UserError(f"{read.at([name, key])}: [{name}]: {unknown('key', key, known)}")
    names: list[dict[str, Any]] = [{"name": name}]
    if isinstance(others := table.get("against"), list) and others:  # an empty list is rejected below
        names = [{"name": f"{name}/{other}", "against": other} for other in others]
    try:
        return [Claim.model_validate({**table, **one, "line": read.line_of([name])}, strict=True) for one in names]
    except ValidationError as error:
        fault = error.errors()[0]
    key = str(next(iter(fault["loc"]), ""))
    told = f": {fault['msg'].removeprefix('Value error, ')}"
    if fault["type"] == "missing":
        told = f" has no `{key}`; add it"
    elif key and fault["type"] != "value_error":
        told = f" `{key}`{told}, got {fault['input']!r}"
    raise UserError(f"{read.at([name, key])}: [{name}]{told}")
