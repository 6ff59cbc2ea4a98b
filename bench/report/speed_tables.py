"""The tables of speed, memory and energy on one machine."""

from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

from bench.quantities import Agreement, Latency
from bench.quantities.variants import PLAIN, name_of
from bench.read.speeds import KNEE, PERCENTILES, Speed, Speeds, growth
from bench.report.columns import TAINTED, Column, Table, number, table, tainted
from bench.report.text import prose
from bench.stats.estimate import Estimate


def speed_tables(speeds: Speeds) -> list[Table]:
    """Single figures; batches, sizes and variants, each where more than one was measured; memory; energy.

    A table without figures is left out.
    """
    rows = speeds.rows
    wanted: tuple[tuple[Callable[[Speeds], Table], bool], ...] = (
        (_single, any(row.latency_s() for row in rows)),
        (_batches, len(speeds.batches) > 1),
        (_sizes, len(speeds.sizes) > 1),
        (_variants, len(speeds.variants) > 1),
        (_memory, any(row.memory(mode) for row in rows for mode in ("inference", "training"))),
        (_energy, any(row.energy for row in rows)),
    )
    return [make(speeds) for make, worth in wanted if worth]


def _column(name: str, unit: str, value: Callable[[Any], Any], base: str, *how: Any, **more: Any) -> Column:
    """A column of latencies, its key its header."""
    return Column(f"{name} {unit}".lower().strip(), name, unit, value, base, *how, **{"quantity": "latency", **more})


def _single(speeds: Speeds) -> Table:
    columns = (
        _column("Latency", "ms", Speed.latency_s, "seconds", min, tainted, ranged=True),
        *(_column(f"p{percent}", "ms", methodcaller("percentile_s", percent), "seconds", min, optional=True)
          for percent in PERCENTILES),
        _column("Of peak", "", lambda row: row.share_of_peak, "share", max),
    )  # fmt: skip
    first = speeds.rows[0]
    return table(
        "speed", f"Speed at batch {first.batch}, {first.size}x{first.size}, {speeds.device}", columns, speeds.rows,
        f"machine: {speeds.environment.title}", prose("percentiles", PERCENTILES), prose("of_peak"),
        *(f"{TAINTED} {row.title}: {why}" for row in speeds.rows for why in row.taints),
    )  # fmt: skip


def _batches(speeds: Speeds) -> Table:
    columns = (
        *(_column(f"Batch {batch}", "images/s", methodcaller("throughput", batch), "images/s", max)
          for batch in speeds.batches),
        _column("Saturation", "batch", lambda row: row.knee(speeds.batches), "count"),
    )  # fmt: skip
    ended = [
        f"{row.title}: ended at batch {batch}, {failure}"
        for row in speeds.rows
        for batch in speeds.batches
        if row.throughput(batch) is None and (failure := row.failure("latency", batch=batch))
    ]
    rows = speeds.swept(lambda spec: spec.batch)
    return table("batches", "Throughput by batch", columns, rows, prose("saturation", KNEE), *ended)


def _sizes(speeds: Speeds) -> Table:
    def grown(value: Callable[[Speed, int], float | None], row: Speed) -> float | None:
        return growth((size * size, value(row, size)) for size in speeds.sizes)

    columns = (
        *(
            _column(f"{size}x{size}", "ms", methodcaller("latency_s", size=size), "seconds", min)
            for size in speeds.sizes
        ),
        _column("Growth", "latency", partial(grown, _latency), "exponent", min),
        _column("Growth", "GMAC", partial(grown, _macs), "exponent", min, quantity="cost"),
        _column("Growth", "memory", partial(grown, _activations), "exponent", min, quantity="memory"),
    )
    return table("sizes", "Cost as the image grows", columns, speeds.swept(lambda s: s.size), prose("growth"))


def _latency(row: Speed, size: int) -> float | None:
    return number(row.latency_s(size=size))


def _macs(row: Speed, size: int) -> float | None:
    cost = row.cost(size)
    return cost.torch.macs if cost and not cost.doubt else None


def _activations(row: Speed, size: int) -> float | None:
    memory = row.memory("inference", size)
    return memory.activations_bytes if memory else None


class Deployed(NamedTuple):
    """A network in one variant, with its time over the plain network's. `origin` is the plain network's title."""

    title: str
    origin: str
    latency_s: Estimate | None
    over_plain: Estimate | None
    result: Latency | None

    @property
    def agreement(self) -> Agreement | None:
        return self.result.agreement if self.result else None


def _variants(speeds: Speeds) -> Table:
    rows = [
        Deployed(
            f"{row.title}, {name}", row.title, row.latency_s(variant=name), row.over_plain(name), row.variant(name)
        )
        for row in speeds.swept(name_of)
        for name in speeds.variants
    ]
    columns = (
        _column("Latency", "ms", lambda row: row.latency_s, "seconds", ranged=True),
        _column("To eager", "ratio", lambda row: row.over_plain, "ratio", ranged=True),
        _column("Made in", "s", lambda row: row.result and row.result.prepare_s, "ratio"),
        _column("Max error", "of largest", _max_error, "error"),
        _column("Masks", "Dice", lambda row: row.agreement and row.agreement.dice, "score"),
    )
    failed = [
        f"{row.title}, {variant}: {why}"
        for row in speeds.rows
        for variant in speeds.variants
        if variant != PLAIN and (why := row.refusal(variant))
    ]
    timed = [row for row in rows if row.latency_s]
    return table("variants", "Deployed speed", columns, timed, prose("variants"), *failed)


def _max_error(row: Deployed) -> float | None:
    """The largest difference of two logits, as a share of the plain network's largest."""
    found = row.agreement
    return found.max_error / found.largest if found and found.largest else None


def _memory(speeds: Speeds) -> Table:
    def part(mode: str, of: str, row: Speed) -> float | None:
        return getattr(row.memory(mode), of, None)

    columns = [
        _column(name, "MiB", partial(part, mode, of), "bytes", min, quantity="memory")
        for name, mode, of in (
            ("Weights", "inference", "weights_bytes"),
            ("Inference", "inference", "peak_bytes"),
            ("Training", "training", "peak_bytes"),
        )
    ]
    caption = f"Peak memory at batch {speeds.rows[0].batch}"
    return table("memory", caption, columns, speeds.rows, prose("peak_memory", speeds.device))


def _energy(speeds: Speeds) -> Table:
    columns = (
        _column("Energy", "J/image", lambda row: row.energy and row.energy.joules_per_image, "joules", min,
                quantity="energy"),
        _column("Idle", "W", lambda row: row.energy and row.energy.idle_watts, "watts", quantity="energy"),
    )  # fmt: skip
    unread = {row.energy.unreadable for row in speeds.rows if row.energy and row.energy.unreadable}
    caption = f"Energy at batch {speeds.rows[0].batch}"
    return table("energy", caption, columns, speeds.rows, prose("energy"), *sorted(unread))
