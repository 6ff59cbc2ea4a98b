"""The command line: parse, call one function, print. Heavy imports happen inside the command that needs them."""

import json
import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench import __version__
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.quantities import Device
    from bench.records import Record

app = typer.Typer(
    help="Tells how accurate and how cheap a medical segmentation network is.\n\nStart with: bench run --all",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Listed(StrEnum):
    networks = "networks"
    datasets = "datasets"
    budgets = "budgets"


class DeviceChoice(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"mdsa-bench {__version__}")
        raise typer.Exit


@app.command("list")
def list_(what: Annotated[Listed, typer.Argument(help="networks, datasets or budgets")], as_json: Json = False) -> None:
    """List what can be measured, and on what.

    Example: bench list networks
    """
    facts = _facts(what)
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    columns = list(facts[0])
    widths = [max(len(str(fact[column])) for fact in [*facts, {c: c for c in columns}]) for column in columns]
    for line in [{column: column for column in columns}, *facts]:
        typer.echo("  ".join(str(line[c]).ljust(w) for c, w in zip(columns, widths, strict=True)).rstrip())


def _facts(what: Listed) -> list[dict[str, Any]]:
    """What there is, one dictionary a line."""
    if what is Listed.networks:
        from bench.networks import NETWORKS

        return [
            {
                "name": n.name,
                "params": f"{n.parameters / 1e6:.2f} M",
                "GMAC at 224": f"{n.macs / 1e9:.2f}",
                "source": n.source,
            }
            for n in NETWORKS.values()
        ]
    if what is Listed.datasets:
        from bench.data import DATASETS

        return [
            {"name": d.name, "needs files": "yes" if d.needs_root else "no", "what": d.title, "published": d.published}
            for d in DATASETS.values()
        ]
    from bench.budgets import BUDGETS

    return [
        {
            "name": b.name,
            "training": f"{b.steps} steps" if b.steps else f"{b.epochs} epochs",
            "batch": b.batch,
            "latency": f"{b.processes} x {b.samples} calls or more",
            "for": b.purpose,
        }
        for b in BUDGETS.values()
    ]


@app.command()
def run(
    networks: Annotated[list[str] | None, typer.Argument(help="Names from `bench list networks`.")] = None,
    all_networks: Annotated[bool, typer.Option("--all", help="Every network in the table.")] = False,
    dataset: Annotated[str, typer.Option(help="A name from `bench list datasets`.")] = "synthetic",
    data_root: Annotated[Path | None, typer.Option(help="The folder with the data set as published.")] = None,
    budget: Annotated[str | None, typer.Option(help="smoke, quick or paper. [default: quick, on a GPU paper]")] = None,
    steps: Annotated[int | None, typer.Option(help="Train so many steps instead of the budget's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Train so many epochs instead of the budget's.")] = None,
    device: Annotated[DeviceChoice, typer.Option(help="Where to train and time.")] = DeviceChoice.auto,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 224,
    measure: Annotated[str, typer.Option(help="What to measure, by commas.")] = "cost,latency,dice",
    seed: Annotated[int, typer.Option(help="Of initial weights, order and augmentation.")] = 0,
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
    from bench.display import announce, console
    from bench.plan import Question, plan

    chosen = _device(device)
    question = Question(
        networks=_chosen_networks(networks or [], all_networks),
        measures=tuple(name.strip() for name in measure.split(",")),
        budget=find_budget(budget or ("paper" if chosen == "cuda" else "quick"), steps, epochs),
        dataset=dataset,
        data_root=data_root,
        device=chosen,
        size=size,
        seed=seed,
    )
    for folder in (out, reports):
        _writable(folder)
    planned = plan(question)
    if show_plan or not quiet:
        announce(console(), planned, out)
    if show_plan:
        return
    records = _carry_out(planned, out, quiet)
    _conclude(records, reports, as_json)
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


def _writable(folder: Path) -> None:
    """Refuse a folder that could not be written to, before any work is done; create nothing yet."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{folder}' is a file, not a folder; give another one")
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(nearest, os.W_OK):
        raise UserError(f"cannot write to '{nearest.absolute()}'; give another folder, or the right to write there")


def _carry_out(planned: "Plan", out: Path, quiet: bool) -> "list[Record]":
    """Do the plan under a progress display; on Ctrl-C say what is kept and how to go on."""
    from bench.display import Progress, console
    from bench.records import Store
    from bench.runner import carry_out, missing

    waiting = missing(planned, Store(out))
    ready = [record for job in planned.jobs if job not in waiting and (record := Store(out).find(job))]
    try:
        with Progress(console(), len(waiting), ready, quiet) as progress:
            return carry_out(planned, out, progress)
    except KeyboardInterrupt:
        done = len(planned.jobs) - len(missing(planned, Store(out)))
        typer.echo(
            f"\nStopped. {done} of {len(planned.jobs)} jobs are on record in {out}, "
            "and an unfinished training up to its last checkpoint.\n"
            f"Go on with: {shlex.join(['bench', *sys.argv[1:]])}",
            err=True,
        )
        raise typer.Exit(130) from None


def _conclude(records: "list[Record]", reports: Path, as_json: bool) -> None:
    """Write the report; print the table, what it says in words, and where it lies."""
    from bench.display import conclude, console
    from bench.report.summary import sections
    from bench.report.tables import tidy_rows
    from bench.report.write import write_report

    found = sections(records)
    paths = write_report(found, reports)
    if as_json:
        typer.echo(json.dumps({"rows": tidy_rows(found), "files": [str(path) for path in paths]}, indent=1))
    else:
        conclude(console(stderr=False), found, paths)


@app.command()
def report(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of records. [default: results]")] = None,
    to: Annotated[Path, typer.Option(help="Where the report is written.")] = Path("reports"),
    as_json: Json = False,
) -> None:
    """Write the report of stored records: Markdown, CSV and figures. Nothing is measured.

    Example: bench report results/reference --to reports/reference
    """
    from bench.records import load

    loaded = load(folders or [Path("results")])
    for problem in loaded.problems:
        typer.echo(f"left out: {problem}", err=True)
    if not loaded.records:
        where = ", ".join(str(folder) for folder in folders or [Path("results")])
        raise UserError(f"no records in {where}; make some with `bench run --all`, or name another folder")
    _writable(to)
    _conclude(loaded.records, to, as_json)


def main() -> None:
    """The console script: what the user can mend is one line and exit code 2, never a traceback."""
    try:
        app()
    except UserError as error:
        typer.echo(f"bench: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
