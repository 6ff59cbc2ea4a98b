"""`bench check`: do the claims hold?"""

import os
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from bench.cli.app import command
from bench.cli.options import DeviceOption, Folders, Quiet, device_of, names_in, writable
from bench.errors import UserError, unknown

if TYPE_CHECKING:
    from bench.judge.claim import Claim
    from bench.judge.verdict import Verdict
    from bench.quantities import Device
    from bench.run.store import Record

PROCESSES = 6  # of each network of a quotient: two more than are needed, should something disturb some
COLORS = {"✓": "green", "✗": "red", "?": "yellow"}
Format = StrEnum("Format", ["text", "markdown", "json", "junit", "github"])


@command()
def check(
    folders: Folders = None,
    claims: Annotated[Path, Option(help="The file of claims.")] = Path("claims.toml"),
    only: Annotated[str, Option(help="Claims whose names begin so, by commas.")] = "",
    measure_missing: Annotated[
        bool, Option("--measure-missing", help="Measure what is not on record; nothing is trained.")
    ] = False,
    device: Annotated[DeviceOption, Option(help="Where to measure.")] = DeviceOption.auto,
    out: Annotated[Path, Option(help="Where new records are kept.")] = Path("results"),
    format_: Annotated[Format, Option("--format", help="How the verdicts are printed.")] = Format.text,
    quiet: Quiet = False,
) -> None:
    """Tell of each claim whether it holds, fails or is undecided, and from which records.

    Exit code 0: none fails. 1: one fails. 2: the claims or the records cannot be read. Undecided is no failure.

    Examples:

      bench check

      bench check --measure-missing --only paper-parameters,built --format github
    """
    from bench.judge.claims_file import read_claims
    from bench.judge.verdict import judge
    from bench.machine import environment
    from bench.run.store import load, record_folders

    asked, machine = _claims_named(read_claims(claims), only, claims), environment().fingerprint
    loaded = load(folders or record_folders(out))
    if loaded.problems:  # an error here: a check that looks past a damaged record proves nothing
        raise UserError("\n".join(["these records cannot be trusted, and so no verdict can:", *loaded.problems]))
    verdicts = judge(asked, loaded.records, machine)
    if measure_missing:
        writable(out)
        measured = _measure(verdicts, loaded.records, device_of(device), out, quiet)
        records = {record.id: record for record in [*loaded.records, *measured]}
        verdicts = judge(asked, list(records.values()), machine)
    _print(verdicts, format_)
    if any(verdict.outcome == "fails" for verdict in verdicts):
        raise typer.Exit(1)


def _claims_named(claims: "list[Claim]", only: str, path: Path) -> "list[Claim]":
    """The claims whose names begin so."""
    wanted = names_in(only)
    for name in wanted:
        if not any(claim.name.startswith(name) for claim in claims):
            raise unknown(f"claim in {path}", name, {claim.name.partition("/")[0] for claim in claims})
    return [claim for claim in claims if not wanted or claim.name.startswith(wanted)]


def _measure(
    verdicts: "list[Verdict]", records: "list[Record]", device: "Device", out: Path, quiet: bool
) -> "list[Record]":
    """Measure what would decide more, as `bench run` does."""
    from bench.cli.display import do
    from bench.judge.missing import missing_jobs
    from bench.quantities.budget import find_budget
    from bench.run.plan import Question, of_jobs

    budget = replace(find_budget("quick"), processes=PROCESSES)
    jobs = missing_jobs(verdicts, records, device, budget)
    networks = tuple(dict.fromkeys(job.network for job in jobs))
    question = Question(networks, (), budget, "synthetic", None, device)
    return do(of_jobs(question, jobs), out, quiet) if jobs else []


def _print(verdicts: "list[Verdict]", format_: Format) -> None:
    """Print the verdicts; on GitHub's runners also into the summary of the step."""
    from bench.report.verdicts import FORMATS, as_markdown

    shown = FORMATS[format_.value](verdicts)
    if format_ is Format.text:
        from bench.cli.terminal import console, say

        for line in shown.splitlines():
            mark = line[: len("✓ undecided")]
            say(console(stderr=False), (mark, COLORS.get(line[:1], "")), line[len(mark) :], wrap=False)
    else:
        typer.echo(shown)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if format_ is Format.github and summary:
        with Path(summary).open("a") as lines:
            lines.write(as_markdown(verdicts) + "\n")
