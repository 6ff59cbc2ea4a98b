"""`bench run`: train or load networks, measure them and compare."""

import shlex
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from bench.cli.options import DataOptions, Json, Quiet, RunOptions, command
from bench.cli.signals import stopped_by_signals
from bench.errors import UserError
from bench.files import unusable, writable


@command()
def run(
    asked: RunOptions,
    data: DataOptions,
    out: Annotated[Path, Option(help="Where records and checkpoints are kept.")] = Path("results"),
    reports: Annotated[Path, Option(help="Where the report is written.")] = Path("reports"),
    show_plan: Annotated[bool, Option("--show-plan", help="Show what would be done, and stop.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train or load networks, measure them and compare.

    Records already in --out are not measured again; a run that was stopped is resumed. Several runs may share an --out:
    each job is done by one of them. Files in --reports that no report wrote are moved aside, never overwritten.

    Examples:

      bench run --all

      bench run mdsa_unet unet --dataset ddti --data-root DDTI --steps 600

      bench run nets/mine.py:TinyNet --arg width=32 --group light
    """
    from bench.cli.display import announce, conclude, do
    from bench.cli.terminal import Status, console
    from bench.run.plan import keep_split, plan
    from bench.run.store import WRITTEN

    with stopped_by_signals():
        study = asked.study(data)
        writable(out, WRITTEN)
        writable(reports)
        with Status(console(), quiet, transient=True) as status:
            planned = plan(study, out / "splits", lambda name, *counts: status.count(f"reading {name}", *counts))
        if show_plan or not quiet:
            announce(console(), planned, out)
        if show_plan:
            return
        keep_split(planned, out / "splits")
        records = do(planned, out, quiet)
        try:
            conclude(records, reports, as_json, [out])
        except (OSError, UserError) as error:
            raise not_reported(error, out) from None
        raise Exit(int(any(record.status != "ok" for record in records)))


def not_reported(error: OSError | UserError, out: Path) -> UserError:
    """The error for a report that cannot be written: why, what is kept, and the command that writes it elsewhere."""
    elsewhere = shlex.join(["bench", "report", str(out), "--to", "FOLDER"])
    return UserError(f"{unusable(error)}; all records are kept in {out}, write their report with: {elsewhere}")
