"""`bench check`: do the claims hold?"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Exit, Option, echo

from bench.cli.options import Claims, DeviceOption, Folders, Quiet, command, names_in, records_of
from bench.errors import unknown
from bench.files import writable

PROCESSES = 6  # of each network of a quotient: two more than are needed, should something disturb some
COLORS = {"✓": "green", "✗": "red", "?": "yellow"}
Format = Literal["text", "markdown", "json", "junit", "github"]


@command()
def check(
    folders: Folders = None,
    claims: Claims = None,
    only: Annotated[str, Option(help="Claims whose names begin so, by commas.")] = "",
    measure_missing: Annotated[bool, Option("--measure-missing", help="Measure what no training needs.")] = False,
    device: Annotated[DeviceOption, Option(help="Where to measure.")] = "auto",
    out: Annotated[Path, Option(help="Where new records are kept.")] = Path("results"),
    format_: Annotated[Format, Option("--format", help="How the verdicts are printed.")] = "text",
    quiet: Quiet = False,
) -> None:
    """Check whether each claim holds, fails or is undecided, and from which records.

    Only records of what is claimed are read, by the names of their files; `bench report` names others that are damaged.

    Exit code 0: none fails. 1: one fails. 2: the claims or the records cannot be read. Undecided is no failure.

    Examples:

      bench check

      bench check --measure-missing --only paper-parameters,built --format github
    """
    from bench.judge.claims_file import default_claims, read_claims
    from bench.judge.verdict import judge
    from bench.machine import this_machine
    from bench.run.job import file_name

    claims = claims or default_claims()
    asked, names, machine = read_claims(claims), names_in(only), this_machine().fingerprint
    for name in names:
        if not any(claim.name.startswith(name) for claim in asked):
            raise unknown(f"claim in {claims}", name, {claim.name.partition("/")[0] for claim in asked})
    asked = [claim for claim in asked if not names or claim.name.startswith(names)]
    about = tuple({f"{file_name(name)}-{claim.about.quantity}-" for claim in asked for name in claim.networks})
    records = records_of(folders or [], whole=True, default=out, wanted=lambda name: name.startswith(about))
    verdicts = judge(asked, records, machine)
    if measure_missing:
        from bench.cli.display import do
        from bench.cli.signals import stopped_by_signals
        from bench.judge.missing import missing_jobs
        from bench.quantities.budget import find_budget
        from bench.run.asked import device_of
        from bench.run.plan import of_jobs
        from bench.run.study import Study

        writable(out)
        where, budget = device_of(device), replace(find_budget("quick"), processes=PROCESSES)
        if jobs := missing_jobs(verdicts, records, where, budget):
            networks = tuple(dict.fromkeys(job.network for job in jobs))
            planned = of_jobs(Study(networks, (), budget, (), where), jobs)
            with stopped_by_signals():
                found = {record.id: record for record in [*records, *do(planned, out, quiet)]}
            verdicts = judge(asked, list(found.values()), machine)
    _print(verdicts, format_)
    raise Exit(int(any(verdict.outcome == "fails" for verdict in verdicts)))


def _print(verdicts: list[Any], format_: Format) -> None:
    """Print the verdicts; on GitHub's runners also into the summary of the step."""
    from bench.errors import plain
    from bench.report.verdicts import BESIDE, FORMATS, as_markdown

    shown = plain(FORMATS[format_](verdicts))
    if format_ == "text":
        from bench.cli.terminal import console, say

        to = console(stderr=False)
        for line in shown.splitlines():
            mark, gap, rest = line.partition("  ")
            indent = len(line) - len(line.lstrip())
            parts = (mark, COLORS.get(mark[:1], "")), gap + rest
            say(to, *parts, wrap=False, hang=indent + 2 if indent else BESIDE)
    else:
        echo(shown)
    if format_ == "github" and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
        with Path(summary).open("a", encoding="utf-8") as lines:
            lines.write(as_markdown(verdicts) + "\n")
