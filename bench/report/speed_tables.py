"""The tables of what was timed and weighed on one machine."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.quantities import Latency
from bench.quantities.variants import PLAIN, name_of
from bench.read.speeds import KNEE, PERCENTILES, Speed, Speeds, growth
from bench.report.columns import TAINTED, Column, tainted
from bench.report.tables import Table, table
from bench.report.units import NONE, mebibytes, milliseconds, percent, share, significant
from bench.stats.estimate import Estimate


def speed_tables(speeds: Speeds) -> list[Table]:
    """Single figures; then by batch, size and variant, each where more than one was measured; then memory, energy.

    A table of nothing is left out.
    """
    first = speeds.rows[0]
    found = []
    if any(row.latency_s() for row in speeds.rows):
        found.append(_single(speeds, f"Speed at batch {first.batch}, {first.size}x{first.size}, {speeds.device}"))
    if len(speeds.batches) > 1:
        found.append(_batches(speeds))
    if len(speeds.sizes) > 1:
        found.append(_sizes(speeds))
    if len(speeds.variants) > 1:
        found.append(_variants(speeds))
    if any(row.memory(mode) for row in speeds.rows for mode in ("inference", "training")):
        found.append(_memory(speeds))
    if any(row.energy for row in speeds.rows):
        found.append(_energy(speeds))
    return found


def _single(speeds: Speeds, caption: str) -> Table:
    columns = (
        Column("Latency", "ms", lambda row: row.latency_s(), milliseconds, min, tainted, ranged=True),
        *(
            Column(f"p{percent}", "ms", _percentile(percent), milliseconds, min, optional=True)
            for percent in PERCENTILES
        ),
        Column("Of peak", "", lambda row: row.share_of_peak, percent, max),
    )
    least = ", ".join(f"{samples} for p{percent}" for percent, samples in PERCENTILES.items())
    return table(
        caption, columns, speeds.rows,
        f"machine: {speeds.environment.title}",
        "latency: median of the medians of fresh processes, between the fastest and the slowest; percentiles of all "
        f"their calls with a distribution-free 95 % interval, which needs {least} calls",
        "of peak: multiply-adds a second as a share of what the best large matrix product reaches on this machine; "
        "Winograd's way to convolve needs fewer than are counted, and can pass 100 %",
        *(f"{TAINTED} {row.title}: {why}" for row in speeds.rows for why in row.taints),
    )  # fmt: skip


def _percentile(percent: int) -> Callable[[Speed], Estimate | None]:
    return lambda row: row.percentile_s(percent)


def _batches(speeds: Speeds) -> Table:
    columns = (
        *(Column(f"Batch {batch}", "images/s", _throughput(batch), significant, max) for batch in speeds.batches),
        Column("Knee", "batch", lambda row: row.knee(speeds.batches), lambda value: significant(value, 1)),
    )
    ended = [
        f"{row.title}: ended at batch {batch}, {failure}"
        for row in speeds.rows
        for batch in speeds.batches
        if row.throughput(batch) is None and (failure := row.failure("latency", batch=batch))
    ]
    return table(
        "Throughput by batch", columns, speeds.swept(lambda s: s.batch),
        f"knee: the smallest batch with {100 * KNEE:.0f} % of the best throughput; beyond it a larger one mostly waits",
        *ended,
    )  # fmt: skip


def _throughput(batch: int) -> Callable[[Speed], float | None]:
    return lambda row: row.throughput(batch)


def _sizes(speeds: Speeds) -> Table:
    def exponent(value: Callable[[Speed, int], float | None]) -> Callable[[Speed], float | None]:
        return lambda row: growth((size * size, value(row, size)) for size in speeds.sizes)

    columns = (
        *(Column(f"{size}x{size}", "ms", _latency(size), milliseconds, min) for size in speeds.sizes),
        Column("Growth", "latency", exponent(_seconds), _exponent, min),
        Column("Growth", "GMAC", exponent(_macs), _exponent, min),
        Column("Growth", "memory", exponent(_bytes), _exponent, min),
    )
    return table(
        "Cost as the image grows", columns, speeds.swept(lambda s: s.size),
        "growth: the exponent of the number of pixels that fits best; 1 is in step with the image, 2 with its square "
        "(memory: the inference peak less the weights)",
    )  # fmt: skip


def _exponent(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _latency(size: int) -> Callable[[Speed], Estimate | None]:
    return lambda row: row.latency_s(size=size)


def _seconds(row: Speed, size: int) -> float | None:
    latency = row.latency_s(size=size)
    return latency.value if latency else None


def _macs(row: Speed, size: int) -> float | None:
    cost = row.cost(size)
    return cost.torch.macs if cost and not cost.doubt else None


def _bytes(row: Speed, size: int) -> float | None:
    memory = row.memory("inference", size)
    return memory.activations_bytes if memory else None


@dataclass(frozen=True)
class Deployed:
    """A network in one variant."""

    row: Speed
    variant: str

    @property
    def title(self) -> str:
        return f"{self.row.title}, {self.variant}"

    @property
    def latency_s(self) -> Estimate | None:
        return self.row.latency_s(variant=self.variant)

    @property
    def over_plain(self) -> Estimate | None:
        return self.row.over_plain(self.variant)

    @property
    def result(self) -> Latency | None:
        return self.row.variant(self.variant)

    @property
    def max_error(self) -> float | None:
        agreement = self.result and self.result.agreement
        return agreement.max_error / agreement.largest if agreement and agreement.largest else None

    @property
    def dice(self) -> float | None:
        agreement = self.result and self.result.agreement
        return agreement.dice if agreement else None


def _variants(speeds: Speeds) -> Table:
    rows = [Deployed(row, variant) for row in speeds.swept(name_of) for variant in speeds.variants]
    columns = (
        Column("Latency", "ms", lambda row: row.latency_s, milliseconds, ranged=True),
        Column("To eager", "ratio", lambda row: row.over_plain, significant, ranged=True),
        Column("Made in", "s", lambda row: row.result and row.result.prepare_s, significant),
        Column("Max error", "of largest", lambda row: row.max_error, _error),
        Column("Masks", "Dice", lambda row: row.dice, share),
    )
    failed = [
        f"{row.title}, {variant}: {why}"
        for row in speeds.rows
        for variant in speeds.variants
        if variant != PLAIN and (why := row.refusal(variant))
    ]
    return table(
        "Deployed speed", columns, [row for row in rows if row.latency_s],
        "to eager: its time over the plain network's in the same rounds, with the 95 % interval over rounds; "
        "max error: the largest difference of two logits from those of the plain network, as a share of its largest; "
        "masks: the overlap of what both give, 1 where they are the same; of random weights, trained ones decide more "
        "firmly",
        *failed,
    )  # fmt: skip


def _error(value: float | None) -> str:
    return NONE if value is None else f"{value:.0e}" if value else "0"


def _memory(speeds: Speeds) -> Table:
    def part(mode: str, of: str) -> Callable[[Speed], float | None]:
        return lambda row: getattr(row.memory(mode), of) if row.memory(mode) else None

    columns = (
        Column("Weights", "MiB", part("inference", "weights_bytes"), mebibytes, min),
        Column("Inference", "MiB", part("inference", "peak_bytes"), mebibytes, min),
        Column("Training", "MiB", part("training", "peak_bytes"), mebibytes, min),
    )
    where = "what torch allocates" if speeds.device == "cuda" else (
        "the high-water resident size of a fresh process less what it held before the network was built"
    )  # fmt: skip
    return table(
        f"Peak memory at batch {speeds.rows[0].batch}", columns, speeds.rows,
        f"peak of one forward pass in inference mode, and of one training step (AdamW): {where}; weights are a part of "
        "both",
    )  # fmt: skip


def _energy(speeds: Speeds) -> Table:
    columns = (
        Column("Energy", "J/image", lambda row: row.energy and row.energy.joules_per_image, significant, min),
        Column("Idle", "W", lambda row: row.energy and row.energy.idle_watts, significant),
    )
    unread = {row.energy.unreadable for row in speeds.rows if row.energy and row.energy.unreadable}
    return table(
        f"Energy at batch {speeds.rows[0].batch}", columns, speeds.rows,
        "all the GPU draws while it works, what it draws when idle included; the idle power stands beside it",
        *sorted(unread),
    )  # fmt: skip
