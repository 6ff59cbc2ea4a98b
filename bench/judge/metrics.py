"""What a claim may be about: one literal table from a metric's name to how it is decided and under what conditions.

Three ways of deciding. An `exact` metric is the same on any machine and gates there. A `ratio` metric depends on the
machine's mood and gates only as a quotient of two networks measured side by side. A `score` depends on the images and
the training, so its interval is over test images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from bench.errors import unknown
from bench.quantities import Cost, Energy, Latency, Memory

Tier = Literal["exact", "ratio", "score"]
Unit = Literal["parameters", "multiply-adds", "share", "seconds", "bytes", "joules", "score", "distance"]

IMAGE = ("channels", "classes", "size")
PASS = (*IMAGE, "batch", "device", "machine")
SCORING = ("size", "dataset", "protocol", "images_seen")


@dataclass(frozen=True)
class Metric:
    """`conditions` are the keys of a claim that mean something for it; `value` reads a single record's result.

    A latency has many samples and a score many images, so these have no `value` here; None from one says that the
    quantity was measured and could not be read.
    """

    name: str
    tier: Tier
    quantity: str
    unit: Unit
    conditions: tuple[str, ...]
    less_is_better: bool = True
    value: Callable[[Any, str], float | None] | None = None

    def gates_exactly(self, device: str | None) -> bool:
        """Whether a claim's figure is the same on any machine: torch's allocator on CUDA counts, a CPU's does not."""
        return self.tier == "exact" or (self.quantity == "memory" and device == "cuda")

    def doubt(self, result: Any) -> str:
        """Why the figure is not to be trusted; nothing where it is."""
        if self.unit == "multiply-adds" and isinstance(result, Cost):
            return result.doubt
        return result.unreadable if isinstance(result, Energy) else ""


def _parameters(cost: Cost, module: str) -> float:
    return cost.parameters


def _fvcore(cost: Cost, module: str) -> float | None:
    return cost.fvcore.macs


def _torch(cost: Cost, module: str) -> float | None:
    return cost.torch.macs


def _attended(cost: Cost, module: str) -> float | None:
    return cost.attended.get(module)


def _peak(memory: Memory, module: str) -> float:
    return memory.peak_bytes


def _joules(energy: Energy, module: str) -> float | None:
    return energy.joules_per_image


def seconds(result: Latency) -> tuple[float, ...]:
    """The raw times of a process: of the device's own clock where there is one."""
    return result.event_samples_s or result.samples_s


METRICS = {
    metric.name: metric
    for metric in (
        Metric("parameters", "exact", "cost", "parameters", IMAGE, value=_parameters),
        Metric("macs_fvcore", "exact", "cost", "multiply-adds", IMAGE, value=_fvcore),
        Metric("macs_torch", "exact", "cost", "multiply-adds", IMAGE, value=_torch),
        Metric("attended", "exact", "cost", "share", (*IMAGE, "module"), value=_attended),
        Metric("memory_inference", "ratio", "memory", "bytes", PASS, value=_peak),
        Metric("memory_training", "ratio", "memory", "bytes", PASS, value=_peak),
        Metric("latency", "ratio", "latency", "seconds", (*PASS, "variant"), value=None),
        Metric("energy", "ratio", "energy", "joules", PASS, value=_joules),
        Metric("dice", "score", "dice", "score", SCORING, less_is_better=False),
        Metric("iou", "score", "dice", "score", SCORING, less_is_better=False),
        Metric("sensitivity", "score", "dice", "score", SCORING, less_is_better=False),
        Metric("precision", "score", "dice", "score", SCORING, less_is_better=False),
        Metric("hd95", "score", "dice", "distance", SCORING),
    )
}


def find_metric(name: str) -> Metric:
    """A metric of the table; UserError with the nearest name where there is none of this name."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]
