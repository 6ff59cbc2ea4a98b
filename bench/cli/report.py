"""`bench report`: the report of stored records."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import Json, app, names_in, writable
from bench.errors import UserError, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.judge.verdict import Verdict
    from bench.quantities.protocols import Protocol
    from bench.run.store import Record


@app.command()
def report(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of records. [default: results]")] = None,
    to: Annotated[Path, typer.Option(help="Where the report is written.")] = Path("reports"),
    protocol: Annotated[
        str | None, typer.Option(help="Of Dice: per_image, per_volume, pooled, transunet. [default: the data set's]")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Compare the others with this network. [default: mdsa_unet, else the best]")
    ] = None,
    group: Annotated[str, typer.Option(help="Only networks of these groups: cnn, transformer, hybrid, ...")] = "",
    formats: Annotated[
        str, typer.Option("--format", help="By commas: pdf, html, markdown, latex, csv, parquet. [default: all]")
    ] = "",
    claims: Annotated[
        Path | None,
        typer.Option(help="Claims whose verdicts it shows. [default: ./claims.toml, else those of this program]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of stored records: PDF, HTML, Markdown, LaTeX, CSV, Parquet. Nothing is measured.

    Examples:

      bench report results/reference --to reports/reference

      bench report --format html,latex
    """
    from bench.quantities.protocols import find_protocol
    from bench.read.sections import outdated
    from bench.run.store import load

    by = find_protocol(protocol) if protocol else None
    loaded = load(folders or [Path("results")])
    for problem in [*loaded.problems, *loaded.replaced]:
        typer.echo(f"left out: {problem}", err=True)
    for record in outdated(loaded.records):
        typer.echo(f"left out: {record.id}, for {record.job.network}'s code was edited since", err=True)
    if not loaded.records:
        where = ", ".join(str(folder) for folder in folders or [Path("results")])
        raise UserError(f"no records in {where}; make some with `bench run --all`, or name another folder")
    records = _of_groups(loaded.records, group)
    networks = {record.job.network for record in records}
    if against is not None and against not in networks:
        raise unknown("network in these records", against, networks)
    writable(to)
    names = names_in(formats)
    conclude_with(records, to, as_json, folders or [Path("results")], by, against, claims, names)


def _of_groups(records: "list[Record]", group: str) -> "list[Record]":
    """The records of the networks of some groups, and the machines' own; all of them where no group is named."""
    from bench.networks import NETWORKS
    from bench.networks.table import in_groups

    names = names_in(group)
    if not names:
        return records
    wanted = in_groups(names)
    kept = [r for r in records if r.job.network in wanted or r.job.spec.quantity == "peak"]
    if not any(record.job.network in NETWORKS for record in kept):
        raise UserError(f"no record is of a network of {group}; it has {', '.join(wanted)}")
    return kept


def conclude_with(
    records: "list[Record]",
    reports: Path,
    as_json: bool,
    folders: "Sequence[Path]",
    protocol: "Protocol | None" = None,
    against: str | None = None,
    claims: Path | None = None,
    formats: "Sequence[str]" = (),
) -> None:
    """Write the report; print the tables, what they say in words, and where it lies."""
    from bench.cli.display import conclude, console
    from bench.read.sections import sections
    from bench.read.speeds import speeds
    from bench.report.document import document
    from bench.report.tidy import paired_rows, tidy_rows
    from bench.report.verdicts import count
    from bench.report.write import FORMATS, write_report

    found, timed = sections(records, protocol, against), speeds(records)
    verdicts = _verdicts(records, claims)
    made = document(records, found, timed, verdicts, folders)
    paths = write_report(made, reports, formats or tuple(FORMATS))
    if not as_json:
        said = f"Claims: {count(verdicts)}; `bench check` tells why." if verdicts else ""
        return conclude(console(stderr=False), found, timed, paths, said)
    facts = {"rows": tidy_rows(found), "paired": paired_rows(found), "files": [str(path) for path in paths]}
    typer.echo(json.dumps(facts, indent=1, allow_nan=False))
    return None


def _verdicts(records: "list[Record]", claims: Path | None) -> "list[Verdict]":
    """What the records say of the claims in the file, or of the default ones."""
    from bench.judge.claims_file import default_claims, read_claims
    from bench.judge.verdict import judge
    from bench.machine import environment

    return judge(read_claims(claims or default_claims()), records, environment().fingerprint)
