"""`bench report`: the report of stored records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from bench.cli.app import command
from bench.cli.options import Json, names_in, records_of, writable
from bench.errors import UserError, unknown

if TYPE_CHECKING:
    from bench.run.store import Record


@command()
def report(
    folders: Annotated[list[Path] | None, Argument(help="Folders of records. [default: results]")] = None,
    to: Annotated[Path, Option(help="Where the report is written.")] = Path("reports"),
    protocol: Annotated[
        str | None, Option(help="Of Dice: per_image, per_volume, pooled, transunet. [default: the data set's]")
    ] = None,
    against: Annotated[
        str | None, Option(help="Compare the others with this network. [default: mdsa_unet, else the best]")
    ] = None,
    group: Annotated[str, Option(help="Only networks of these groups: cnn, transformer, hybrid, ...")] = "",
    formats: Annotated[
        str, Option("--format", help="By commas: pdf, html, markdown, latex, csv, parquet. [default: all]")
    ] = "",
    claims: Annotated[
        Path | None, Option(help="Claims whose verdicts it shows. [default: claims.toml, where there is one]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of stored records: PDF, HTML, Markdown, LaTeX, CSV, Parquet. Nothing is measured.

    Examples:

      bench report results/reference --to reports/reference

      bench report --format html,latex
    """
    from bench.cli.display import conclude
    from bench.quantities.protocols import find_protocol
    from bench.read.sections import outdated
    from bench.run.store import load

    by = find_protocol(protocol) if protocol else None
    loaded = load(folders or [Path("results")])
    loaded.problems.extend(f"{r.id}, for {r.job.network}'s code was edited since" for r in outdated(loaded.records))
    records = _of_groups(records_of(loaded, folders or [Path("results")]), group)
    networks = {record.job.network for record in records}
    if against is not None and against not in networks:
        raise unknown("network in these records", against, networks)
    writable(to)
    conclude(records, to, as_json, folders or [Path("results")], by, against, claims, names_in(formats))


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
