"""`bench data`: check, look at and time a data set."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Exit, Option, Typer, echo

from bench.cli.help import Commands
from bench.cli.options import DataOptions, Dataset, Json, Size, app, command, print_json
from bench.files import writable

if TYPE_CHECKING:
    from bench.data import DataAt

data_app = Typer(help="Check, look at and time a data set.", cls=Commands, no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")


@command(on=data_app)
def check(
    dataset: Dataset,
    data: DataOptions,
    trained_on: Annotated[str, Option(help="Has it images of this one: NAME=FOLDER, see --test-on.")] = "",
    as_json: Json = False,
) -> None:
    """Read every file of a data set and list all that is wrong with it. Exit code 1 where something is.

    With --trained-on it is also looked whether its test images are among those that another data set trains on.

    Examples:

      bench data check isic2017 --data-root ISIC2017

      bench data check tn3k --data-root TN3K --trained-on ddti=DDTI
    """
    from bench.cli.terminal import Part, Status, console, say, table
    from bench.data.check import check as check_data
    from bench.data.seen import FITTED

    home = _named(trained_on) if trained_on else None
    with Status(console(), transient=True) as status:
        done = partial(status.count, f"reading {dataset}")
        found = check_data(dataset, data.data_root, data.options, done, home.open(FITTED) if home else None)
    splits = {name: len(part) for name, part in found.data.splits.items()}
    tallies = {tally.what: (tally.found, tally.published) for tally in found.data.tallies}
    if as_json:
        print_json({"splits": splits, "tallies": tallies, "faults": found.faults, "remarks": found.remarks})
    else:
        to, count = console(stderr=False), len(found.faults)
        lines: list[tuple[Part, ...]] = [(f"{name} images", str(images), "") for name, images in splits.items()]
        for what, (images, published) in tallies.items():
            lines.append((what, (str(images), "" if published in (None, images) else "red"), str(published or "")))
        to.print(table(("What", "Found", "Published"), lines))
        for name, sentence in [("remark", told) for told in found.remarks] + [("fault", told) for told in found.faults]:
            say(to, (f"{name}: ", "red" if name == "fault" else "yellow"), sentence, wrap=False)
        faults = (f"{count} fault{'s' if count > 1 else ''}", "red") if count else ("no fault", "green")
        say(to, f"{found.data.name}: ", faults)
    raise Exit(int(bool(found.faults)))


def _named(text: str) -> "DataAt":
    """A data set from "NAME=FOLDER", or from the name of one that has no files."""
    from bench.data import DataAt

    name, _, folder = text.partition("=")
    return DataAt(name, Path(folder) if folder else None)


@command(on=data_app)
def show(
    dataset: Dataset,
    data: DataOptions,
    count: Annotated[int, Option(help="How many images; with --all-classes, for each class.", min=1)] = 24,
    all_classes: Annotated[bool, Option("--all-classes", help="Show images of each class.")] = False,
    to: Annotated[Path | None, Option(help="The PNG. [default: reports/data-NAME.png]")] = None,
) -> None:
    """Draw a contact sheet of images with the outlines of their masks.

    Example: bench data show ddti --data-root DDTI
    """
    from bench.cli.terminal import console, say
    from bench.data.contact_sheet import contact_sheet

    path = to or Path("reports") / f"data-{dataset}.png"
    writable(path.parent)
    opened = data.open(dataset)
    if opened.differs:
        say(console(), ("differs from the published data set: ", "yellow"), opened.differs)
    echo(str(contact_sheet(opened, path, count, all_classes)))


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
        rate = f"{found.cold_per_s:.0f} a second from files, {found.cached_per_s:.0f} a second augmented from the cache"
        echo(f"{dataset}: {found.samples} samples at {size}x{size}, {found.workers} processes: {rate}")
