"""`bench run`: train or load networks, measure them and compare."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import Classes, DataRoot, Fold, Json, Quiet, SplitFile, app, data_options, writable
from bench.cli.report import conclude_with
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.jobs import Job
    from bench.plan import Plan
    from bench.quantities import Device
    from bench.records import Record


class DeviceChoice(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@app.command()
def run(
    networks: Annotated[list[str] | None, typer.Argument(help="Names from `bench list networks`.")] = None,
    all_networks: Annotated[bool, typer.Option("--all", help="Every network in the table.")] = False,
    dataset: Annotated[str, typer.Option(help="A name from `bench list datasets`.")] = "synthetic",
    data_root: DataRoot = None,
    classes: Classes = "",
    split_file: SplitFile = None,
    fold: Fold = 0,
    budget: Annotated[str | None, typer.Option(help="smoke, quick or paper. [default: quick, on a GPU paper]")] = None,
    steps: Annotated[int | None, typer.Option(help="Train so many steps instead of the budget's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Train so many epochs instead of the budget's.")] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to train and time.")] = DeviceChoice.auto,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 224,
    measure: Annotated[str, typer.Option(help="What to measure, by commas.")] = "cost,latency,dice",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of initial weights, order and augmentation.")] = 0,
    out: Annotated[Path, typer.Option(help="Where records and checkpoints are kept.")] = Path("results"),
    reports: Annotated[Path, typer.Option(help="Where the report is written.")] = Path("reports"),
    show_plan: Annotated[bool, typer.Option("--show-plan", help="Show what would be done, and stop.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train or load networks, measure them and compare.

    What is on record in --out is not measured again; a run that was stopped goes on where it was.

    Examples:

      bench run --all

      bench run mdsa_unet unet --dataset isic2017 --data-root ISIC2017 --steps 600
    """
    from bench.budgets import find_budget
    from bench.cli.display import announce, console
    from bench.plan import Question, keep_split, plan
    from bench.records import Store
    from bench.runner import missing

    chosen = _device(device)
    question = Question(
        networks=_chosen_networks(networks or [], all_networks),
        measures=tuple(name.strip() for name in measure.split(",")),
        budget=find_budget(budget or ("paper" if chosen == "cuda" else "quick"), steps, epochs),
        dataset=dataset,
        data_root=data_root,
        options=data_options(classes, split_file, fold),
        device=chosen,
        size=size,
        seed=seed,
    )
    for folder in (out, reports):
        writable(folder)
    planned = plan(question, out / "splits")
    waiting = missing(planned, Store(out))
    if show_plan or not quiet:
        announce(console(), planned, waiting, out)
    if show_plan:
        return
    keep_split(planned, out / "splits")
    records = _carry_out(planned, waiting, out, quiet)
    conclude_with(records, reports, as_json)
    if any(record.status != "ok" for record in records):
        raise typer.Exit(1)


def _chosen_networks(names: list[str], everything: bool) -> tuple[str, ...]:
    from bench.networks import NETWORKS

    if everything and names:
        raise UserError(f"both --all and {', '.join(names)} were given; give the names alone, or --all alone")
    if not everything and not names:
        raise UserError(f"no network was named; name some of {', '.join(NETWORKS)}, or give --all")
    return tuple(NETWORKS) if everything else tuple(dict.fromkeys(names))


def _device(choice: DeviceChoice) -> "Device":
    """What `auto` means here; refuses `cuda` on a machine without it."""
    from bench.environment import cuda_usable

    if choice is DeviceChoice.cpu:
        return "cpu"
    usable = cuda_usable()
    if choice is DeviceChoice.cuda and not usable:
        raise UserError("--device cuda: torch finds no CUDA device on this machine; give --device cpu, or leave it out")
    return "cuda" if usable else "cpu"


def _carry_out(planned: "Plan", waiting: "list[Job]", out: Path, quiet: bool) -> "list[Record]":
    """Do the plan under a progress display; on Ctrl-C say what is kept and how to go on."""
    from bench.cli.display import Progress, console
    from bench.records import Store
    from bench.runner import carry_out, missing

    ready = [record for job in planned.jobs if job not in waiting and (record := Store(out).find(job))]
    try:
        with Progress(console(), len(waiting), ready, quiet) as progress:
            return carry_out(planned, waiting, out, progress)
    except KeyboardInterrupt:
        done = len(planned.jobs) - len(missing(planned, Store(out)))
        typer.echo(
            f"\nStopped. {done} of {len(planned.jobs)} jobs are on record in {out}, "
            "and an unfinished training up to its last checkpoint.\n"
            f"Go on with: {shlex.join(['bench', *sys.argv[1:]])}",
            err=True,
        )
        raise typer.Exit(130) from None
