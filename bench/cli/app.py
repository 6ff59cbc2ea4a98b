"""The Typer application and the options that several commands share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench import __version__
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.data import Options
    from bench.quantities import Device

app = typer.Typer(
    help="Tells how accurate and how cheap a medical segmentation network is.\n\nStart with: bench run --all",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


DataRoot = Annotated[Path | None, typer.Option(help="The folder with the data set as published.")]
Classes = Annotated[str, typer.Option(help="Names of the foreground classes of a plain folder, by commas.")]
SplitFile = Annotated[
    Path | None, typer.Option(help="Which group is on which side. [default: as published, else drawn once]")
]
Fold = Annotated[int, typer.Option(help="Number of a published fold, for TN3K 0 to 4.")]
Arg = Annotated[
    list[str] | None, typer.Option(help="key=value for networks from elsewhere; give it once for each argument.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]


class DeviceChoice(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"mdsa-bench {__version__}")
        raise typer.Exit


def names_in(text: str) -> tuple[str, ...]:
    """The names of an option that takes several by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def data_options(classes: str, split_file: Path | None, fold: int) -> "Options":
    """What the shared options say of a data set."""
    from bench.data import Options

    return Options(classes=names_in(classes), split_file=split_file, fold=fold)


def writable(folder: Path) -> None:
    """Refuse a folder that could not be written to, before any work is done; create nothing yet."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{folder}' is a file, not a folder; give another one")
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise UserError(f"cannot write to '{nearest.absolute()}'; give another folder, or the right to write there")


def device_of(choice: DeviceChoice) -> "Device":
    """What `auto` means here; refuses `cuda` on a machine without it."""
    from bench.machine import cuda_usable

    if choice is DeviceChoice.cpu:
        return "cpu"
    usable = cuda_usable()
    if choice is DeviceChoice.cuda and not usable:
        raise UserError("--device cuda: torch finds no CUDA device on this machine; give --device cpu, or leave it out")
    return "cuda" if usable else "cpu"
