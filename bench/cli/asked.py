"""The options that say what is measured, and how they and a study's file make a study."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from bench.cli.options import (
    ELSEWHERE,
    LARGEST,
    STUDY,
    Arguments,
    DataOptions,
    DeviceOption,
    decimals_in,
    names_in,
    numbers_in,
)
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.run.study_file import StudyFile

MEASURES = "By commas: cost, latency, memory, energy, profile, dice. [default: all but profile, energy on a GPU]"
NAMES = f"A study (study.toml), or names from `bench list networks`, {ELSEWHERE}."


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is to be measured, and under which conditions. What was not given is as in the study's file, if any."""

    networks: Annotated[list[str] | None, Argument(help=NAMES)] = None
    all_networks: Annotated[bool, Option("--all", help="Every network in the table.")] = False
    group: Annotated[str, Option(help="All of some groups: cnn, transformer, hybrid, light, paper.")] = ""
    arg: Arguments = None
    pretrained: Annotated[bool, Option("--pretrained", help="Networks from elsewhere start out pre-trained.")] = False
    dataset: Annotated[str | None, Option(help="A name from `bench list datasets`. [default: synthetic]")] = None
    test_on: Annotated[
        list[str] | None, Option(metavar="NAME[=FOLDER]", help="Score the weights on this data set too; several times.")
    ] = None
    folds: Annotated[str, Option(help="Train on several published folds: all, or 0,1,2.")] = ""
    budget: Annotated[str | None, Option(help="smoke, quick or paper. [default: quick, on a GPU paper]")] = None
    steps: Annotated[int | None, Option(help="Train so many steps instead of the budget's.")] = None
    epochs: Annotated[int | None, Option(help="Train so many epochs instead of the budget's.")] = None
    device: Annotated[DeviceOption | None, Option(help="Where to train and time. [default: auto]")] = None
    size: Annotated[
        str | None, Option(help="Pixels a side; of several, the first is trained at. [default: 224; see the budget]")
    ] = None
    batch: Annotated[
        str | None, Option(help="Images a call to time, by commas; the first is the table's. [default: 1]")
    ] = None
    variant: Annotated[str, Option(help="Variants to time too: folded,channels_last+bfloat16,compiled,onnx.")] = ""
    tf32: Annotated[bool, Option("--tf32", help="On a GPU, round the factors of float32 products to TF32.")] = False
    cudnn_benchmark: Annotated[
        bool, Option("--cudnn-benchmark", help="On a GPU, use the convolutions that cuDNN finds fastest.")
    ] = False
    measure: Annotated[str, Option(help=MEASURES)] = ""
    threads: Annotated[int | None, Option(help="Threads of CPU operators, in all that runs. [default: all cores]")] = (
        None
    )
    precision: Annotated[
        Literal["float32", "bfloat16"] | None, Option(help="Of trainings. [default: what is fast on the machine]")
    ] = None
    seeds: Annotated[str | None, Option(help="One training each, by commas: 0,1,2. [default: 0]")] = None
    devices: Annotated[
        int | None, Option(min=1, help="GPUs, or processes on a CPU, that share each batch. [default: 1]")
    ] = None
    patience: Annotated[int | None, Option(min=1, help="Checks without gain to stop after. [default: never]")] = None
    weights: Annotated[Path | None, Option(help="Score these weights (safetensors, .pt); train nothing.")] = None
    pseudonyms: Annotated[bool, Option("--pseudonyms", help="Records name no patient and no file, to share them.")] = (
        False
    )
    timeout: Annotated[
        float | None, Option(min=1, help="Seconds without a sign of life after which a job is stopped. [default: 600]")
    ] = None

    lr: Annotated[str, Option(help="Learning rate; of several by commas, the best on val. [default: 1e-3]")] = ""
    weight_decay: Annotated[float | None, Option(help="Weight decay of AdamW. [default: 0.01]")] = None
    warmup: Annotated[float | None, Option(help="Share of the steps that are warm-up. [default: 0.1]")] = None
    loss_weights: Annotated[str, Option(help="Of Dice and of cross-entropy: 1,1 or 1,0.5. [default: 1,1]")] = ""
    train_batch: Annotated[int | None, Option(help="Images a step. [default: by budget]")] = None
    augmentation: Annotated[str, Option(help="none, flips or affine. [default: by budget]")] = ""

    @property
    def study_name(self) -> str:
        """The name of the study's file without its ending; empty if none was given."""
        return next((Path(name).stem for name in self.networks or [] if name.endswith(STUDY)), "")

    def study(self, data: DataOptions, **more: Any) -> "StudyFile":
        """The study of the file, if one was named, with what was given in the place of what it says.

        `more` are further keys of a study; None is not given. UserError where something was asked that cannot be.
        """
        from bench.run.study_file import StudyFile, changed, read_study, with_data

        files = [name for name in self.networks or [] if name.endswith(STUDY)]
        if len(files) > 1:
            raise UserError(f"{', '.join(files)}: one study is taken at a time; give one of them")
        study = read_study(Path(files[0])) if files else StudyFile(networks={})
        given = {**self._networks(study), **self._settings(), **self._training(study), **more}
        given |= with_data(study, self.dataset, self._data(data), [_test_on(text) for text in self.test_on or []])
        given = {key: value for key, value in given.items() if value is not None}
        for one, other in (("steps", "epochs"), ("epochs", "steps")):
            if one in given and other not in given:  # of the two, what is given replaces the file's
                given[other] = None
        return changed(study, given)

    def _training(self, study: "StudyFile") -> dict[str, Any]:
        """The key of a study that says how networks are trained, with what was given."""
        every = {
            "learning_rate": decimals_in("--lr", self.lr) or None, "weight_decay": self.weight_decay,
            "warmup": self.warmup, "batch": self.train_batch, "augmentation": self.augmentation or None,
            "loss_weights": decimals_in("--loss-weights", self.loss_weights) or None,
        }  # fmt: skip
        given = {key: value for key, value in every.items() if value is not None}
        return {"training": {**study.training.model_dump(exclude_unset=True), **given}} if given else {}

    def _networks(self, study: "StudyFile") -> dict[str, Any]:
        """The keys of a study that say which networks: those that were named, in the place of all in the file."""
        from bench.networks import with_arguments
        from bench.networks.names import pairs
        from bench.run.asked import refuse_idle_arguments

        named = [name for name in self.networks or [] if not name.endswith(STUDY)]
        arguments = pairs(self.arg or [])
        if not (named or self.all_networks or self.group):
            if arguments or self.pretrained:
                refuse_idle_arguments((), arguments, self.pretrained)
            return {}
        whole = [with_arguments(name, arguments, self.pretrained) for name in named]
        refuse_idle_arguments(whole, arguments, self.pretrained)
        own = {name: study.networks[name] for name in whole if name in study.networks}
        networks: dict[str, Any] = {name: own.get(name, {}) for name in whole}
        return {"networks": networks, "groups": names_in(self.group), "all": self.all_networks}

    def _settings(self) -> dict[str, Any]:
        """The keys of a study that say under which conditions; None for what was not given."""
        from bench.run.asked import LARGEST_SEED

        return {
            "measures": names_in(self.measure) or None, "budget": self.budget, "steps": self.steps,
            "epochs": self.epochs, "device": self.device,
            "sizes": numbers_in("--size", self.size, least=1, most=LARGEST) if self.size else None,
            "batches": numbers_in("--batch", self.batch, least=1, most=LARGEST) if self.batch is not None else None,
            "variants": names_in(self.variant) or None, "tf32": self.tf32 or None,
            "cudnn_benchmark": self.cudnn_benchmark or None,
            "seeds": numbers_in("--seeds", self.seeds, least=0, most=LARGEST_SEED) if self.seeds is not None else None,
            "devices": self.devices, "patience": self.patience, "threads": self.threads, "precision": self.precision,
            "weights": self.weights, "timeout": self.timeout, "pseudonyms": self.pseudonyms or None,
        }  # fmt: skip

    def _data(self, data: DataOptions) -> dict[str, Any]:
        """What was given of a data set, as keys of its table."""
        folds = self.folds.strip()
        numbers = folds if folds == "all" else numbers_in("--folds", folds, least=0, most=99) if folds else None
        return data.given | ({"folds": numbers} if numbers else {})


def _test_on(text: str) -> tuple[str, Path | None]:
    """A data set to test on: its name, and its folder after an equals sign."""
    name, _, folder = text.partition("=")
    if not name.strip():
        raise UserError(f"--test-on takes the name of a data set, or NAME=FOLDER, such as tn3k=TN3K; got '{text}'")
    return name.strip(), Path(folder) if folder else None
