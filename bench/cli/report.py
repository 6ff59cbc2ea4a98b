"""`bench report`: the report of stored records."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import Json, app, writable
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.records import Record


@app.command()
def report(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of records. [default: results]")] = None,
    to: Annotated[Path, typer.Option(help="Where the report is written.")] = Path("reports"),
    as_json: Json = False,
) -> None:
    """Write the report of stored records: Markdown, CSV and figures. Nothing is measured.

    Example: bench report results/reference --to reports/reference
    """
    from bench.records import load
    from bench.report.summary import outdated

    loaded = load(folders or [Path("results")])
    for problem in loaded.problems:
        typer.echo(f"left out: {problem}", err=True)
    for record in outdated(loaded.records):
        typer.echo(f"left out: {record.id}, for {record.job.network}'s code was edited since", err=True)
    if not loaded.records:
        where = ", ".join(str(folder) for folder in folders or [Path("results")])
        raise UserError(f"no records in {where}; make some with `bench run --all`, or name another folder")
    writable(to)
    conclude_with(loaded.records, to, as_json)


def conclude_with(records: "list[Record]", reports: Path, as_json: bool) -> None:
    """Write the report; print the table, what it says in words, and where it lies."""
    from bench.cli.display import conclude, console
    from bench.report.summary import sections
    from bench.report.tables import tidy_rows
    from bench.report.write import write_report

    found = sections(records)
    paths = write_report(found, reports)
    if as_json:
        typer.echo(
            json.dumps({"rows": tidy_rows(found), "files": [str(path) for path in paths]}, indent=1, allow_nan=False)
        )
    else:
        conclude(console(stderr=False), found, paths)
