"""`bench data`: check, look at and time a data set."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.app import Classes, DataRoot, Fold, Json, SplitFile, app, data_options, writable

data_app = typer.Typer(help="Check, look at and time a data set.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")


@data_app.command()
def check(
    dataset: Annotated[str, typer.Argument(help="A name from `bench list datasets`.")],
    data_root: DataRoot = None,
    classes: Classes = "",
    split_file: SplitFile = None,
    fold: Fold = 0,
    as_json: Json = False,
) -> None:
    """Read every file of a data set and list all that is wrong with it. Exit code 1 where something is.

    Example: bench data check isic2017 --data-root ISIC2017
    """
    from bench.cli.display import checked_table, console, counter
    from bench.data.check import check as check_data

    with counter(console(), f"reading {dataset}") as done:
        found = check_data(dataset, data_root, data_options(classes, split_file, fold), done)
    if as_json:
        tallies = {tally.what: [tally.found, tally.published] for tally in found.data.tallies}
        splits = {split: len(samples) for split, samples in found.data.splits.items()}
        facts = {"splits": splits, "tallies": tallies, "faults": found.faults, "remarks": found.remarks}
        typer.echo(json.dumps(facts, indent=1))
    else:
        checked_table(console(stderr=False), found)
    if found.faults:
        raise typer.Exit(1)


@data_app.command()
def show(
    dataset: Annotated[str, typer.Argument(help="A name from `bench list datasets`.")],
    data_root: DataRoot = None,
    classes: Classes = "",
    split_file: SplitFile = None,
    fold: Fold = 0,
    count: Annotated[int, typer.Option(help="How many images.", min=1)] = 24,
    to: Annotated[Path | None, typer.Option(help="The PNG. [default: reports/data-NAME.png]")] = None,
) -> None:
    """Draw a contact sheet of images with the outlines of their masks.

    Example: bench data show ddti --data-root DDTI
    """
    from bench.data import open_dataset
    from bench.data.contact_sheet import contact_sheet

    path = to or Path("reports") / f"data-{dataset}.png"
    writable(path.parent)
    data = open_dataset(dataset, data_root, data_options(classes, split_file, fold))
    typer.echo(str(contact_sheet(data, path, count)))


@data_app.command()
def speed(
    dataset: Annotated[str, typer.Argument(help="A name from `bench list datasets`.")],
    data_root: DataRoot = None,
    classes: Classes = "",
    split_file: SplitFile = None,
    fold: Fold = 0,
    size: Annotated[int, typer.Option(help="Pixels a side.", min=32)] = 224,
    as_json: Json = False,
) -> None:
    """Time the loader: samples a second read from files, and augmented from the cache.

    Example: bench data speed isic2017 --data-root ISIC2017
    """
    from dataclasses import asdict

    from bench.data import open_dataset
    from bench.data.prepared import rates

    found = rates(open_dataset(dataset, data_root, data_options(classes, split_file, fold)), size)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    else:
        typer.echo(
            f"{dataset}: {found.samples} samples at {size}x{size}, {found.workers} processes: "
            f"{found.cold_per_s:.0f} a second from files, {found.cached_per_s:.0f} a second augmented from the cache"
        )
