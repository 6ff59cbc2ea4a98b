"""Latency: the time of one forward pass."""

from functools import partial
from statistics import median
from typing import Any, Literal

from pydantic import Field, field_validator

from bench.quantities.asked import Asked
from bench.quantities.base import PASS, Column, Frozen, MemoryFormat, Metric, Pass, Quantity, Result, pixels
from bench.quantities.variants import FORMS, PLAIN, made_so, name_of
from bench.stats.estimate import of_processes
from bench.units import in_unit


class LatencySpec(Pass):
    """Forward passes of one batch in a separate process: eval and inference mode, with the input already on the device.

    `process` numbers the repeats, each of which runs in a fresh process. Warm-up lasts at least `warmup_calls` calls
    and `warmup_s` seconds, and until times are stable (`bench.measure.latency`). Then at least `samples` calls and
    `seconds` seconds are timed. `form` is how the network was converted before timing (`bench.measure.forms`), and
    `runtime` the name and version of what runs that form, if that is not torch.
    """

    quantity: Literal["latency"] = "latency"
    memory_format: MemoryFormat = "contiguous"
    form: str = PLAIN
    runtime: str = ""
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
    """Difference of the output from that of the plain network (contiguous, eager, float32).

    `max_error` is the largest absolute difference of two logits, `largest` the largest absolute logit of the plain
    network, both of the output tensor and batch that are furthest off for their size. `dice` is the Dice of the two
    predicted masks (1 if they are equal).
    """

    max_error: float
    largest: float
    dice: float


class Latency(Result):
    """Raw times of single calls in seconds, in order: the latency is the wall time from a call to the end of its work.

    On CUDA, `event_samples_s` are the same calls timed by CUDA events, which is the `gpu_time`. Empty on a CPU.

    `prepare_s` is the time of conversion to the form (folding, compiling, exporting); None if there was none.
    `agreement` is None for the plain network. `note` says what is odd about the form, such as that it changes nothing.
    """

    quantity: Literal["latency"] = "latency"
    samples_s: tuple[float, ...]
    warmup_s: tuple[float, ...]
    event_samples_s: tuple[float, ...] = ()
    prepare_s: float | None = None
    agreement: Agreement | None = None
    note: str = ""


def _jobs(asked: Asked) -> list[LatencySpec]:
    """Interleaved: all conditions for one process number, then for the next, so that drift affects all alike."""
    budget, batch = asked.budget, asked.batches[0]
    spec = partial(
        LatencySpec, **asked.one_pass, warmup_calls=budget.warmup_calls, warmup_s=budget.warmup_s,
        samples=budget.samples, seconds=budget.seconds, **asked.switches,
    )  # fmt: skip
    ways: list[dict[str, Any]] = [{"batch": batch, "size": size} for size in asked.all_sizes]
    ways += [{"batch": other, "size": asked.size} for other in sorted(set(asked.batches) - {batch})]
    ways += [{"batch": batch, "size": asked.size, **made_so(v)} for v in asked.variants if v != PLAIN]
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


QUANTITY = Quantity(
    "latency", LatencySpec, Latency, _jobs, "timing", start_s=4.0, quiet=True,
    passes=lambda spec, asked: pixels(spec) * spec.batch * (spec.warmup_calls + spec.samples),
    grows=("batch", "size"), repeats=frozenset({"process", "samples", "seconds", "warmup_calls", "warmup_s"}),
    beside={"form": PLAIN}, told=_told,
    summary=lambda r: f"median {in_unit(median(r.samples_s), 'seconds')} of {len(r.samples_s)} calls",
    repeat=lambda s: (name_of(s), f"batch {s.batch}", f"{s.size}x{s.size}", f"process {s.process}"),
    metrics=(
        Metric("latency", "ratio", "seconds", (*PASS, "variant"), samples=lambda r: r.samples_s),
        Metric("gpu_time", "ratio", "seconds", (*PASS, "variant"), samples=lambda r: r.event_samples_s),
    ),
    columns=(
        Column("latency", "Latency", "ms", "seconds", lambda found: of_processes([r.samples_s for r in found]),
               mark="tainted", limit="latency"),
    ),
)  # fmt: skip
