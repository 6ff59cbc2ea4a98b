"""What every quantity is made of: its conditions, its result, and what the rest of the program needs to know of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.stats.estimate import Estimate

Precision = Literal["float32", "bfloat16", "float16"]
MemoryFormat = Literal["contiguous", "channels_last"]
Device = Literal["cpu", "cuda"]
Tier = Literal["exact", "ratio", "score"]
Unit = Literal[
    "parameters", "multiply-adds", "share", "seconds", "bytes", "joules", "watts", "score", "distance", "count", ""
]

IMAGE = ("channels", "classes", "size")  # the conditions of a claim on what depends on the network and its input alone
PASS = (*IMAGE, "batch", "device", "machine")  # and on what depends on the machine too
SAME_PASS = ("machine", "device", *IMAGE, "batch", "precision", "memory_format")  # conditions of figures side by side


class Frozen(BaseModel):
    """A value that never changes after it is made and has no field it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=True, ser_json_inf_nan="strings", validate_by_name=True,
        serialize_by_alias=True,
    )  # fmt: skip


class Conditions(Frozen):
    """The conditions of one measurement. No default is silent: whatever can change a number is a field."""

    quantity: str


class Images(Conditions):
    """What a network takes and gives: images of `channels` x `size` x `size`, `classes` maps."""

    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=1)


class Pass(Images):
    """A batch through a network on a machine; `machine` is the fingerprint of its hardware and software."""

    machine: str
    device: Device
    threads: int = Field(ge=1)
    batch: int = Field(1, ge=1)
    precision: Precision = "float32"


class Result(Frozen):
    """What was measured under some conditions."""

    quantity: str


@dataclass(frozen=True)
class Metric:
    """A figure that a claim, a comparison or a history may be about.

    An `exact` metric is the same on every machine. A `ratio` metric depends on the machine: it decides a claim as a
    quotient of two networks measured side by side. A `score` metric depends on images and training.

    Args:
        conditions: keys of a claim that apply to this metric.
        value: reads the figure, in base units, from one result; None where it could not be read. The second argument
            is the module a claim names. A metric with `samples` or of the tier `score` has none.
        samples: raw times in seconds of one process, for metrics that are repeated in several processes.
        where: conditions that tell the metric from others of its quantity.
        doubt: why the figure of a result cannot be trusted; empty where it can.
    """

    name: str
    tier: Tier
    unit: Unit
    conditions: tuple[str, ...]
    value: Callable[[Any, str], float | None] | None = None
    samples: Callable[[Any], tuple[float, ...]] | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    doubt: Callable[[Any], str] = lambda result: ""
    less_is_better: bool = True
    quantity: str = ""

    def of(self, quantity: str) -> "Metric":
        """The same metric, which now knows its quantity."""
        return replace(self, quantity=quantity)

    def gates_exactly(self, device: str | None) -> bool:
        """Whether the figure is the same on every machine: bytes that torch allocates on CUDA are, a CPU's are not."""
        return self.tier == "exact" or (self.unit == "bytes" and device == "cuda")


@dataclass(frozen=True)
class Column:
    """A figure of the quantity in the main table.

    Args:
        key: what renderers and tidy tables call it.
        name: header, its second line is `detail` (a unit, or what tells it from a neighbor).
        unit: base unit of the value; the report decides how a unit is written.
        value: reads the figure from the results of one network under the table's conditions, at least one.
        best: which end is marked as the best.
        mark: names the doubt that a row may have: its mark stands beside the figure, which is then never the best.
        limit: the name under which `bench pick` bounds the figure; empty where it does not.
    """

    key: str
    name: str
    detail: str
    unit: Unit
    value: Callable[[Sequence[Any]], float | Estimate | None]
    best: Literal["least", "most"] = "least"
    mark: Literal["", "unverified", "tainted"] = ""
    limit: str = ""


def text_of_nothing(result: Any) -> str:
    """For a quantity whose result is not told in one line."""
    return ""


@dataclass(frozen=True)
class Quantity:
    """All that is peculiar to one quantity.

    Args:
        name: as in `--measure`, in records, and as the module and function in `bench.measure` that measures it.
        spec, result: classes of its conditions and its result.
        jobs: the conditions to measure each network under, in order, for what a study asks (`asked.Asked`).
        doing: what progress says, as in "counting U-Net".
        start_s: seconds for a worker to start and import what it needs.
        passes: forward passes of one 224x224 image that a job is about as long as, for the estimate of time left.
        takes: what the measuring function is given: the `network`, its `builder`, nothing but the `machine`, or the
            whole `order` with data and training.
        usual: whether it is measured on a device when no `--measure` is given.
        quiet: whether nothing else may run beside it on the machine.
        grows: fields that make a job larger; after one ran out of memory, larger ones are not tried.
        repeats: fields that number repeats or fix their length: they tell no two conditions apart.
        beside: conditions of the records whose figures stand in the main table.
        told: conditions in words for the announcement of a run: label and text.
        summary: a result in one line, with units.
        repeat: what tells a record from others of its network, in words.
    """

    name: str
    spec: type[Conditions]
    result: type[Result]
    jobs: Callable[[Any], Sequence[Conditions]]
    doing: str
    start_s: float
    passes: Callable[[Any, Any], float]
    takes: Literal["network", "builder", "machine", "order"] = "network"
    usual: Callable[[str], bool] = lambda device: True
    quiet: bool = False
    grows: tuple[str, ...] = ()
    repeats: frozenset[str] = frozenset()
    beside: Mapping[str, str] = field(default_factory=dict)
    told: Callable[[Any, Any], tuple[str, str] | None] = lambda spec, asked: None
    summary: Callable[[Any], str] = text_of_nothing
    repeat: Callable[[Any], str] = text_of_nothing
    metrics: tuple[Metric, ...] = ()
    columns: tuple[Column, ...] = ()


def pixels(spec: Images) -> float:
    """An image's pixels in images of 224x224."""
    return (spec.size / 224) ** 2
