"""`bench report`: the report of stored records."""

from pathlib import Path
from typing import Annotated

from typer import Option, echo

from bench.cli.options import RESULTS, Claims, Folders, Json, command, names_in, records_of, writable
from bench.errors import UserError, unknown

PROTOCOLS = "per_image, per_volume, pooled, transunet"
FORMATS = "pdf, html, markdown, latex, csv, parquet"


@command()
def report(
    folders: Folders = None,
    to: Annotated[Path, Option(help="Where the report is written.")] = Path("reports"),
    protocol: Annotated[str | None, Option(help=f"Of Dice: {PROTOCOLS}. [default: the data set's]")] = None,
    against: Annotated[str | None, Option(help="Compare the others to it. [default: mdsa_unet, else best]")] = None,
    group: Annotated[str, Option(help="Only networks of these groups: cnn, transformer, hybrid, ...")] = "",
    formats: Annotated[str, Option("--format", help=f"By commas: {FORMATS}. [default: all]")] = "",
    claims: Claims = None,
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
    from bench.quantities.scores import find_protocol
    from bench.read.load import record_folders
    from bench.read.sections import outdated

    by = find_protocol(protocol) if protocol else None
    records = records_of(folders or [])
    for record in outdated(records):
        echo(f"left out: {record.id}, for {record.job.network}'s code was edited since", err=True)
    if names := names_in(group):
        wanted = in_groups(names)
        records = [r for r in records if r.job.network in (*wanted, MACHINE)]
        if not any(record.job.network in wanted for record in records):
            raise UserError(f"no record is of a network of {group}; it has {', '.join(wanted)}")
    networks = {record.job.network for record in records}
    if against is not None and against not in networks:
        raise unknown("network in these records", against, networks)
    writable(to)
    conclude(records, to, as_json, folders or record_folders(RESULTS), by, against, claims, names_in(formats))
