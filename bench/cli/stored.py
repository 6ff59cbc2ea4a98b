"""`bench report`, `pick`, `compare` and `history`: answers from stored records. Nothing is measured."""

import glob
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, BadParameter, Exit, Option, echo

from bench.cli.options import Claims, Folders, Json, command, folders_of, names_in, print_json, records_of, studies_in
from bench.errors import UserError, unknown
from bench.files import writable

PROTOCOLS = "per_image, per_volume, pooled, transunet"
FORMATS = "pdf, html, markdown, latex, csv, parquet"


@command()
def report(
    folders: Folders = None,
    to: Annotated[Path | None, Option(help="Where the report is written. [default: reports]")] = None,
    protocol: Annotated[str | None, Option(help=f"Of Dice: {PROTOCOLS}. [default: the data set's]")] = None,
    against: Annotated[str | None, Option(help="Compare the others to it. [default: mdsa_unet, else best]")] = None,
    group: Annotated[str, Option(help="Only networks of these groups: cnn, transformer, hybrid, ...")] = "",
    formats: Annotated[str, Option("--format", help=f"By commas: {FORMATS}. [default: all]")] = "",
    claims: Claims = None,
    as_json: Json = False,
) -> None:
    """Write the report of stored records: PDF, HTML, Markdown, LaTeX, CSV, Parquet. Nothing is measured.

    What is damaged is named and left out. Exit code 2 if a format could not be written; the others are.

    Examples:

      bench report results/reference --to reports/reference

      bench report --format html,latex
    """
    # Before numpy is imported: its products here are so small that threads would mostly wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bench.cli.display import conclude
    from bench.errors import plain
    from bench.quantities.scores import find_protocol
    from bench.read.load import record_folders
    from bench.read.sections import outdated
    from bench.report.compose import of_groups

    by = find_protocol(protocol) if protocol else None
    studies = studies_in(folders or [])
    to = to or next((one.reports for one in studies), Path("reports"))
    claims = claims or next((one.claims for one in studies), None)
    records = records_of(folders or [])
    for record in outdated(records):
        echo(plain(f"left out: {record.id}, for {record.job.network}'s code or its libraries changed since"), err=True)
    records = of_groups(records, names_in(group))
    networks = {record.job.network for record in records}
    if against is not None and against not in networks:
        raise unknown("network in these records", against, networks)
    writable(to)
    places = [*map(Path, folders_of(folders))] if folders else record_folders(Path("results"))
    conclude(records, to, as_json, places, by, against, claims, names_in(formats))


def _amount(text: str) -> float:
    """ "10M" is 10 million."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text.strip())
    if not found:
        raise BadParameter(f"takes a number, with k, M or G if you like, such as 10M; got '{text}'")
    return float(found[1]) * {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]]


@command()
def pick(
    folders: Folders = None,
    max_latency_ms: Annotated[float | None, Option(min=0, help="Of one image, in milliseconds.")] = None,
    max_params: Annotated[float | None, Option(parser=_amount, metavar="N", help="Parameters, such as 10M.")] = None,
    max_macs: Annotated[float | None, Option(parser=_amount, metavar="N", help="Multiply-adds, such as 5G.")] = None,
    max_memory_mib: Annotated[float | None, Option(min=0, help="Peak of one forward pass, in MiB.")] = None,
    min_dice: Annotated[float | None, Option(min=0, max=1, help="0 to 1.")] = None,
    dataset: Annotated[str, Option(help="Whose Dice. [default: the only one]")] = "",
    device: Annotated[Literal["cpu", "cuda"] | None, Option(help="Where it is to run. [default: any]")] = None,
    as_json: Json = False,
) -> None:
    """Name the network to use under a budget, and why, from stored records.

    Exit code 1 if none fits.

    Example: bench pick --max-latency-ms 100 --max-params 10M --dataset isic2017
    """
    from bench.cli.terminal import console, say
    from bench.judge import pick as picking
    from bench.machine import this_machine
    from bench.read.sections import sections
    from bench.report.text import candidate_line, pick_reason

    bounds = {
        "latency": max_latency_ms and max_latency_ms / 1e3, "parameters": max_params,
        "multiply-adds": max_macs, "memory": max_memory_mib and max_memory_mib * 2**20,
        "dice": min_dice,
    }  # fmt: skip
    records = records_of(folders or [])
    section = picking.choose_section(sections(records), dataset, device or "", this_machine().fingerprint)
    candidates = picking.pick(section, {name: bound for name, bound in bounds.items() if bound is not None})
    if as_json:
        print_json([{
            "network": one.row.network, "fits": one.fits,
            **{limit.name: limit.value(one.row) for limit in picking.LIMITS.values()},
            "breaks": [{"limit": b.limit.name, "bound": b.bound, "value": b.value} for b in one.broken],
            "rivals": [row.network for row in one.rivals], "records": [record.id for record in one.row.records],
        } for one in candidates])  # fmt: skip
    else:
        lines = [f"{'✓' if candidate.fits else '✗'} {candidate_line(candidate)}" for candidate in candidates]
        say(console(stderr=False), "\n".join([pick_reason(section, candidates), "", *lines]), wrap=False, hang=2)
    raise Exit(int(not candidates[0].fits))


@command()
def compare(
    base: Annotated[str, Argument(help="Before: a folder, a file, or a git revision, REV or REV:folder.")],
    head: Annotated[str, Argument(help="After: the same.")] = "results",
    fail_on: Annotated[Literal["nothing", "worse"], Option(help="Exit with code 1 if something is worse.")] = "nothing",
    format_: Annotated[Literal["text", "markdown", "json"], Option("--format", help="How they are printed.")] = "text",
) -> None:
    """Show what got better or worse, appeared or vanished between two sets of records.

    Figures of different machines, conditions or images are not compared; the line says what differs. Networks whose
    code is unchanged are controls: where all of them move alike, the machine drifted, and changes are judged without
    that.

    Examples:

      bench compare main results

      bench compare HEAD~1 HEAD --fail-on worse
    """
    from bench.cli.terminal import console, say
    from bench.errors import plain
    from bench.judge.compare import compare as compare_records
    from bench.read.versions import uncommitted
    from bench.report.changes import FORMATS

    sides = {given: records_of([given]) for given in (base, head)}
    changes = compare_records(sides[base], sides[head])
    told = FORMATS[format_](changes)
    if format_ == "text":
        say(console(stderr=False), told, wrap=False, hang=2)
    else:
        echo(plain(told))
    for given, note in ((given, note) for given, records in sides.items() for note in uncommitted(records)):
        echo(f"{given}: {note}", err=True)
    if changes and all(change.outcome == "refused" for change in changes):
        raise UserError(f"nothing in {base} and {head} can be compared: {changes[0].reason}")
    raise Exit(int(fail_on == "worse" and any(change.outcome == "worse" for change in changes)))


@command()
def history(
    network: Annotated[str, Argument(help="A name from `bench list networks`.")],
    metric: Annotated[str, Argument(help="parameters, macs_fvcore, latency, memory_inference, dice, ...")],
    dataset: Annotated[str, Option(help="Of a score, the data set. [default: the first by name]")] = "",
    records: Annotated[str, Option(help="The folder of records, as the commits have it.")] = "results",
    to: Annotated[Path, Option(help="Where the figure is written.")] = Path("reports"),
    as_json: Json = False,
) -> None:
    """Draw a metric over the commits that have records of it.

    Example: bench history mdsa_unet latency
    """
    from bench.judge.history import history as points_of
    from bench.networks import find_network
    from bench.quantities import find_metric
    from bench.report.history import as_text, draw, facts
    from bench.run.job import file_name

    about = find_metric(metric)
    files = f"{glob.escape(file_name(network))}-{about.quantity}-*.json"
    if not any(Path(records).rglob(files)):  # there may be some of predictions elsewhere
        find_network(network)
    writable(to)
    points = points_of(network, about, dataset, records)
    if not points:
        what = f"{network}'s {metric}" + (f" on {dataset}" if dataset else "")
        raise UserError(f"no commit has a record of {what} below '{records}'; commit what `bench run` wrote")
    if as_json:
        print_json([facts(point) for point in points])
    else:
        echo(f"{as_text(network, about, points)}\n\nDrawn in {draw(network, about, points, to)}")
