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
    from bench.quantities.training import Training
    from bench.run.store import Record
    from bench.run.study import Study

HELP = "Tells how accurate and how cheap a medical segmentation network is.\n\nStart with: bench run --all"
app = Typer(help=HELP, cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
ELSEWHERE = "file.py:Name, package.module:Name, smp:Unet/resnet34"  # names of networks that are not in the table
MEASURES = "By commas: cost, latency, memory, energy, profile, dice. [default: all but profile, energy on a GPU]"
DeviceOption = Literal["auto", "cpu", "cuda"]

Dataset = Annotated[str, Argument(help="A name from `bench list datasets`.")]
Claims = Annotated[Path | None, Option(help="Claims to judge. [default: ./claims.toml, else the program's]")]
Folders = Annotated[list[Path] | None, Argument(help="Folders of records. [default: those in results/ that exist]")]
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
    fold: Annotated[int, Option(help="Number of a published fold, for TN3K 0 to 4.")] = 0
    tolerance: Annotated[float | None, Option(help="Distance within which outlines agree. [default: by data]")] = None

    @property
    def options(self) -> "Options":
        """The same as `bench.data` takes it."""
        from bench.data import Options

        return Options(
            classes=names_in(self.classes), split_file=self.split_file, fold=self.fold, patient=self.patient,
            images=self.images, masks=self.masks, tolerance=self.tolerance,
            foreground=names_in(self.foreground), levels=names_in(self.levels),
        )  # fmt: skip

    def open(self, dataset: str) -> "DataSet":
        """The data set of this name. UserError where it cannot be opened."""
        from bench.data import open_dataset

        return open_dataset(dataset, self.data_root, self.options)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is to be measured, and under which conditions."""

    networks: Annotated[list[str] | None, Argument(help=f"Names from `bench list networks`, {ELSEWHERE}.")] = None
    all_networks: Annotated[bool, Option("--all", help="Every network in the table.")] = False
    group: Annotated[str, Option(help="All of some groups: cnn, transformer, hybrid, light, paper.")] = ""
    arg: Arguments = None
    pretrained: Annotated[bool, Option("--pretrained", help="Networks from elsewhere start out pre-trained.")] = False
    dataset: Annotated[str, Option(help="A name from `bench list datasets`.")] = "synthetic"
    budget: Annotated[str | None, Option(help="smoke, quick or paper. [default: quick, on a GPU paper]")] = None
    steps: Annotated[int | None, Option(help="Train so many steps instead of the budget's.")] = None
    epochs: Annotated[int | None, Option(help="Train so many epochs instead of the budget's.")] = None
    device: Annotated[DeviceOption, Option(help="Where to train and time.")] = "auto"
    size: Annotated[
        str | None, Option(help="Pixels a side; of several, the first is trained at. [default: 224; see the budget]")
    ] = None
    batch: Annotated[str, Option(help="Images a call to time, by commas; the first is the table's.")] = "1"
    variant: Annotated[str, Option(help="Variants to time too: folded,channels_last+bfloat16,compiled,onnx.")] = ""
    tf32: Annotated[bool, Option("--tf32", help="On a GPU, round the factors of float32 products to TF32.")] = False
    cudnn_benchmark: Annotated[
        bool, Option("--cudnn-benchmark", help="On a GPU, use the convolutions that cuDNN finds fastest.")
    ] = False
    measure: Annotated[str, Option(help=MEASURES)] = ""
    threads: Annotated[int | None, Option(help="Threads of CPU operators, in all that runs. [default: all cores]")] = (
        None
    )
    seeds: Annotated[str, Option(help="One training each, by commas: 0,1,2.")] = "0"
    devices: Annotated[int, Option(min=1, help="GPUs, or processes on a CPU, that share each batch.")] = 1
    patience: Annotated[int | None, Option(min=1, help="Checks without gain to stop after. [default: never]")] = None
    weights: Annotated[Path | None, Option(help="Score these weights (safetensors, .pt); train nothing.")] = None
    pseudonyms: Annotated[bool, Option("--pseudonyms", help="Records name no patient and no file, to share them.")] = (
        False
    )
    timeout: Annotated[float, Option(min=1, help="Seconds without a sign of life after which a job is stopped.")] = 600
    lr: Annotated[str, Option(help="Learning rate; of several by commas, the best on val. [default: 1e-3]")] = ""
    weight_decay: Annotated[float | None, Option(help="Weight decay of AdamW. [default: 0.01]")] = None
    warmup: Annotated[float | None, Option(help="Share of the steps that are warm-up. [default: 0.1]")] = None
    loss_weights: Annotated[str, Option(help="Of Dice and of cross-entropy: 1,1 or 1,0.5. [default: 1,1]")] = ""
    train_batch: Annotated[int | None, Option(help="Images a step. [default: by budget]")] = None
    augmentation: Annotated[str, Option(help="none, flips or affine. [default: by budget]")] = ""

    @property
    def training(self) -> "Training":
        """How networks are trained, as far as it was said. UserError where nothing can be trained so."""
        from bench.quantities.training import Training

        weights: Any = decimals_in("--loss-weights", self.loss_weights) or None
        named: Any = self.augmentation or None
        return Training(
            decimals_in("--lr", self.lr), self.weight_decay, self.warmup, self.train_batch, named, weights
        )

    def study(self, data: DataOptions) -> "Study":
        """The same as the planner takes it, on this data. UserError where something was asked that cannot be."""
        from bench.data import DataAt
        from bench.networks.names import pairs
        from bench.run.asked import LARGEST_SEED, asked_study, named_networks

        named = named_networks(
            self.networks or [], names_in(self.group), pairs(self.arg or []), self.pretrained, self.all_networks
        )
        return asked_study(
            networks=named, measures=names_in(self.measure), budget=self.budget, steps=self.steps, epochs=self.epochs,
            data=(DataAt(self.dataset, data.data_root, data.options),), device=self.device,
            all_sizes=numbers_in("--size", self.size, least=1, most=LARGEST) if self.size else (),
            batches=numbers_in("--batch", self.batch, least=1, most=LARGEST),
            variants=names_in(self.variant), tf32=self.tf32, cudnn_benchmark=self.cudnn_benchmark,
            seeds=numbers_in("--seeds", self.seeds, least=0, most=LARGEST_SEED),
            devices=self.devices, patience=self.patience, threads=self.threads,
            weights=self.weights, silence_s=self.timeout, pseudonyms=self.pseudonyms, training=self.training,
        )  # fmt: skip


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

    Of folders, only files whose names are `wanted` are read.

    With `whole`, a file that is not a complete record raises UserError, because a check that skips it would prove
    nothing. Having no record at all is not an error: then every claim is undecided.
    """
    import gc

    from bench.errors import plain
    from bench.read.load import read

    loaded = read(given, default, may_be_empty=whole, wanted=wanted)
    if whole and loaded.problems:
        raise UserError("\n".join(["these records cannot be trusted, and so no verdict can:", *loaded.problems]))
    for problem in [*loaded.problems, *loaded.replaced]:
        echo(plain(f"left out: {problem}"), err=True)
    gc.freeze()  # they stay until the end, so Python need not look through them for what to throw away
    return loaded.records
