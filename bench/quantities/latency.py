"""Latency: the time of one forward pass."""

from functools import partial
from statistics import median
from typing import Any, Literal

from pydantic import Field, field_validator

from bench.quantities.asked import Asked
from bench.quantities.base import (
    PASS,
    Column,
    Frozen,
    MemoryFormat,
    Metric,
    Pass,
    Quantity,
    Result,
    pixels,
)
from bench.quantities.variants import FORMS, PLAIN, conditions, name_of
from bench.stats.estimate import of_processes
from bench.units import significant

REPEATS = frozenset({"process", "samples", "seconds", "warmup_calls", "warmup_s"})


class LatencySpec(Pass):
    """Forward passes of one batch in a process of its own: eval, inference mode, input resident on the device.

    `process` numbers the repeats, each in a fresh process. Warm-up lasts at least `warmup_calls` and `warmup_s` and
    until it is flat; then come at least `samples` calls and `seconds`. `form` is what was made of the network before it
    was timed (`bench.measure.forms`).
    """

    quantity: Literal["latency"] = "latency"
    memory_format: MemoryFormat = "contiguous"
    form: str = PLAIN
    tf32: bool = False
    cudnn_benchmark: bool = False
    warmup_calls: int = Field(10, ge=1)
    warmup_s: float = Field(0.5, ge=0)
    samples: int = Field(50, ge=1)
    seconds: float = Field(2.0, ge=0)
    process: int = Field(0, ge=0)

    @field_validator("form")
    @classmethod
    def _known(cls, form: str) -> str:
        if form not in FORMS:
            raise ValueError(f"unknown form '{form}'; known: {', '.join(FORMS)}")
        return form


class Agreement(Frozen):
    """How far the output differs from that of the plain network: contiguous, eager, float32.

    `max_error` is the largest difference of two logits, `largest` the largest plain logit, `dice` the overlap of the
    masks that both give (1 where they are the same).
    """

    max_error: float
    largest: float
    dice: float


class Latency(Result):
    """Raw times of single calls, in seconds, in order. On CUDA `event_samples_s` is the second clock, call by call.

    `prepare_s` is the time that making the form took (folding, compiling, exporting), None where nothing was made.
    `agreement` is None for the plain network.
    """

    quantity: Literal["latency"] = "latency"
    samples_s: tuple[float, ...]
    warmup_s: tuple[float, ...]
    event_samples_s: tuple[float, ...] = ()
    prepare_s: float | None = None
    agreement: Agreement | None = None


def _jobs(asked: Asked) -> list[LatencySpec]:
    """Process by process, in each of them all that is compared: what changes in an hour then changes for all."""
    budget, batch = asked.budget, asked.batches[0]
    spec = partial(
        LatencySpec, **asked.one_pass, warmup_calls=budget.warmup_calls, warmup_s=budget.warmup_s,
        samples=budget.samples, seconds=budget.seconds, tf32=asked.tf32, cudnn_benchmark=asked.cudnn_benchmark,
    )  # fmt: skip
    ways: list[dict[str, Any]] = [{"batch": batch, "size": size} for size in asked.all_sizes]
    ways += [{"batch": other, "size": asked.size} for other in asked.all_batches[1:]]
    ways += [{"batch": batch, "size": asked.size, **conditions(v)} for v in asked.variants if v != PLAIN]
    return [spec(process=process, **way) for process in range(budget.processes) for way in ways]


def _told(spec: LatencySpec, asked: Asked) -> tuple[str, str]:
    count = asked.budget.processes
    processes = "1 process" if count == 1 else f"{count} processes"
    batches, sizes = (", ".join(map(str, numbers)) for numbers in (asked.batches, (asked.size, *asked.sizes)))
    variants = f", also {', '.join(asked.variants)}" if asked.variants else ""
    switches = (" with TF32" if spec.tf32 else "") + (", cuDNN benchmark" if spec.cudnn_benchmark else "")
    return "latency", (
        f"batch {batches} of {spec.channels} channels at {sizes} pixels a side, float32{switches}{variants}, "
        f"{spec.threads} threads, {processes} of {spec.samples} calls or more"
    )


def seconds(result: Latency) -> tuple[float, ...]:
    """The raw times of a process: those of the device's own clock where there is one."""
    return result.event_samples_s or result.samples_s


def _summary(result: Latency) -> str:
    calls = result.samples_s
    return f"median {significant(1e3 * median(calls))} ms of {len(calls)} calls" if calls else ""


QUANTITY = Quantity(
    name="latency",
    spec=LatencySpec,
    result=Latency,
    jobs=_jobs,
    doing="timing",
    start_s=4.0,
    passes=lambda spec, asked: pixels(spec) * spec.batch * (2 * spec.warmup_calls + spec.samples),
    quiet=True,
    grows=("batch", "size"),
    repeats=REPEATS,
    beside={"form": PLAIN},
    told=_told,
    summary=_summary,
    repeat=lambda s: f"{name_of(s)}, batch {s.batch}, {s.size}x{s.size}, process {s.process}",
    metrics=(Metric("latency", "ratio", "seconds", (*PASS, "variant"), samples=seconds),),
    columns=(
        Column(
            "latency", "Latency", "ms", "seconds", lambda found: of_processes([result.samples_s for result in found]),
            mark="tainted", limit="latency",
        ),
    ),
)  # fmt: skip
