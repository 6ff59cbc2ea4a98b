"""The Typer application, how its commands are registered, and the options that several of them share."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Exit, Option, Typer, echo

from bench import __version__
from bench.cli.help import Command, Commands
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.data import DataSet, Options
    from bench.run.store import Record
    from bench.run.study_file import StudyFile

HELP = "Tells how accurate and how cheap a medical segmentation network is.\n\nStart with: bench run --all"
app = Typer(help=HELP, cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
ELSEWHERE = "file.py:Name, package.module:Name, smp:Unet/resnet34"  # names of networks that are not in the table

DeviceOption = Literal["auto", "cpu", "cuda"]

STUDY = ".toml"  # how the name of a study's file ends
Dataset = Annotated[str, Argument(help="A name from `bench list datasets`.")]
Claims = Annotated[Path | None, Option(help="Claims to judge. [default: ./claims.toml, else the program's]")]
FOLDERS = "Folders of records, or a study (study.toml). [default: those in results/ that exist]"
Folders = Annotated[list[Path] | None, Argument(help=FOLDERS)]
Arguments = Annotated[list[str] | None, Option("--arg", help="key=value for a network from elsewhere; once for each.")]
MOST_NUMBERS = 100  # of an option
LARGEST = 65_535  # pixels a side, and images a call: more than any memory holds
Size = Annotated[int, Option(help="Pixels a side.", min=32, max=LARGEST)]
Json = Annotated[bool, Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, Option("--quiet", help="No progress, only the result.")]


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, Option("--version", help="Print the version.")] = False) -> None:
    """What `bench` does without a command."""
    if version:
        echo(f"mdsa-bench {__version__}")
        raise Exit


def command(name: str | None = None, on: Typer = app) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command.

    Where a parameter of the function is a dataclass, each field of the dataclass is an option of its own: commands that
    share options share a dataclass.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters.values()
        kinds: dict[str, Any] = {one.name: one.annotation for one in own if is_dataclass(one.annotation)}
        shared = {name: inspect.signature(kind).parameters for name, kind in kinds.items()}

        @wraps(function)
        def called(**given: Any) -> None:
            made = {name: kind(**{field: given.pop(field) for field in shared[name]}) for name, kind in kinds.items()}
            function(**made, **given)

        flat = [option for one in own for option in shared.get(one.name, {one.name: one}).values()]
        flat = [option.replace(kind=option.KEYWORD_ONLY) for option in flat]
        called.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]  # what Typer reads
        called.__annotations__ = {option.name: option.annotation for option in flat}
        return on.command(name, cls=Command)(called)

    return register


def print_json(facts: Any) -> None:
    """Print facts as JSON on standard output."""
    echo(json.dumps(facts, indent=1, allow_nan=False))


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where a data set lies, and how it is read."""

    data_root: Annotated[Path | None, Option(help="The folder with the data set as published.")] = None
    classes: Annotated[str, Option(help="Names of the foreground classes of a plain folder, by commas.")] = ""
    foreground: Annotated[str, Option(help="Gray levels in masks that are the class: 1,2 or 128-255.")] = ""
    levels: Annotated[str, Option(help="Gray levels of the background, then of each class: 0,127,255.")] = ""
    images: Annotated[str, Option(help="The folder of images, if several are possible.")] = ""
    masks: Annotated[str, Option(help="The folder of masks, if several are possible; commas unite several.")] = ""
    patient: Annotated[str, Option(help="Whose each image of a plain folder is: '(P\\d+)_', or a CSV file.")] = ""
    split_file: Annotated[Path | None, Option(help="A file of the split. [default: as published, else drawn]")] = None
    fold: Annotated[int | None, Option(help="Number of a published fold, for TN3K 0 to 4. [default: 0]")] = None
    tolerance: Annotated[float | None, Option(help="Distance within which outlines agree. [default: by data]")] = None

    @property
    def given(self) -> dict[str, Any]:
        """What was given, as keys of a data set in a study."""
        every = {
            "root": self.data_root, "classes": names_in(self.classes), "split_file": self.split_file, "fold": self.fold,
            "patient": self.patient, "images": self.images, "masks": self.masks, "tolerance": self.tolerance,
            "foreground": names_in(self.foreground), "levels": names_in(self.levels),
        }  # fmt: skip
        return {key: value for key, value in every.items() if value not in (None, "", ())}

    @property
    def options(self) -> "Options":
        """The same as `bench.data` takes it."""
        from bench.data import Options

        return Options(**{key: value for key, value in self.given.items() if key != "root"})

    def open(self, dataset: str) -> "DataSet":
        """The data set of this name. UserError where it cannot be opened."""
        from bench.data import open_dataset

        return open_dataset(dataset, self.data_root, self.options)


def names_in(text: str) -> tuple[str, ...]:
    """The names of an option that takes several by commas.

    >>> names_in("unet, mdsa_unet,")
    ('unet', 'mdsa_unet')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


def numbers_in(option: str, text: str, least: int, most: int) -> tuple[int, ...]:
    """The whole numbers of an option that takes several by commas, each once. UserError where one is out of the range.

    >>> numbers_in("--batch", "1, 4,1", least=1, most=9)
    (1, 4)
    """
    parts = [part.strip() for part in text.split(",")]
    digits = len(str(most))  # Python refuses to read numbers of thousands of digits
    if len(parts) > MOST_NUMBERS or not all(
        part.isdecimal() and len(part) <= digits and least <= int(part) <= most for part in parts
    ):
        taken = f"up to {MOST_NUMBERS} whole numbers from {least} to {most} by commas, such as 1,2,4"
        raise UserError(f"{option} takes {taken}; got '{text}'")
    return tuple(dict.fromkeys(map(int, parts)))


def decimals_in(option: str, text: str) -> tuple[float, ...]:
    """The numbers of an option that takes several by commas; none of an empty text. UserError where one is none.

    >>> decimals_in("--lr", "1e-3, 0.5"), decimals_in("--lr", "")
    ((0.001, 0.5), ())
    """
    try:
        return tuple(float(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise UserError(f"{option} takes numbers by commas, such as 1 or 1e-3,3e-4; got '{text}'") from None


def records_of(
    given: "Sequence[Path | str]", whole: bool = False, default: Path = Path("results"),
    wanted: Callable[[str], bool] = lambda name: True,
) -> "list[Record]":  # fmt: skip
    """The records of the folders, files or revisions that are given, after a line for each file that is left out.

    Of folders, only files whose names are `wanted` are read. A study (`study.toml`) stands for those of its records,
    where nothing else is given.

    With `whole`, a file that is not a complete record raises UserError, because a check that skips it would prove
    nothing. Having no record at all is not an error: then every claim is undecided.
    """
    import gc

    from bench.errors import plain
    from bench.read.load import read

    covering = [study.covering() for study in studies_in(given)]
    loaded = read(folders_of(given), default, may_be_empty=whole, wanted=wanted)
    if whole and loaded.problems:
        raise UserError("\n".join(["these records cannot be trusted, and so no verdict can:", *loaded.problems]))
    for problem in [*loaded.problems, *loaded.replaced]:
        echo(plain(f"left out: {problem}"), err=True)
    gc.freeze()  # they stay until the end, so Python need not look through them for what to throw away
    every = loaded.records
    if not given or len(covering) < len(given):
        return every
    return [record for record in every if any(covers(record) for covers in covering)]


def studies_in(given: "Sequence[Path | str]") -> "list[StudyFile]":
    """The studies among what is given. Raises UserError for one that cannot be read."""
    from bench.run.study_file import read_study

    return [read_study(Path(one)) for one in given if str(one).endswith(STUDY)]


def folders_of(given: "Sequence[Path | str]") -> "list[Path | str]":
    """What is given, with the folder of its records in the place of each study."""
    studies = iter(studies_in(given))
    return [next(studies).out if str(one).endswith(STUDY) else one for one in given]
