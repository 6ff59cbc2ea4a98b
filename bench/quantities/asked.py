"""The part of a study that determines the jobs of a quantity. Plain values, so that tests can construct them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.quantities.base import Device
from bench.quantities.budget import Budget
from bench.quantities.training import NOTHING, Training


@dataclass(frozen=True)
class AskedData:
    """The data set that networks are trained and scored on. `images` is the number of images in each split.

    `tolerance` and `fold` are as in `bench.quantities.DiceSpec`.
    """

    name: str
    digest: str
    maps: int
    labels: tuple[str, ...]
    protocol: str
    images: Mapping[str, int] = field(default_factory=dict)
    tolerance: float | None = None
    fold: int | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that a user may change, for all quantities.

    Networks are trained and scored at `train_size`, by default at `size`. They are measured at `size`, at the first of
    the `batches` and in float32 eager mode. Then one of these is changed at a time, to each other size, batch and
    variant. `patience` is the number of checks without improvement after which a training ends. `tf32` and
    `cudnn_benchmark` are torch's switches for all that is measured on a GPU but trainings. With `pseudonyms`, records
    name neither patients nor files. `training` is how networks are trained, `own_training` how single ones are, by
    name.
    """

    size: int = 224
    train_size: int | None = None
    seeds: tuple[int, ...] = (0,)
    devices: int = 1
    patience: int | None = None
    sizes: tuple[int, ...] = ()
    batches: tuple[int, ...] = (1,)
    variants: tuple[str, ...] = ("eager",)
    tf32: bool = False
    cudnn_benchmark: bool = False
    pseudonyms: bool = False
    training: Training = NOTHING
    own_training: Mapping[str, Training] = field(default_factory=dict)

    def training_of(self, network: str) -> Training:
        """How one network is trained: its own settings replace those of all."""
        return self.training.changed_by(self.own_training.get(network, NOTHING))


@dataclass(frozen=True)
class Asked(Settings):
    """The settings together with the budget, the machine and the data.

    `machine` is the machine's fingerprint, `precision` the precision of training, which may have `training_threads` of
    its own. `weights` is the digest of the user's own weights and `weights_file` the name of their file; both are empty
    if the networks are trained. `data` is the data set that they are trained and scored on, `tests` are others on which
    they are scored too. `usual_batch` is that of the networks without one of their own, None where `training` has it.
    """

    measures: tuple[str, ...]
    budget: Budget
    machine: str
    device: Device
    threads: int
    training_threads: int = 0
    precision: str = "float32"
    weights: str = ""
    weights_file: str = ""
    data: AskedData | None = None
    tests: tuple[AskedData, ...] = ()
    usual_batch: int | None = None

    def of(self, network: str) -> "Asked":
        """The settings for one network, whose own settings of the training replace those of all."""
        usual = self.training.batch or self.budget.batch
        return replace(self, training=self.training_of(network), own_training={}, usual_batch=usual)

    @property
    def maps(self) -> int:
        """Number of logit maps that the networks output."""
        return self.data.maps if self.data else 1

    @property
    def all_sizes(self) -> list[int]:
        """The usual size, then the other sizes in ascending order."""
        return [self.size, *sorted(set(self.sizes) - {self.size})]

    @property
    def one_pass(self) -> dict[str, Any]:
        """The conditions shared by all measurements on the machine."""
        return {"machine": self.machine, "device": self.device, "classes": self.maps, "threads": self.threads}

    @property
    def switches(self) -> dict[str, bool]:
        """The switches of torch under which everything on the machine is measured."""
        return {"tf32": self.tf32, "cudnn_benchmark": self.cudnn_benchmark}
