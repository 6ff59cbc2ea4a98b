"""`bench run`: train or load networks, measure them and compare."""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import (
    Arg,
    Classes,
    DataRoot,
    DeviceChoice,
    Fold,
    Json,
    Quiet,
    SplitFile,
    app,
    data_options,
    device_of,
    names_in,
    writable,
)
from bench.cli.report import conclude_with
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.quantities import Device
    from bench.run.job import Job
    from bench.run.plan import Plan
    from bench.run.store import Record


@app.command()
def run(
    networks: Annotated[
        list[str] | None,
        typer.Argument(help="Names from `bench list networks`, file.py:Name, smp:Unet/resnet34, package.module:Name."),
    ] = None,
    all_networks: Annotated[bool, typer.Option("--all", help="Every network in the table.")] = False,
    group: Annotated[str, typer.Option(help="All of some groups: cnn, transformer, hybrid, light, paper.")] = "",
    arg: Arg = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Networks from elsewhere begin with the weights of their libraries.")
    ] = False,
    dataset: Annotated[str, typer.Option(help="A name from `bench list datasets`.")] = "synthetic",
    data_root: DataRoot = None,
    classes: Classes = "",
    split_file: SplitFile = None,
    fold: Fold = 0,
    budget: Annotated[str | None, typer.Option(help="smoke, quick or paper. [default: quick, on a GPU paper]")] = None,
    steps: Annotated[int | None, typer.Option(help="Train so many steps instead of the budget's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Train so many epochs instead of the budget's.")] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to train and time.")] = DeviceChoice.auto,
    size: Annotated[str, typer.Option(help="Pixels a side; of several, 224,128,448, the first is trained at.")] = "224",
    batch: Annotated[str, typer.Option(help="Images a call to time, by commas; the first is the table's.")] = "1",
    variant: Annotated[
        str, typer.Option(help="Ways to deploy to time too, such as folded,channels_last+bfloat16,compiled,onnx.")
    ] = "",
    measure: Annotated[
        str,
        typer.Option(
            help="By commas: cost, memory, latency, energy, profile, dice. [default: all but profile, energy on a GPU]"
        ),
    ] = "",
    seeds: Annotated[str, typer.Option(help="One training each, by commas: 0,1,2.")] = "0",
    devices: Annotated[int, typer.Option(min=1, help="GPUs, or processes on a CPU, that share each batch.")] = 1,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many checks without gain. [default: never]")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Score these weights of one network, safetensors or .pt; train nothing.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds without a sign of life after which a job is given up.")
    ] = 600,
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

      bench run nets/mine.py:TinyNet --arg width=32 --group light
    """
    from bench.cli.display import announce, console
    from bench.quantities.budget import find_budget
    from bench.run.local import missing
    from bench.run.plan import Question, keep_split, plan
    from bench.run.store import Store

    _refuse_training(weights, steps or epochs)
    chosen = device_of(device)
    sizes = _numbers("--size", size, least=1)
    question = Question(
        networks=_chosen_networks(networks or [], all_networks, names_in(group), arg or [], pretrained),
        measures=names_in(measure) or _usual_measures(chosen),
        budget=find_budget(budget or ("paper" if chosen == "cuda" else "quick"), steps, epochs),
        dataset=dataset, data_root=data_root, options=data_options(classes, split_file, fold), device=chosen,
        size=sizes[0], sizes=sizes[1:], batches=_numbers("--batch", batch, least=1), variants=names_in(variant),
        seeds=_numbers("--seeds", seeds, least=0), devices=devices, patience=patience, weights=weights,
        silence_s=timeout,
    )  # fmt: skip
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
    conclude_with(records, reports, as_json, [out])
    if any(record.status != "ok" for record in records):
        raise typer.Exit(1)


def _chosen_networks(
    names: list[str], everything: bool, groups: tuple[str, ...], arguments: list[str], pretrained: bool
) -> tuple[str, ...]:
    """The names in their one spelling, each once, and then those of the groups, or the whole table."""
    from bench.networks import NETWORKS, with_arguments
    from bench.networks.names import pairs
    from bench.networks.table import in_groups

    if everything and (names or groups):
        raise UserError(f"both --all and {', '.join((*names, *groups))} were given; give one of the two")
    if not (everything or names or groups):
        raise UserError(f"no network was named; name some of {', '.join(NETWORKS)}, or give --all")
    given = pairs(arguments)
    named = [with_arguments(name, given, pretrained) for name in names]
    if (given or pretrained) and all(name in NETWORKS for name in named):
        option = "--arg" if given else "--pretrained"
        raise UserError(
            f"{option} is for networks from elsewhere, and none was named; those of the table are built as published, "
            "from random weights: leave it out, or name one such as smp:Unet/resnet34"
        )
    return tuple(NETWORKS) if everything else tuple(dict.fromkeys([*named, *in_groups(groups)]))


def _refuse_training(weights: Path | None, length: int | None) -> None:
    if weights and length:
        raise UserError(f"--weights {weights} is trained already; leave --steps and --epochs out")


def _usual_measures(device: "Device") -> tuple[str, ...]:
    """Energy is left to those who ask where no counter is to be expected, profiles to those who ask."""
    from bench.quantities import OPTIONAL, QUANTITIES

    return tuple(name for name in QUANTITIES if name not in OPTIONAL or (name == "energy" and device == "cuda"))


def _numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """Whole numbers by commas, each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and least <= int(part) < 2**32 for part in parts):
        raise UserError(f"{option} takes whole numbers from {least} on by commas, such as 1,2,4; got '{text}'")
    return tuple(dict.fromkeys(map(int, parts)))


def _carry_out(planned: "Plan", waiting: "list[Job]", out: Path, quiet: bool) -> "list[Record]":
    """Do the plan under a progress display; on Ctrl-C say what is kept and how to go on."""
    from bench.cli.display import Progress, console, overhead
    from bench.run.local import carry_out, missing
    from bench.run.store import Store

    ready = [record for job in planned.jobs if job not in waiting and (record := Store(out).find(job))]
    begun = time.monotonic()
    try:
        with Progress(console(), len(waiting), ready, quiet) as progress:
            records = carry_out(planned, waiting, out, progress)
    except KeyboardInterrupt:
        done = len(planned.jobs) - len(missing(planned, Store(out)))
        typer.echo(
            f"\nStopped. {done} of {len(planned.jobs)} jobs are on record in {out}, "
            "and an unfinished training up to its last checkpoint.\n"
            f"Go on with: {shlex.join(['bench', *sys.argv[1:]])}",
            err=True,
        )
        raise typer.Exit(130) from None
    if waiting and not quiet:
        measured = sum(record.window_s or 0.0 for record in records if record.job in waiting)
        typer.echo(overhead(time.monotonic() - begun, measured), err=True)
    return records
