"""`bench compare`: what changed between two sets of records?"""

from enum import StrEnum
from typing import Annotated

from typer import Argument, Exit, Option, echo

from bench.cli.options import command, records_of
from bench.errors import UserError

Format = StrEnum("Format", ["text", "markdown", "json"])
FailOn = StrEnum("FailOn", ["nothing", "worse"])


@command()
def compare(
    base: Annotated[str, Argument(help="Before: a folder, a file, or a git revision, REV or REV:folder.")],
    head: Annotated[str, Argument(help="After: the same.")] = "results",
    fail_on: Annotated[FailOn, Option(help="Exit with 1 where something is worse.")] = FailOn.nothing,
    format_: Annotated[Format, Option("--format", help="How the changes are printed.")] = Format.text,
) -> None:
    """Tell what got better, worse, appeared and vanished between two sets of records.

    Figures of different machines, conditions or images are not compared; the line says what differs.

    Examples:

      bench compare main results

      bench compare HEAD~1 HEAD --fail-on worse
    """
    from bench.judge.compare import compare as compare_records
    from bench.report.changes import FORMATS

    before, after = (records_of([side]) for side in (base, head))
    changes = compare_records(before, after)
    echo(FORMATS[format_.value](changes))
    if changes and all(change.outcome == "refused" for change in changes):
        raise UserError(f"nothing in {base} and {head} can be compared: {changes[0].reason}")
    if fail_on is FailOn.worse and any(change.outcome == "worse" for change in changes):
        raise Exit(1)
