"""Dice: the conditions of training or loading a network, and the scores of every test image."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from bench.quantities.asked import Asked, AskedData
from bench.quantities.base import Device, Frozen, Images, Metric, Quantity, Result, later, pixels
from bench.quantities.scores import SCORES
from bench.quantities.training import Augmentation

TrainingPrecision = Literal["float32", "bfloat16"]
ProtocolName = Literal["per_image", "per_volume"]
# Who changes how networks are trained or scored raises the number; tests/training/test_golden.py notices a change.
TRAINING_VERSION = 2  # 2: grouped and dilated convolutions are kept from a wrong gradient; threads are written down
SCORING_VERSION = 2  # 2: every line names its patient; distances and a second Dice are taken on the image's own grid
SIDES = ("train", "val", "test")
SCORING = ("size", "dataset", "protocol", "images_seen")  # conditions of a claim about a score
USUAL_RATE = 1e-3
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


class TrainSpec(Frozen):
    """How a network is trained: AdamW, linear warm-up then cosine, Dice + cross-entropy, best checkpoint on `val`.

    With several `learning_rates` there is a training with each, one of the `trials`. The one with the highest Dice on
    `val` is taken, of equal ones the first, and only that is scored. `learning_rate` is then left as it is.

    The augmentation `flips` is flips, quarter turns, brightness and contrast; `affine` adds small rotations and
    scalings. `loss_weights` are those of Dice and of cross-entropy. `bfloat16` is mixed precision; tensors are
    channels-last. `batch` is divided evenly among `devices` (CUDA devices, or processes on a CPU); batch normalization
    uses the statistics of each device's own part.

    After every `checkpoint_interval` steps the network is scored on `val_images` of the validation split and saved.
    Training stops early after `patience` checks in a row without improvement; with None it never does. An image limit
    of None uses all images.

    `version` is that of the way of training (`TRAINING_VERSION`). `threads` of CPU operators change the order of sums;
    None in records that are older than it.
    """

    steps: int = Field(ge=1)
    checkpoint_interval: int = Field(ge=1, alias="leg")  # the name in records of the first format
    batch: int = Field(ge=1)
    learning_rate: float = Field(USUAL_RATE, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(1.0, gt=0)
    device: Device = "cpu"
    precision: TrainingPrecision = "float32"
    augmentation: Augmentation = "flips"
    train_images: int | None = Field(None, ge=1)
    val_images: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    devices: int = Field(1, ge=1)
    patience: int | None = Field(None, ge=1)
    version: int = Field(1, ge=1)
    threads: int | None = Field(None, ge=1)
    learning_rates: tuple[Rate, ...] = later(())
    loss_weights: tuple[Weight, Weight] = later((1.0, 1.0))

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.learning_rates and (len(set(self.learning_rates)) < 2 or self.learning_rate != USUAL_RATE):
            raise ValueError("there is one learning rate, or a list of two or more different ones")
        if not any(self.loss_weights):
            raise ValueError("a loss needs a weight over 0")
        return self

    @property
    def trials(self) -> tuple["TrainSpec", ...]:
        """The trainings of which the best is taken: one with each learning rate, or this one alone."""
        return tuple(self.with_rates((rate,)) for rate in self.learning_rates) or (self,)

    def with_rates(self, rates: tuple[float, ...]) -> "TrainSpec":
        """The same with one learning rate, or with several that are tried."""
        one = len(rates) == 1
        given = {"learning_rate": rates[0] if one else USUAL_RATE, "learning_rates": () if one else rates}
        return self.model_copy(update=given)

    @property
    def told(self) -> str:
        """The training settings in words, without the seed."""
        devices = f" on {self.devices} devices" if self.devices > 1 else ""
        devices += f", {self.threads} threads" if self.threads else ""
        limited = f" (of {self.train_images} images only)" if self.train_images else ""
        return (
            f"{self.steps} steps of {self.batch} images{limited} in {self.precision}{devices}, {self.loss_told}, "
            f"AdamW ({self.rates_told}, weight decay {self.weight_decay:g}), warm-up over "
            f"{100 * self.warmup_share:g} % of the steps then cosine, gradients clipped to {self.clip_norm:g}, "
            f"augmentation {self.augmentation}"
        )

    @property
    def rates_told(self) -> str:
        """The learning rate in words, or those that are tried."""
        if self.learning_rates:
            return f"of the learning rates {', '.join(f'{rate:g}' for rate in self.learning_rates)} the best on val"
        return f"learning rate {self.learning_rate:g}"

    @property
    def loss_told(self) -> str:
        """The loss in words."""
        if self.loss_weights == (1, 1):
            return "Dice + cross-entropy"
        return "{:g} x Dice + {:g} x cross-entropy".format(*self.loss_weights)

    @property
    def checked_on(self) -> str:
        """The images on which checkpoints are compared, in words."""
        return f"{self.val_images} images of val" if self.val_images else "val"

    @property
    def stopped_early(self) -> str:
        """When training stops early, as text to append; empty if it never does."""
        return f", stopped after {self.patience} checks without gain" if self.patience else ""


class DiceSpec(Images):
    """Train (or load) on a data set, then score each image of its test split at the network's size.

    `data` is the digest of the data set's samples and splits. `labels` names the foreground classes if there are
    several. With the protocol `per_image` each image is scored at the network's size. With `per_volume` each prediction
    is resized to the original size of its slice and its pixels are counted for the whole volume.

    The weights come from a training, `train`, or from the user's own file, whose digest is `weights`. Predictions that
    were made elsewhere have no weights here: `predicted` is the digest of their files, and `training` numbers the
    trainings of one network.

    Networks that were trained on another data set than they are scored on have its name and digest in `trained_on` and
    `trained_data`, and the number of its fold, if it has folds, in `trained_fold`.

    `scoring` is the version of the way of scoring (`SCORING_VERSION`); records of another version are not compared.
    `tolerance` is the distance within which two outlines agree, for the normalized surface distance. `fold` is the
    number of a fold of cross-validation. With `pseudonyms` the record names no patient and no file.
    """

    quantity: Literal["dice"] = "dice"
    dataset: str
    data: str
    labels: tuple[str, ...] = ()
    protocol: ProtocolName = "per_image"
    test_images: int | None = Field(None, ge=1)
    train: TrainSpec | None = None
    weights: str = ""
    predicted: str = ""
    training: int = Field(0, ge=0)
    scoring: int = Field(1, ge=1)
    tolerance: float | None = Field(None, ge=0)
    fold: int | None = Field(None, ge=0)
    pseudonyms: bool = False
    trained_on: str = later("")
    trained_data: str = later("")
    trained_fold: int | None = later(None)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(map(bool, (self.train, self.weights, self.predicted))) != 1:
            raise ValueError("predictions come from one of a training, a file of weights, and files of predictions")
        if bool(self.trained_on) != bool(self.trained_data) or (self.trained_on and not self.train):
            raise ValueError("a training on another data set is told by the data set's name and its digest")
        return self

    @property
    def at_home(self) -> "DiceSpec":
        """The conditions of scoring on the data set that the network was trained on."""
        theirs = {"dataset": self.trained_on, "data": self.trained_data, "fold": self.trained_fold}
        none = {"trained_on": "", "trained_data": "", "trained_fold": None}
        return self.model_copy(update=theirs | none) if self.trained_on else self


class CurvePoint(Frozen):
    """The state of a training at a check: mean loss since the last check, and mean Dice on the validation images."""

    step: int
    loss: float
    val_dice: float


class Tried(Frozen):
    """A training with one of several learning rates: its best Dice on `val`, or why it diverged."""

    learning_rate: float
    val_dice: float | None = None
    diverged: str = ""


class Scored(Frozen):
    """Base class of scores. A score without a field of its own is stored as an extra field under its name.

    Undefined extra fields are dropped, because JSON has no NaN.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    @model_validator(mode="after")
    def _only_defined(self) -> Self:
        if math.isnan(sum(self.__pydantic_extra__.values())):  # quick, for a report reads thousands
            for name in [name for name, value in self.__pydantic_extra__.items() if math.isnan(value)]:
                del self.__pydantic_extra__[name]
        return self

    def score(self, name: str) -> float:
        """Return a score by name; NaN if it is undefined, or if the record is older than the score."""
        return float(getattr(self, name, math.nan))


class ImageScore(Scored):
    """One class of one test image: pixel counts and scores.

    `tp`, `fp` and `fn` are counted on the grid of the protocol, `own_tp`, `own_fp` and `own_fn` on the image's own;
    None where only scores are known. Scores of overlap are shares from 0 to 1. Distances are in `Scores.distance_unit`.
    Undefined scores are NaN. `patient` is empty in records that are older than it.
    """

    id: str
    label: int
    tp: int | None = None
    fp: int | None = None
    fn: int | None = None
    dice: float = math.nan
    iou: float = math.nan
    volume: str = ""
    patient: str = ""
    own_tp: int | None = None
    own_fp: int | None = None
    own_fn: int | None = None
    sensitivity: float = math.nan
    precision: float = math.nan
    hd95: float = math.nan


class VolumeScore(Scored):
    """Scores of one class in a whole volume that cannot be computed from its slices' counts: distances of outlines."""

    volume: str
    label: int
    hd95: float = math.nan


class Scores(Result):
    """The course of training, and the scores of each image and class.

    `train_images_per_s` is computed from the median time of a step (forward, backward and update, without loading the
    samples). `distance_unit` is millimeters if every file gives its pixel spacing, else pixels of the image (in records
    of scoring version 1 pixels at the size of scoring). `weights_file` is the name of the user's own weights file.

    `patients` says what the patients of the lines are: `named` by the data set; `images`, where the data set names none
    and each image stands for one; empty in records without patients. `data_name` is the name of the user's own folder
    of images. `differs` says how the data set's counts differ from the published ones. `source` is the name of the file
    or folder of predictions made elsewhere. `predictions` is the digest of the predicted label maps, which is in the
    name of their file; empty if none were kept, and in records of the time before. `predicted_map` says which of how
    many maps of the network's output was scored, if several may be the prediction. `tried` has the trainings with each
    of several learning rates; all else is of the one that was taken. Where the training was on another data set,
    `copies` of the scored images are the same file as one that was trained on or chosen by, and `near_copies` more look
    like one.
    """

    quantity: Literal["dice"] = "dice"
    loaded: bool
    best_step: int
    curve: tuple[CurvePoint, ...]
    train_images_per_s: float | None
    images: tuple[ImageScore, ...]
    volumes: tuple[VolumeScore, ...] = ()
    distance_unit: Literal["px", "mm"] = "px"
    weights_file: str = ""
    patients: Literal["", "images", "named"] = ""
    data_name: str = ""
    differs: str = ""
    source: str = ""
    predictions: str = ""
    predicted_map: str = ""
    copies: int = Field(0, ge=0)
    near_copies: int = Field(0, ge=0)
    tried: tuple[Tried, ...] = ()

    @property
    def taken(self) -> float | None:
        """The learning rate that was taken, the first of the best on `val`; None where there was no choice."""
        found = [one for one in self.tried if one.val_dice is not None]
        return max(found, key=lambda one: one.val_dice or 0.0).learning_rate if found else None


def train_spec(asked: Asked, images: int, seed: int) -> TrainSpec:
    """Return the training conditions for the budget in `asked`, with `images` training images.

    A network with a batch of its own sees as many images as the others, and is checked as often.
    """
    budget, asks = asked.budget, asked.training
    usual = asked.usual_batch or asks.batch or budget.batch
    batch = asks.batch or usual
    epoch = math.ceil(min(images, budget.train_images or images) / usual)
    steps = budget.steps or epoch * budget.epochs
    interval = min(steps, budget.checkpoint_interval if budget.steps else epoch)
    named = {"weight_decay", "warmup_share", "loss_weights"}
    spec = TrainSpec(
        device=asked.device, steps=math.ceil(steps * usual / batch),
        checkpoint_interval=math.ceil(interval * usual / batch), batch=batch, precision=asked.precision,
        augmentation=asks.augmentation or budget.augmentation, train_images=budget.train_images,
        val_images=budget.val_images, seed=seed, devices=asked.devices, patience=asked.patience,
        version=TRAINING_VERSION, threads=asked.training_threads or asked.threads,
        **{name: value for name, value in asks.given.items() if name in named},
    )  # fmt: skip
    return spec.with_rates(asks.learning_rates) if asks.learning_rates else spec


def scored_on(data: AskedData, size: int, pseudonyms: bool, **origin: Any) -> DiceSpec:
    """The conditions of scoring on a data set; `origin` says where the predictions come from."""
    return DiceSpec(
        dataset=data.name, data=data.digest, classes=data.maps, size=size, protocol=data.protocol,
        labels=data.labels if data.maps > 1 else (), scoring=SCORING_VERSION, tolerance=data.tolerance, fold=data.fold,
        pseudonyms=pseudonyms, **origin,
    )  # fmt: skip


def _jobs(asked: Asked) -> list[DiceSpec]:
    """One job for each seed, or a single job for the user's own weights, on each data set to score on."""
    if asked.data is None:
        return []
    limits = (asked.budget.train_images, asked.budget.val_images, asked.budget.test_images)
    train, val, _ = (_below(limit, asked.data.images.get(side)) for side, limit in zip(SIDES, limits, strict=True))
    if asked.weights:
        return [_spec(asked, data, weights=asked.weights) for data in (asked.data, *asked.tests)]
    trained = [train_spec(asked, asked.data.images["train"], seed) for seed in asked.seeds]
    trained = [one.model_copy(update={"train_images": train, "val_images": val}) for one in trained]
    there = {"trained_on": asked.data.name, "trained_data": asked.data.digest, "trained_fold": asked.data.fold}
    home = [_spec(asked, asked.data, train=one) for one in trained]
    return home + [_spec(asked, data, train=one, **there) for data in asked.tests for one in trained]


def _spec(asked: Asked, data: AskedData, **origin: Any) -> DiceSpec:
    """The conditions of scoring on the test side of a data set, of which the budget may take a part."""
    test = _below(asked.budget.test_images, data.images.get("test"))
    return scored_on(data, asked.train_size or asked.size, asked.pseudonyms, test_images=test, **origin)


def _below(limit: int | None, count: int | None) -> int | None:
    """A limit of images; None if there are no more images than that, so that all of them are used."""
    return None if limit is None or (count is not None and count <= limit) else limit


def _passes(spec: DiceSpec, asked: Asked) -> float:
    """Estimated forward passes. A training step counts as three forward passes of each image."""
    images = asked.data.images if asked.data else {}
    val, test = images.get("val", 0), images.get("test", 0)
    scoring = min(test, spec.test_images or test)
    if spec.train is None:
        return pixels(spec) * scoring
    checks = spec.train.steps / spec.train.checkpoint_interval
    steps = 3 * spec.train.steps * spec.train.batch
    one = steps + checks * min(val, spec.train.val_images or val)
    return pixels(spec) * (len(spec.train.trials) * one + scoring)


def _told(spec: DiceSpec, asked: Asked) -> tuple[str, str]:
    train = spec.train
    if train is None:
        return "weights", f"from {asked.weights_file}, trained elsewhere"
    seeds = f"seed{'s' if len(asked.seeds) > 1 else ''} {', '.join(map(str, asked.seeds))}"
    checks = f"checked on {train.checked_on} and saved every {train.checkpoint_interval} steps"
    scored = f"; scored on {spec.test_images} test images" if spec.test_images else ""
    own = "".join(f"; {network} with {one.told}" for network, one in asked.own_training.items() if one.given)
    return "training", f"{train.told}; {seeds}; {checks}{train.stopped_early}{scored}{own}"


def _data(spec: DiceSpec) -> str:
    """The data set that is scored on, with its fold, and that of the training if it is another."""
    fold = spec.at_home.fold
    folded = "" if fold is None else f" fold {fold}"
    return f"{spec.dataset}, trained on {spec.trained_on}{folded}" if spec.trained_on else f"{spec.dataset}{folded}"


def _origin(spec: DiceSpec) -> str:
    if spec.train:
        return f"seed {spec.train.seed}"
    return f"training {spec.training}, predicted elsewhere" if spec.predicted else f"weights {spec.weights}"


def _summary(result: Scores) -> str:
    dice = [image.dice for image in result.images if not math.isnan(image.dice)]
    chosen = f", with the learning rate {result.taken:g}, the best of {len(result.tried)}" if result.taken else ""
    return f"Dice {sum(dice) / len(dice):.3f}, the mean of {len(dice)} scores{chosen}" if dice else "no score"


QUANTITY = Quantity(
    "dice", DiceSpec, Scores, _jobs, "training and scoring", start_s=11.0, takes="order", passes=_passes, told=_told,
    summary=_summary,
    repeat=lambda s: (_data(s), _origin(s)),
    metrics=tuple(
        Metric(score.name, "score", score.unit, SCORING, less_is_better=score.less_is_better)
        for score in SCORES.values()
    ),
)  # fmt: skip
