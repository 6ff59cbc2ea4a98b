"""The vocabulary: each quantity's conditions (a Spec) and what is found under them (a Result).

Units are in the names: `_s` seconds, `_bytes` bytes, `macs` multiply-adds with one multiply-add counted as one. No
default is silent: whatever can change a number is a field here, and so part of a job's key and of its record. Nothing
here imports torch, so that stored records can be read at once.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["float32", "bfloat16", "float16"]
TrainingPrecision = Literal["float32", "bfloat16"]
Form = Literal["eager", "folded", "compiled", "cuda_graph", "onnx"]
MemoryFormat = Literal["contiguous", "channels_last"]
Device = Literal["cpu", "cuda"]
Protocol = Literal["per_image", "per_volume"]


class Frozen(BaseModel):
    """A value that never changes after it is made and has no field it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True, ser_json_inf_nan="strings")


class Images(Frozen):
    """What a network takes and gives: images of `channels` x `size` x `size`, `classes` maps."""

    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=1)


class Pass(Images):
    """A batch through a network, on a machine whose hardware and software the fingerprint `machine` stands for."""

    machine: str
    device: Device
    threads: int = Field(ge=1)
    batch: int = Field(1, ge=1)
    precision: Precision = "float32"


# ---- cost: parameters and multiply-adds ------------------------------------------------------------------------------


class CostSpec(Images):
    """One image."""

    quantity: Literal["cost"] = "cost"


class Count(Frozen):
    """One counter's multiply-adds for one image, or why there are none.

    `missed` lists the closed formulas this counter failed at start-up, and operators that multiply and have none;
    `uncounted` the operators it met and did not
    count, with how often, other than those that do no multiplication.
    """

    counter: str
    macs: int | None
    by_operator: dict[str, int] = {}
    uncounted: dict[str, int] = {}
    missed: tuple[str, ...] = ()
    error: str = ""


class Cost(Frozen):
    """Parameters of the network and multiply-adds for one image.

    `attended` is the share of all pairs of pixels that each fused attention compares, by module; empty in records older
    than the measure.
    """

    quantity: Literal["cost"] = "cost"
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    buffer_bytes: int
    fvcore: Count
    torch: Count
    attended: dict[str, float] = {}

    @property
    def doubt(self) -> str:
        """Why the multiply-adds are not to be trusted, or nothing: a counter failed, or the two differ by over 2 %."""
        for count in (self.fvcore, self.torch):
            if count.macs is None:
                return f"{count.counter} failed: {count.error}"
            if count.missed:
                return f"{count.counter} has no right formula for {', '.join(count.missed)}"
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
    | {"upsample_nearest2d", "adaptive_avg_pool2d", "grid_sampler"}
)


# ---- latency ---------------------------------------------------------------------------------------------------------


class LatencySpec(Pass):
    """Forward passes of one batch in a process of its own: eval, inference mode, input resident on the device.

    `process` numbers the repeats, each in a fresh process. Warm-up lasts at least `warmup_calls` and `warmup_s` and
    until it is flat; then come at least `samples` calls and `seconds`. `form` is what was made of the network before it
    was timed: batch norms folded into convolutions, torch.compile, a CUDA graph, ONNX Runtime.
    """

    quantity: Literal["latency"] = "latency"
    memory_format: MemoryFormat = "contiguous"
    form: Form = "eager"
    tf32: bool = False
    cudnn_benchmark: bool = False
    warmup_calls: int = Field(10, ge=1)
    warmup_s: float = Field(0.5, ge=0)
    samples: int = Field(50, ge=1)
    seconds: float = Field(2.0, ge=0)
    process: int = Field(0, ge=0)


class Agreement(Frozen):
    """How far the output strays from that of the plain network: contiguous, eager, float32.

    `max_error` is the largest difference of two logits, `largest` the largest plain logit, `dice` the overlap of the
    masks that both give (1 where they are the same).
    """

    max_error: float
    largest: float
    dice: float


class Latency(Frozen):
    """Raw times of single calls, in seconds, in order. On CUDA `event_samples_s` is the second clock, call by call.

    `prepare_s` is what making the form took (folding, compiling, exporting), None where nothing was made. `agreement`
    is None for the plain network.
    """

    quantity: Literal["latency"] = "latency"
    samples_s: tuple[float, ...]
    warmup_s: tuple[float, ...]
    event_samples_s: tuple[float, ...] = ()
    prepare_s: float | None = None
    agreement: Agreement | None = None


# ---- memory ----------------------------------------------------------------------------------------------------------


class MemorySpec(Pass):
    """The most memory one pass holds, in a fresh process: a forward pass in inference mode, or a whole training step.

    On CUDA it is what torch allocates; on a CPU the high-water resident size less what the process held before the
    network was built.
    """

    quantity: Literal["memory"] = "memory"
    memory_format: MemoryFormat = "contiguous"
    mode: Literal["inference", "training"] = "inference"


class Memory(Frozen):
    """`peak_bytes` in all, of which `weights_bytes` (parameters and buffers) lie there before the pass.

    `reserved_bytes` is what torch's allocator took from the GPU, None on a CPU.
    """

    quantity: Literal["memory"] = "memory"
    weights_bytes: int
    peak_bytes: int
    reserved_bytes: int | None = None

    @property
    def activations_bytes(self) -> int:
        """What the pass itself adds."""
        return self.peak_bytes - self.weights_bytes


# ---- energy ----------------------------------------------------------------------------------------------------------


class EnergySpec(Pass):
    """Energy of forward passes, from the device's own counter over at least `seconds` and `counter_steps` of its steps.

    The counter is of the whole GPU, or of all packages of the CPU, so other processes count too.
    """

    quantity: Literal["energy"] = "energy"
    seconds: float = Field(5.0, gt=0)
    counter_steps: int = Field(50, ge=1)


class Energy(Frozen):
    """Joules an image, what the idle device draws included; None, and `unreadable` says why, without a counter.

    Less its idle share it is `joules_per_image - idle_watts * window_s / images`.
    """

    quantity: Literal["energy"] = "energy"
    joules_per_image: float | None
    idle_watts: float | None
    images: int = 0
    window_s: float = 0.0
    counter_steps: int = 0
    unreadable: str = ""


# ---- what the machine could do ---------------------------------------------------------------------------------------


class PeakSpec(Frozen):
    """The best rates that large plain operations reach: a matrix product, and a copy that no cache holds."""

    quantity: Literal["peak"] = "peak"
    machine: str
    device: Device
    precision: Precision = "float32"
    threads: int = Field(ge=1)


class Peak(Frozen):
    """Multiply-adds a second of a large square matrix product; bytes read and written a second by a large copy."""

    quantity: Literal["peak"] = "peak"
    macs_per_s: float
    bytes_per_s: float


# ---- Dice: train or load, then score ---------------------------------------------------------------------------------


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


Spec = Annotated[
    CostSpec | LatencySpec | MemorySpec | EnergySpec | PeakSpec | DiceSpec, Field(discriminator="quantity")
]
Result = Annotated[Cost | Latency | Memory | Energy | Peak | Scores, Field(discriminator="quantity")]
QUANTITIES = ("cost", "memory", "latency", "energy", "dice")
MACHINE = "machine"  # stands where a job's network does when the job is about the machine itself
