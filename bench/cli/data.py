"""`bench data`: check, look at and time a data set."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

from bench.cli.app import app, command, print_json
from bench.cli.options import DataOptions, Dataset, Json, writable

if TYPE_CHECKING:
    from bench.data.check import Checked

data_app = typer.Typer(help="Check, look at and time a data set.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")


@command(on=data_app)
def check(dataset: Dataset, data: DataOptions, as_json: Json = False) -> None:
    """Read every file of a data set and list all that is wrong with it. Exit code 1 where something is.

    Example: bench data check isic2017 --data-root ISIC2017
    """
    from bench.cli.terminal import Status, console
    from bench.data.check import check as check_data

    with Status(console(), transient=True) as status:
        found = check_data(dataset, data.data_root, data.options, partial(status.count, f"reading {dataset}"))
    if as_json:
        tallies = {tally.what: [tally.found, tally.published] for tally in found.data.tallies}
        splits = {split: len(samples) for split, samples in found.data.splits.items()}
        print_json({"splits": splits, "tallies": tallies, "faults": found.faults, "remarks": found.remarks})
    else:
        _print(found)
    if found.faults:
        raise typer.Exit(1)


def _print(found: "Checked") -> None:
    """What a data set holds against what was published, then every fault and remark, then the verdict."""
    from bench.cli.terminal import Part, console, say, table

    to = console(stderr=False)
    lines: list[tuple[Part, ...]] = [(f"{name} images", str(len(part)), "") for name, part in found.data.splits.items()]
    for tally in found.data.tallies:
        color = "" if tally.published in (None, tally.found) else "red"
        published = "" if tally.published is None else str(tally.published)
        lines.append((tally.what, (str(tally.found), color), published))
    to.print(table(("What", "Found", "Published"), lines))
    for color, name, sentences in (("yellow", "remark", found.remarks), ("red", "fault", found.faults)):
        for sentence in sentences:
            say(to, (f"{name}: ", color), sentence, wrap=False)
    faults = len(found.faults)
    verdict = (f"{faults} fault{'s' if faults != 1 else ''}", "red") if faults else ("no fault", "green")
    say(to, f"{found.data.name}: ", verdict)


@command(on=data_app)
def show(
    dataset: Dataset,
    data: DataOptions,
    count: Annotated[int, Option(help="How many images.", min=1)] = 24,
    to: Annotated[Path | None, Option(help="The PNG. [default: reports/data-NAME.png]")] = None,
) -> None:
    """Draw a contact sheet of images with the outlines of their masks.

    Example: bench data show ddti --data-root DDTI
    """
    from bench.data.contact_sheet import contact_sheet

    path = to or Path("reports") / f"data-{dataset}.png"
    writable(path.parent)
    typer.echo(str(contact_sheet(data.open(dataset), path, count)))


@command(on=data_app)
def speed(
    dataset: Dataset,
    data: DataOptions,
    size: Annotated[int, Option(help="Pixels a side.", min=32)] = 224,
    as_json: Json = False,
) -> None:
    """Time the loader: samples a second read from files, and augmented from the cache.

    Example: bench data speed isic2017 --data-root ISIC2017
    """
    from bench.data.speed import rates

    found = rates(data.open(dataset), size)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(
            f"{dataset}: {found.samples} samples at {size}x{size}, {found.workers} processes: "
            f"{found.cold_per_s:.0f} a second from files, {found.cached_per_s:.0f} a second augmented from the cache"
        )
