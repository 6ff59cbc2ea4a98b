"""Memory: the peak of one pass."""

from functools import partial
from statistics import median
from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import PASS, Column, MemoryFormat, Metric, Pass, Quantity, Result, pixels
from bench.units import in_unit

PASSES = {"inference": "a forward pass", "training": "a training step"}
TRAINING_BATCH = 4  # of every network in every budget, so that a table never mixes batches


class MemorySpec(Pass):
    """Peak memory of one pass in a fresh process: a forward pass in inference mode, or a training step.

    On CUDA it is the peak of what torch allocates. On a CPU it is the peak resident set size minus the resident size
    before the network was built. `process` numbers the repeats.
    """

    quantity: Literal["memory"] = "memory"
    memory_format: MemoryFormat = "contiguous"
    mode: Literal["inference", "training"] = "inference"
    tf32: bool = False
    cudnn_benchmark: bool = False
    process: int = Field(0, ge=0)


class Memory(Result):
    """Peak memory `peak_bytes`. It includes `weights_bytes`, the parameters and buffers held before the pass.

    `reserved_bytes` is the memory that torch's allocator reserved on the GPU; None on a CPU.
    """

    quantity: Literal["memory"] = "memory"
    weights_bytes: int
    peak_bytes: int
    reserved_bytes: int | None = None

    @property
    def activations_bytes(self) -> int:
        """Memory that the pass itself adds to the weights."""
        return self.peak_bytes - self.weights_bytes


def _jobs(asked: Asked) -> list[MemorySpec]:
    """One forward pass at each size, smallest first, and one training step of `TRAINING_BATCH` images."""
    spec = partial(MemorySpec, **asked.one_pass, **asked.switches)
    training = spec(size=asked.size, batch=TRAINING_BATCH, mode="training")
    return [*(spec(size=size, batch=asked.batches[0]) for size in sorted(asked.all_sizes)), training]


QUANTITY = Quantity(
    "memory", MemorySpec, Memory, _jobs, "measuring the peak memory of", start_s=3.0, takes="builder",
    passes=lambda spec, asked: pixels(spec) * spec.batch * (6 if spec.mode == "inference" else 15),
    grows=("batch", "size"), repeats=frozenset({"process"}), beside={"mode": "inference"},
    summary=lambda m: f"{in_unit(m.peak_bytes, 'bytes')}, of which weights {in_unit(m.weights_bytes, 'bytes')}",
    repeat=lambda s: (PASSES[s.mode], f"batch {s.batch}", f"{s.size}x{s.size}"),
    metrics=tuple(
        Metric(f"memory_{mode}", "ratio", "bytes", PASS, lambda memory, module: memory.peak_bytes, where={"mode": mode})
        for mode in ("inference", "training")
    ),
    columns=(
        Column("memory", "Memory", "MiB", "bytes", lambda found: median(one.peak_bytes for one in found),
               mark="pretended", limit="memory"),
    ),
)  # fmt: skip
