"""`bench report`: the report of stored records."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from bench.cli.options import Json, command, names_in, records_of, writable
from bench.errors import UserError, unknown

PROTOCOLS = "per_image, per_volume, pooled, transunet"
FORMATS = "pdf, html, markdown, latex, csv, parquet"


@command()
def report(
    folders: Annotated[list[Path] | None, Argument(help="Folders of records. [default: results]")] = None,
    to: Annotated[Path, Option(help="Where the report is written.")] = Path("reports"),
    protocol: Annotated[str | None, Option(help=f"Of Dice: {PROTOCOLS}. [default: the data set's]")] = None,
    against: Annotated[str | None, Option(help="Compare the others to it. [default: mdsa_unet, else best]")] = None,
    group: Annotated[str, Option(help="Only networks of these groups: cnn, transformer, hybrid, ...")] = "",
    formats: Annotated[str, Option("--format", help=f"By commas: {FORMATS}. [default: all]")] = "",
    claims: Annotated[Path | None, Option(help="Claims to judge. [default: claims.toml, where there is one]")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of stored records: PDF, HTML, Markdown, LaTeX, CSV, Parquet. Nothing is measured.

    Examples:

      bench report results/reference --to reports/reference

      bench report --format html,latex
    """
    from bench.cli.display import conclude
    from bench.networks.table import in_groups
    from bench.quantities import MACHINE
    from bench.quantities.protocols import find_protocol
    from bench.read.sections import outdated
    from bench.run.store import load

    by = find_protocol(protocol) if protocol else None
    loaded = load(folders or [Path("results")])
    loaded.problems.extend(f"{r.id}, for {r.job.network}'s code was edited since" for r in outdated(loaded.records))
    records = records_of(loaded, folders or [Path("results")])
    if names := names_in(group):
        wanted = in_groups(names)
        records = [r for r in records if r.job.network in (*wanted, MACHINE)]
        if not any(record.job.network in wanted for record in records):
            raise UserError(f"no record is of a network of {group}; it has {', '.join(wanted)}")
    networks = {record.job.network for record in records}
    if against is not None and against not in networks:
        raise unknown("network in these records", against, networks)
    writable(to)
    conclude(records, to, as_json, folders or [Path("results")], by, against, claims, names_in(formats))
