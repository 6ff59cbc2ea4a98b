"""`bench run`: train or load networks, measure them and compare."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Exit, Option, echo

from bench.cli.asked import RunOptions
from bench.cli.options import DataOptions, Json, Quiet, command, numbers_in
from bench.cli.signals import stopped_by_signals
from bench.errors import UserError
from bench.files import unusable, writable

if TYPE_CHECKING:
    from bench.run.plan import Plan
    from bench.run.study import Study
    from bench.run.study_file import StudyFile

MOST_GPUS = 1023


@command()
def run(
    asked: RunOptions,
    data: DataOptions,
    out: Annotated[Path | None, Option(help="Where records and checkpoints are kept. [default: results]")] = None,
    reports: Annotated[Path | None, Option(help="Where the report is written. [default: reports]")] = None,
    on: Annotated[
        Literal["local", "slurm"] | None, Option(help="Who runs it: this machine, or Slurm. [default: local]")
    ] = None,
    gpus: Annotated[str | None, Option(help="The GPUs to use, by commas: 0,2. [default: all]")] = None,
    detach: Annotated[bool, Option("--detach", help="With --on slurm: submit, and do not wait.")] = False,
    save_study: Annotated[Path | None, Option(help="Write this command as a study (FILE.toml), and stop.")] = None,
    show_plan: Annotated[bool, Option("--show-plan", help="Show what would be done, and stop.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train or load networks, measure them and compare.

    Records already in --out are not measured again; a run that was stopped is resumed. Several runs may share an --out:
    each job is done by one of them. Files in --reports that no report wrote are moved aside, never overwritten.

    A study is a file that says all of this; options stand above it.

    Examples:

      bench run --all

      bench run mdsa_unet unet --dataset ddti --data-root DDTI --steps 600

      bench run nets/mine.py:TinyNet --arg width=32 --group light

      bench run study.toml --on slurm --detach
    """
    from bench.cli.display import announce, conclude, do
    from bench.cli.terminal import console
    from bench.run.plan import keep_split
    from bench.run.store import WRITTEN

    with stopped_by_signals():
        numbers = numbers_in("--gpus", gpus, least=0, most=MOST_GPUS) if gpus is not None else None
        study = asked.study(data, out=out, reports=reports, on=on, gpus=numbers)
        if save_study:
            _save(study, save_study)
            return
        writable(study.out, WRITTEN)
        writable(study.reports)
        if study.on == "slurm":
            from bench.cli.cluster import submit

            submit(study, asked.study_name, detach, show_plan, quiet, as_json)
            return
        if detach:
            raise UserError("--detach is for a run with --on slurm; on this machine start it with nohup, and leave it")
        planned = planned_here(study, asked.study_name if not show_plan else "", quiet)
        if show_plan or not quiet:
            announce(console(), planned, study.out)
        if show_plan:
            return
        keep_split(planned, study.out / "splits")
        records = do(planned, study.out, quiet)
        try:
            conclude(records, study.reports, as_json, [study.out], claims=study.claims)
        except (OSError, UserError) as error:
            raise not_reported(error, study.out) from None
        raise Exit(int(any(record.status != "ok" for record in records)))


def planned_here(study: "StudyFile", name: str, quiet: bool) -> "Plan":
    """The plan of a study on this machine. One from a file, of this `name`, is kept beside its records."""
    from bench.judge.claims_file import read_claims
    from bench.run.gpus import choose
    from bench.run.kept_study import keep_study, settled
    from bench.run.tasks import note_plans

    if study.gpus:
        if study.device == "cpu":
            raise UserError("--gpus chooses among GPUs, and --device is cpu here; leave one of the two out")
        choose(study.gpus)
    if study.claims:
        read_claims(study.claims)  # what is wrong with them is told before the work
    asked = study.study()
    if not name:
        return read_and_plan(asked, study.out, quiet)
    planned = read_and_plan(settled(asked, study.out), study.out, quiet)
    keep_study(study, name)
    note_plans(planned, asked, study.out)
    return planned


def read_and_plan(study: "Study", out: Path, quiet: bool) -> "Plan":
    """The plan of a study, showing how far its data sets are read."""
    from bench.cli.terminal import Status, console
    from bench.run.plan import plan

    with Status(console(), quiet, transient=True) as status:
        return plan(study, out / "splits", lambda name, *counts: status.count(f"reading {name}", *counts))


def _save(study: "StudyFile", path: Path) -> None:
    """Write a study's file; what is wrong with it is told before."""
    from bench.cli.options import STUDY
    from bench.files import write_whole
    from bench.run.kept_study import as_toml

    if path.suffix != STUDY:
        raise UserError(f"--save-study {path}: a study's file ends in {STUDY}; give a name such as study.toml")
    if path.exists():
        raise UserError(f"--save-study {path}: there is such a file; give another name, or remove it")
    study.study(elsewhere=study.on != "local")
    try:
        write_whole(path, as_toml(study, path.parent))
    except OSError as error:
        raise unusable(error, path) from None
    echo(f"Written: {path}. Start it with: bench run {shlex.quote(str(path))}")


def not_reported(error: OSError | UserError, out: Path) -> UserError:
    """The error for a report that cannot be written: why, what is kept, and the command that writes it elsewhere."""
    elsewhere = shlex.join(["bench", "report", str(out), "--to", "FOLDER"])
    return UserError(f"{unusable(error)}; all records are kept in {out}, write their report with: {elsewhere}")
