"""`bench compare`: what changed between two sets of records?"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import app

if TYPE_CHECKING:
    from bench.run.store import Record


class Format(StrEnum):
    text = "text"
    markdown = "markdown"
    json = "json"


class FailOn(StrEnum):
    nothing = "nothing"
    worse = "worse"


@app.command()
def compare(
    base: Annotated[str, typer.Argument(help="Before: a folder, a file, or a git revision, REV or REV:folder.")],
    head: Annotated[str, typer.Argument(help="After: the same.")] = "results",
    fail_on: Annotated[FailOn, typer.Option(help="Exit with 1 where something is worse.")] = FailOn.nothing,
    format_: Annotated[Format, typer.Option("--format", help="How the changes are printed.")] = Format.text,
) -> None:
    """Tell what got better, worse, appeared and vanished between two sets of records.

    Figures of different machines, conditions or images are not compared; the line says what differs.

    Examples:

      bench compare main results

      bench compare HEAD~1 HEAD --fail-on worse
    """
    from bench.errors import UserError
    from bench.judge.compare import compare as compared
    from bench.report.changes import FORMATS

    changes = compared(_records(base), _records(head))
    typer.echo(FORMATS[format_.value](changes))
    if changes and all(change.outcome == "refused" for change in changes):
        raise UserError(f"nothing in {base} and {head} can be compared: {changes[0].reason}")
    if fail_on is FailOn.worse and any(change.outcome == "worse" for change in changes):
        raise typer.Exit(1)


def _records(given: str) -> "list[Record]":
    from bench.errors import UserError
    from bench.read.revisions import read_side

    loaded = read_side(given)
    for problem in loaded.problems:
        typer.echo(f"left out: {problem}", err=True)
    if not loaded.records:
        raise UserError(f"no records in '{given}'; give a folder that `bench run --out` wrote, or REV:folder")
    return loaded.records
