"""`bench check`: do the claims hold?"""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import DeviceChoice, Quiet, app, device_of, names_in, writable

if TYPE_CHECKING:
    from bench.judge.claim import Claim
    from bench.judge.verdict import Verdict
    from bench.quantities import Device
    from bench.run.job import Job
    from bench.run.store import Record

PROCESSES = 6  # of each network of a quotient: two more than are needed, should something disturb some


class Format(StrEnum):
    text = "text"
    markdown = "markdown"
    json = "json"
    junit = "junit"
    github = "github"


@app.command()
def check(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of records. [default: those in results/ that exist]")
    ] = None,
    claims: Annotated[
        Path | None,
        typer.Option(help="The file of claims. [default: ./claims.toml, else those that come with this program]"),
    ] = None,
    only: Annotated[str, typer.Option(help="Claims whose names begin so, by commas.")] = "",
    measure_missing: Annotated[
        bool, typer.Option("--measure-missing", help="Measure what is not on record; nothing is trained.")
    ] = False,
    device: Annotated[DeviceChoice, typer.Option(help="Where to measure.")] = DeviceChoice.auto,
    out: Annotated[Path, typer.Option(help="Where new records are kept.")] = Path("results"),
    format_: Annotated[Format, typer.Option("--format", help="How the verdicts are printed.")] = Format.text,
    quiet: Quiet = False,
) -> None:
    """Tell of each claim whether it holds, fails or is undecided, and from which records.

    Exit code 0: none fails. 1: one fails. 2: the claims or the records cannot be read. Undecided is no failure.

    Examples:

      bench check

      bench check --measure-missing --only paper-parameters,built --format github
    """
    from bench.judge.claims_file import default_claims, read_claims
    from bench.judge.verdict import judge
    from bench.machine import environment

    claims = claims or default_claims()
    asked = _chosen(read_claims(claims), only, claims)
    records = _records(folders or [], out)
    machine = environment().fingerprint
    verdicts = judge(asked, records, machine)
    if measure_missing:
        writable(out)
        if measured := _measure(verdicts, records, device, out, quiet):
            records = [*(r for r in records if r.id not in {m.id for m in measured}), *measured]
            verdicts = judge(asked, records, machine)
    _tell(verdicts, format_)
    if any(verdict.outcome == "fails" for verdict in verdicts):
        raise typer.Exit(1)


def _chosen(claims: "list[Claim]", only: str, path: Path) -> "list[Claim]":
    from bench.errors import unknown

    wanted = names_in(only)
    for name in wanted:
        if not any(claim.name.startswith(name) for claim in claims):
            tables = dict.fromkeys(claim.name.partition("/")[0] for claim in claims)
            raise unknown(f"claim in {path}", name, tables)
    return [claim for claim in claims if not wanted or claim.name.startswith(wanted)]


def _records(folders: list[Path], out: Path) -> "list[Record]":
    """All records of the folders. A damaged one is an error here: a gate that looks past it is open."""
    from bench.errors import UserError
    from bench.run.store import load, record_folders

    loaded = load(folders or record_folders(out))
    if loaded.problems:
        raise UserError("\n".join(["these records cannot be trusted, and so no verdict can:", *loaded.problems]))
    return loaded.records


def _measure(
    verdicts: "list[Verdict]", records: "list[Record]", device: DeviceChoice, out: Path, quiet: bool
) -> "list[Record]":
    """Measure what would decide more, as `bench run` does."""
    from dataclasses import replace

    from bench.judge.missing import missing_jobs
    from bench.quantities.budget import find_budget

    chosen = device_of(device)
    budget = replace(find_budget("quick"), processes=PROCESSES)
    jobs = missing_jobs(verdicts, records, chosen, budget)
    return _carry_out(jobs, chosen, out, quiet) if jobs else []


def _carry_out(jobs: "list[Job]", device: "Device", out: Path, quiet: bool) -> "list[Record]":
    from bench.cli.display import Progress, console
    from bench.quantities.budget import find_budget
    from bench.run.local import carry_out, missing
    from bench.run.plan import Question, of_jobs
    from bench.run.store import Store

    networks = tuple(dict.fromkeys(job.network for job in jobs))
    question = Question(networks, (), find_budget("quick"), "synthetic", None, device)
    planned = of_jobs(question, jobs)
    waiting = missing(planned, Store(out))
    try:
        with Progress(console(), len(waiting), [], quiet) as progress:
            return carry_out(planned, waiting, out, progress)
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. What was measured is kept in {out}; the same command goes on from there.", err=True)
        raise typer.Exit(130) from None


def _tell(verdicts: "list[Verdict]", format_: Format) -> None:
    """Print the verdicts; on GitHub's runners also into the summary of the step."""
    from bench.report.verdicts import FORMATS, as_markdown

    if format_ is Format.text:
        _draw(verdicts)
    else:
        typer.echo(FORMATS[format_.value](verdicts))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if format_ is Format.github and summary:
        with Path(summary).open("a") as lines:
            lines.write(as_markdown(verdicts) + "\n")


def _draw(verdicts: "list[Verdict]") -> None:
    """Lines with a sign, a word and a colour for each verdict."""
    from rich.console import Console
    from rich.text import Text

    from bench.report.verdicts import as_text

    colours = {"✓": "green", "✗": "red", "?": "yellow"}
    to = Console()
    for line in as_text(verdicts).splitlines():
        text = Text(line)
        if line[:1] in colours:
            text.stylize(colours[line[0]], 0, len("✓ undecided"))
        to.print(text, soft_wrap=True)
