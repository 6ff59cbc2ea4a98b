"""Memory: the peak of one pass."""

from functools import partial
from typing import Literal

from bench.quantities.asked import Asked
from bench.quantities.base import PASS, Column, MemoryFormat, Metric, Pass, Quantity, Result, pixels
from bench.units import significant


class MemorySpec(Pass):
    """The most memory that one pass holds, in a fresh process: a forward pass in inference mode, or a training step.

    On CUDA it is what torch allocates; on a CPU the high-water resident size less what the process held before the
    network was built.
    """

    quantity: Literal["memory"] = "memory"
    memory_format: MemoryFormat = "contiguous"
    mode: Literal["inference", "training"] = "inference"


class Memory(Result):
    """`peak_bytes` in all, of which `weights_bytes` (parameters and buffers) are held before the pass.

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


def _jobs(asked: Asked) -> list[MemorySpec]:
    """One forward pass at each size, smallest first, and one training step of the budget's batch."""
    spec = partial(MemorySpec, **asked.one_pass)
    training = spec(size=asked.size, batch=asked.budget.batch, mode="training")
    return [*(spec(size=size, batch=asked.batches[0]) for size in sorted(asked.all_sizes)), training]


def _metric(mode: str) -> Metric:
    return Metric(
        f"memory_{mode}", "ratio", "bytes", PASS, lambda memory, module: memory.peak_bytes, where={"mode": mode}
    )


def _mib(size: int) -> str:
    return f"{significant(size / 2**20)} MiB"


QUANTITY = Quantity(
    name="memory",
    spec=MemorySpec,
    result=Memory,
    jobs=_jobs,
    doing="measuring the peak memory of",
    start_s=4.0,
    passes=lambda spec, asked: pixels(spec) * spec.batch * (2 if spec.mode == "inference" else 6),
    takes="builder",
    grows=("batch", "size"),
    beside={"mode": "inference"},
    summary=lambda m: f"{_mib(m.peak_bytes)}, of which weights {_mib(m.weights_bytes)}",
    repeat=lambda s: f"{s.mode}, batch {s.batch}, {s.size}x{s.size}",
    metrics=(_metric("inference"), _metric("training")),
    columns=(Column("memory", "Memory", "MiB", "bytes", lambda found: found[0].peak_bytes, limit="memory"),),
)
