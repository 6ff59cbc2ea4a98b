"""What a study asks, as far as the jobs of a quantity depend on it. Plain values, so that a test can write them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.quantities.base import Device
from bench.quantities.budget import Budget


@dataclass(frozen=True)
class AskedData:
    """The data set that networks are trained and scored on; `images` counts those of each split."""

    name: str
    digest: str
    maps: int
    labels: tuple[str, ...]
    protocol: str
    images: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may set, whatever is measured.

    Networks are measured at `size`, the first of the `batches` and in float32 eager mode, and from there at each other
    size, batch and variant. `patience` is the number of checks without gain after which a training ends.
    """

    size: int = 224
    seeds: tuple[int, ...] = (0,)
    devices: int = 1
    patience: int | None = None
    sizes: tuple[int, ...] = ()
    batches: tuple[int, ...] = (1,)
    variants: tuple[str, ...] = ("eager",)
    tf32: bool = False
    cudnn_benchmark: bool = False


@dataclass(frozen=True)
class Asked(Settings):
    """The settings, the budget, the machine and the data.

    `machine` is the machine's fingerprint, `precision` that of training. `weights` is the digest of the user's own
    weights, whose file's name is `weights_file`; both are empty where networks are trained.
    """

    measures: tuple[str, ...]
    budget: Budget
    machine: str
    device: Device
    threads: int
    precision: str = "float32"
    weights: str = ""
    weights_file: str = ""
    data: AskedData | None = None

    @property
    def maps(self) -> int:
        """Maps of logits that the networks give."""
        return self.data.maps if self.data else 1

    @property
    def all_sizes(self) -> list[int]:
        """The size that is trained at, then the others, smallest first."""
        return [self.size, *sorted(set(self.sizes) - {self.size})]

    @property
    def one_pass(self) -> dict[str, Any]:
        """The conditions that all measurements on the machine have in common."""
        return {"machine": self.machine, "device": self.device, "classes": self.maps, "threads": self.threads}
