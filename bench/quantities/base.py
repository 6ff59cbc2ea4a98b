"""Base classes of quantities: conditions, results, metrics, table columns and the quantity itself."""

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

IMAGE = ("channels", "classes", "size")  # conditions of claims about figures that are the same on every machine
PASS = (*IMAGE, "batch", "device", "machine")  # and about figures that depend on the machine
SWITCHES = ("tf32", "cudnn_benchmark")
SAME_PASS = ("machine", "device", "threads", *IMAGE, "batch", "precision", "memory_format", *SWITCHES)  # of a table row


def later(default: Any, **limits: Any) -> Any:
    """A field of conditions that came after records were made: at its default it is left out of keys.

    So a record keeps the key that it had before there was the field.
    """
    return Field(default, json_schema_extra={"later": True}, **limits)


class Frozen(BaseModel):
    """An immutable model that rejects unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=True, ser_json_inf_nan="strings", validate_by_name=True,
    )  # fmt: skip


class Conditions(Frozen):
    """The conditions of one measurement. Everything that can change a figure is a field."""

    quantity: str


class Images(Conditions):
    """Input and output of a network: images of `channels` x `size` x `size`, and `classes` output maps."""

    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=1)


class Pass(Images):
    """A pass of one batch on a machine. `machine` is the fingerprint of the machine's hardware and software."""

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
    """A figure that claims, comparisons and histories can use.

    An `exact` metric is the same on every machine. A `ratio` metric depends on the machine, so claims use the quotient
    of two networks that were measured side by side. A `score` metric depends on the images and the training.

    Args:
        conditions: keys of a claim that this metric depends on.
        value: function of (result, module) that returns the figure in base units, or None if it could not be read.
            `module` is the module that a claim names. None for a metric with `samples` or of the tier `score`.
        samples: function that returns the raw times of one process in seconds, for metrics repeated in several
            processes.
        where: conditions that distinguish the metric from others of its quantity.
        doubt: function that returns why a result's figure cannot be trusted, or an empty string.
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
        """Return a copy of the metric with its quantity set."""
        return replace(self, quantity=quantity)

    def gates_exactly(self, device: str | None) -> bool:
        """Whether the figure can be compared exactly.

        Memory that torch allocates on CUDA can; memory on a CPU cannot.
        """
        return self.tier == "exact" or (self.unit == "bytes" and device == "cuda")


@dataclass(frozen=True)
class Column:
    """A column of the main table.

    Args:
        key: name of the column in renderers and tidy tables.
        name: header. Its second line is `detail`: a unit, or what distinguishes the column from its neighbor.
        unit: base unit of the value. The report chooses the displayed unit.
        value: function that returns the figure from one or more results of one network under the table's conditions.
        best: whether the lowest or the highest value is marked as the best.
        mark: kind of doubt that a row can have. A doubtful figure gets a mark and is never marked as the best.
        limit: name of the limit on this figure in `bench pick`; empty if there is no such limit.
    """

    key: str
    name: str
    detail: str
    unit: Unit
    value: Callable[[Sequence[Any]], float | Estimate | None]
    best: Literal["least", "most"] = "least"
    mark: Literal["", "unverified", "tainted", "pretended"] = ""
    limit: str = ""


@dataclass(frozen=True)
class Quantity:
    """The definition of one quantity.

    Args:
        name: name in `--measure` and in records, and of the module and function in `bench.measure` that measures it.
        spec, result: classes of its conditions and its result.
        jobs: function that returns the conditions to measure each network under, in order, for an `asked.Asked`.
        doing: verb shown as progress, as in "counting U-Net".
        start_s: seconds that a worker takes to start, to import its dependencies and for what does not depend on the
            network.
        passes: approximate duration of a job, as a number of forward passes of one 224x224 image; used to estimate the
            time left.
        takes: argument of the measuring function: the `network`, its `builder`, none for a quantity of the `machine`,
            or the whole `order` with data and training.
        libraries: distributions whose versions decide the figure, besides those that the network's code imports.
        usual: whether it is measured on a device by default, without `--measure`.
        quiet: whether nothing else may run on the machine during the measurement.
        grows: fields that make a job larger. After a job ran out of memory or time, larger ones are skipped.
        repeats: fields that number the repeats or set their length. They are ignored when conditions are compared.
        beside: conditions of the records whose figures are shown in the main table.
        told: function that describes the conditions for the announcement of a run: label and text.
        summary: function that describes a result in one line, with units.
        repeat: function that describes what distinguishes a job from others of the same network, a text for each
            condition.
    """

    name: str
    spec: type[Conditions]
    result: type[Result]
    jobs: Callable[[Any], Sequence[Conditions]]
    doing: str
    start_s: float
    passes: Callable[[Any, Any], float] = lambda spec, asked: 0.0
    takes: Literal["network", "builder", "machine", "order"] = "network"
    libraries: tuple[str, ...] = ()
    usual: Callable[[str], bool] = lambda device: True
    quiet: bool = False
    grows: tuple[str, ...] = ()
    repeats: frozenset[str] = frozenset()
    beside: Mapping[str, str] = field(default_factory=dict)
    told: Callable[[Any, Any], tuple[str, str] | None] = lambda spec, asked: None
    summary: Callable[[Any], str] = lambda result: ""
    repeat: Callable[[Any], tuple[str, ...]] = lambda spec: ()
    metrics: tuple[Metric, ...] = ()
    columns: tuple[Column, ...] = ()


def pixels(spec: Images) -> float:
    """Number of pixels of an image, relative to 224x224."""
    return (spec.size / 224) ** 2
