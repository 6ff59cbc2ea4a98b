"""Dice: how a network is trained or loaded, and the score of every test image."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from bench.quantities.base import Device, Frozen, Images

TrainingPrecision = Literal["float32", "bfloat16"]
Protocol = Literal["per_image", "per_volume"]


class TrainSpec(Frozen):
    """How a network is trained: AdamW, linear warm-up then cosine, Dice + cross-entropy, best checkpoint on `val`.

    `flips` are flips, quarter turns, brightness and contrast; `affine` adds small rotations and scales. `bfloat16` is
    mixed precision; maps are channels-last. `batch` is shared out evenly among `devices` (CUDA devices, or processes on
    a CPU), each of which normalises its own share.

    A leg is the stretch between two checkpoints: after each the network is scored on `val_images` of the validation
    split and saved, so that a killed run loses at most one. Training stops early when `patience` checks in a row were
    not better than the best; None never stops. None as a limit means all images.
    """

    steps: int = Field(ge=1)
    leg: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(1.0, gt=0)
    device: Device = "cpu"
    precision: TrainingPrecision = "float32"
    augmentation: Literal["flips", "affine"] = "flips"
    train_images: int | None = Field(None, ge=1)
    val_images: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    devices: int = Field(1, ge=1)
    patience: int | None = Field(None, ge=1)


class DiceSpec(Images):
    """Train (or load) on a data set, then score each image of its test split at the network's size.

    `data` is the digest of the data set's samples and splits, so that records of changed data are never mixed. `labels`
    names the foreground classes where there are several. By the protocol `per_image` each image is scored at the
    network's size; by `per_volume` each prediction is brought back to its slice's size and counted for its volume.

    Weights come from a training, `train`, or from somebody's own file, whose content has the digest `weights`.
    """

    quantity: Literal["dice"] = "dice"
    dataset: str
    data: str
    labels: tuple[str, ...] = ()
    protocol: Protocol = "per_image"
    test_images: int | None = Field(None, ge=1)
    train: TrainSpec | None = None
    weights: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.train is None) == (not self.weights):
            raise ValueError("weights come either from a training or from a file")
        return self


class CurvePoint(Frozen):
    """The state of a training run after a leg: mean loss over the leg, and mean Dice on the validation images."""

    step: int
    loss: float
    val_dice: float


class ImageScore(Frozen):
    """One class of one test image: pixel counts, what follows from them, and the distance of the outlines.

    Shares are 0 to 1, NaN where they are undefined. `hd95` is in the unit that its Scores name; NaN where truth and
    prediction are empty, and in records older than the measure.
    """

    id: str
    label: int
    tp: int
    fp: int
    fn: int
    dice: float
    iou: float
    volume: str = ""
    sensitivity: float = math.nan
    precision: float = math.nan
    hd95: float = math.nan


class VolumeScore(Frozen):
    """The distance of one class's outlines in a whole volume, all else of which follows from its slices' counts."""

    volume: str
    label: int
    hd95: float


class Scores(Frozen):
    """How training went, and one score an image and class.

    `train_images_per_s` comes from the median step: forward, backward and update, without the loading of samples.
    `distance_unit` is millimetres where every file gives its spacing, else pixels at the size of the scoring.
    `weights_file` is the name of somebody's own weights.
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
