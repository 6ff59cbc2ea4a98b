"""`bench data`: check, look at and time a data set."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Exit, Option, Typer, echo

from bench.cli.options import DataOptions, Dataset, Json, Size, app, command, print_json, writable

data_app = Typer(help="Check, look at and time a data set.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")


@command(on=data_app)
def check(dataset: Dataset, data: DataOptions, as_json: Json = False) -> None:
    """Read every file of a data set and list all that is wrong with it. Exit code 1 where something is.

    Example: bench data check isic2017 --data-root ISIC2017
    """
    from bench.cli.terminal import Part, Status, console, say, table
    from bench.data.check import check as check_data

    with Status(console(), transient=True) as status:
        found = check_data(dataset, data.data_root, data.options, partial(status.count, f"reading {dataset}"))
    splits, tallies = found.data.splits.items(), found.data.tallies
    if as_json:
        counts, published = (
            {name: len(part) for name, part in splits},
            {t.what: [t.found, t.published] for t in tallies},
        )
        print_json({"splits": counts, "tallies": published, "faults": found.faults, "remarks": found.remarks})
    else:
        to = console(stderr=False)
        lines: list[tuple[Part, ...]] = [(f"{name} images", str(len(part)), "") for name, part in splits]
        for tally in tallies:
            color = "" if tally.published in (None, tally.found) else "red"
            known = "" if tally.published is None else str(tally.published)
            lines.append((tally.what, (str(tally.found), color), known))
        to.print(table(("What", "Found", "Published"), lines))
        for color, name, sentences in (("yellow", "remark", found.remarks), ("red", "fault", found.faults)):
            for sentence in sentences:
                say(to, (f"{name}: ", color), sentence, wrap=False)
        faults = f"{len(found.faults)} fault{'s' if len(found.faults) != 1 else ''}"
        say(to, f"{found.data.name}: ", (faults, "red") if found.faults else ("no fault", "green"))
    if found.faults:
        raise Exit(1)


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
    echo(str(contact_sheet(data.open(dataset), path, count)))


@command(on=data_app)
def speed(dataset: Dataset, data: DataOptions, size: Size = 224, as_json: Json = False) -> None:
    """Time the loader: samples a second read from files, and augmented from the cache.

    Example: bench data speed isic2017 --data-root ISIC2017
    """
    from bench.data.prepared import rates

    found = rates(data.open(dataset), size)
    if as_json:
        print_json(asdict(found))
    else:
        echo(
            f"{dataset}: {found.samples} samples at {size}x{size}, {found.workers} processes: "
            f"{found.cold_per_s:.0f} a second from files, {found.cached_per_s:.0f} a second augmented from the cache"
        )
