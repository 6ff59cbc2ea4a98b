"""The vocabulary: each quantity's conditions (a Spec) and what is found under them (a Result).

Units are in the names: `_s` seconds, `_bytes` bytes, `macs` multiply-adds with one multiply-add counted as one. No
default is silent: whatever can change a number is a field here, and so part of a job's key and of its record. Nothing
here imports torch, so that stored records can be read at once.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["float32", "bfloat16"]
Device = Literal["cpu", "cuda"]
Protocol = Literal["per_image", "per_volume"]


class Frozen(BaseModel):
    """A value that never changes after it is made and has no field it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True, ser_json_inf_nan="strings")


# ---- cost: parameters and multiply-adds ------------------------------------------------------------------------------


class CostSpec(Frozen):
    """One image of `channels` x `size` x `size`, `classes` maps out."""

    quantity: Literal["cost"] = "cost"
    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=1)


class Count(Frozen):
    """One counter's multiply-adds for one image, or why there are none.

    `missed` lists the closed formulas this counter failed at start-up; `uncounted` the operators it met and did not
    count, with how often, other than those that do no multiplication.
    """

    counter: str
    macs: int | None
    by_operator: dict[str, int] = {}
    uncounted: dict[str, int] = {}
    missed: tuple[str, ...] = ()
    error: str = ""


class Cost(Frozen):
    """Parameters of the network and multiply-adds for one image."""

    quantity: Literal["cost"] = "cost"
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    buffer_bytes: int
    fvcore: Count
    torch: Count

    @property
    def doubt(self) -> str:
        """Why the multiply-adds are not to be trusted, or nothing: a counter failed, or the two differ by over 2 %."""
        for count in (self.fvcore, self.torch):
            if count.macs is None:
                return f"{count.counter} failed: {count.error}"
            if count.missed:
                return f"{count.counter} fails its self-test on {', '.join(count.missed)}"
        fvcore, torch = self.convolutions_and_matmuls
        if abs(fvcore - torch) > 0.02 * max(fvcore, torch, 1):
            return f"the counters disagree: fvcore {fvcore:,}, torch {torch:,} multiply-adds"
        return ""

    @property
    def convolutions_and_matmuls(self) -> tuple[int, int]:
        """Each counter's multiply-adds less what only fvcore counts: normalisation and resizing."""
        only_fvcore = sum(n for name, n in self.fvcore.by_operator.items() if name in FVCORE_EXTRAS)
        return (self.fvcore.macs or 0) - only_fvcore, self.torch.macs or 0


# fvcore gives these a cost, torch's counter none; they are compared without them.
FVCORE_EXTRAS = frozenset(
    {"batch_norm", "layer_norm", "group_norm", "instance_norm", "upsample_bilinear2d"}
    | {"upsample_nearest2d", "adaptive_avg_pool2d"}
)


# ---- latency ---------------------------------------------------------------------------------------------------------


class LatencySpec(Frozen):
    """Forward passes of one batch in a process of its own: eval, inference mode, input resident on the device.

    `machine` is the fingerprint of the machine and its software, for a time means nothing without them. `process`
    numbers the repeats, each in a fresh process. Warm-up lasts at least `warmup_calls` and `warmup_s` and until it is
    flat; then come at least `samples` calls and `seconds`.
    """

    quantity: Literal["latency"] = "latency"
    machine: str
    device: Device
    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=1)
    batch: int = Field(1, ge=1)
    precision: Precision = "float32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    threads: int = Field(ge=1)
    tf32: bool = False
    cudnn_benchmark: bool = False
    warmup_calls: int = Field(10, ge=1)
    warmup_s: float = Field(0.5, ge=0)
    samples: int = Field(50, ge=1)
    seconds: float = Field(2.0, ge=0)
    process: int = Field(0, ge=0)


class Latency(Frozen):
    """Raw times of single calls, in seconds, in order. On CUDA `event_samples_s` is the second clock, call by call."""

    quantity: Literal["latency"] = "latency"
    samples_s: tuple[float, ...]
    warmup_s: tuple[float, ...]
    event_samples_s: tuple[float, ...] = ()


# ---- Dice: train or load, then score ---------------------------------------------------------------------------------


class TrainSpec(Frozen):
    """How a network is trained: AdamW, linear warm-up then cosine, Dice + cross-entropy, best checkpoint on `val`.

    `flips` are flips, quarter turns, brightness and contrast; `affine` adds small rotations and scales. `bfloat16` is
    mixed precision; maps are channels-last.

    A leg is the stretch between two checkpoints: after each the network is scored on `val_images` of the validation
    split and saved, so that a killed run loses at most one. None as a limit means all images.
    """

    steps: int = Field(ge=1)
    leg: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    clip_norm: float = Field(1.0, gt=0)
    device: Device = "cpu"
    precision: Precision = "float32"
    augmentation: Literal["flips", "affine"] = "flips"
    train_images: int | None = Field(None, ge=1)
    val_images: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)


class DiceSpec(Frozen):
    """Train (or load) on a data set, then score each image of its test split at the network's size.

    `data` is the digest of the data set's samples and splits, so that records of changed data are never mixed. `labels`
    names the foreground classes where there are several. By the protocol `per_image` each image is scored at the
    network's size; by `per_volume` each prediction is brought back to its slice's size and counted for its volume.
    """

    quantity: Literal["dice"] = "dice"
    dataset: str
    data: str
    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=1)
    labels: tuple[str, ...] = ()
    protocol: Protocol = "per_image"
    test_images: int | None = Field(None, ge=1)
    train: TrainSpec


class CurvePoint(Frozen):
    """The state of a training run after a leg: mean loss over the leg, and mean Dice on the validation images."""

    step: int
    loss: float
    val_dice: float


class ImageScore(Frozen):
    """One class of one test image: pixel counts and the overlap they give, NaN where truth and prediction are empty."""

    id: str
    label: int
    tp: int
    fp: int
    fn: int
    dice: float
    iou: float
    volume: str = ""


class Scores(Frozen):
    """How training went, and one score an image and class.

    `train_images_per_s` comes from the median step: forward, backward and update, without the loading of samples.
    """

    quantity: Literal["dice"] = "dice"
    loaded: bool
    best_step: int
    curve: tuple[CurvePoint, ...]
    train_images_per_s: float | None
    images: tuple[ImageScore, ...]


Spec = Annotated[CostSpec | LatencySpec | DiceSpec, Field(discriminator="quantity")]
Result = Annotated[Cost | Latency | Scores, Field(discriminator="quantity")]
QUANTITIES = ("cost", "latency", "dice")
