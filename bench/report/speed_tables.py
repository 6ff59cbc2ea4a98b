"""The tables of speed, memory and energy on one machine."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import methodcaller
from typing import NamedTuple

from bench.quantities import Latency
from bench.quantities.variants import PLAIN, name_of
from bench.read.speeds import SATURATED, Speed, Speeds
from bench.read.versions import origins
from bench.report.columns import MARKS, TAINTED, Column, Table, number, table
from bench.report.text import prose
from bench.stats.estimate import Estimate
from bench.stats.order import PERCENTILES, growth
from bench.units import NONE


def speed_tables(speeds: Speeds, most: int | None = None) -> list[Table]:
    """Single figures; batches, sizes and variants, each where more than one was measured; memory; energy.

    A table without figures is left out. The first has the notes on where the records come from. At `most` as many.
    """
    wanted = {
        _single: any(row.latency_s() for row in speeds.rows),
        _batches: len(speeds.batches) > 1,
        _sizes: len(speeds.sizes) > 1,
        _variants: len(speeds.variants) > 1,
        _best_forms: len(speeds.best_forms) > 1,
        _memory: any(row.memory(mode) for row in speeds.rows for mode in ("inference", "training")),
        _energy: any(row.energy for row in speeds.rows),
    }
    found = [make(speeds) for make in [make for make, worth in wanted.items() if worth][:most]]
    if why := speeds.pretended:
        found = [_unmeasured(one, why) for one in found]
    return [replace(one, notes=(*one.notes, *origins(speeds.rows))) for one in found[:1]] + found[1:]


def _unmeasured(one: Table, why: Sequence[str]) -> Table:
    """The table of a GPU that is pretended: every figure is marked, and none is the best."""
    kept = [column.base in ("count", "text") for column in one.columns]
    lines = tuple(
        (title, tuple(cell if keeps or cell.figure == NONE else replace(cell, mark=TAINTED, best=False, second=False)
                      for keeps, cell in zip(kept, cells, strict=True)))
        for title, cells in one.lines
    )  # fmt: skip
    return replace(one, lines=lines, notes=(*one.notes, *(f"{TAINTED} {reason}" for reason in why)))


_timed = partial(Column, quantity="latency")


def _single(speeds: Speeds) -> Table:
    columns = (
        _timed("latency", "Latency", "ms", Speed.latency_s, "seconds", min, MARKS["tainted"], ranged=True),
        _timed("processes", "Processes", "", lambda row: row.latency_s() and row.latency_s().n, "count"),
        _timed("gpu_time", "GPU time", "ms", Speed.gpu_time_s, "seconds", min, optional=True),
        *(_timed(f"p{n}", f"p{n}", "ms", methodcaller("percentile_s", n), "seconds", min, optional=True)
          for n in PERCENTILES),
        _timed("of_peak", "Of peak", "", lambda row: row.share_of_peak, "share", max),
    )  # fmt: skip
    return table(
        "speed", prose("speed_caption", speeds), columns, speeds.rows, f"machine: {speeds.machine.title}",
        prose("percentiles", PERCENTILES), prose("of_peak"),
        *(f"{TAINTED} {row.title}: {why}" for row in speeds.rows for why in row.taints),
    )  # fmt: skip


def _batches(speeds: Speeds) -> Table:
    columns = (
        *(_timed(f"batch_{batch}", f"Batch {batch}", "images/s", methodcaller("throughput", batch), "images/s", max)
          for batch in speeds.batches),
        _timed("saturation", "Saturation", "batch", lambda row: row.saturates_at(speeds.batches), "count"),
    )  # fmt: skip
    tried = [(row, n) for row in speeds.rows for n in speeds.batches if row.throughput(n) is None]
    ended = [f"{row.title}: ended at batch {n}, {why}" for row, n in tried if (why := row.failure("latency", batch=n))]
    rows = speeds.swept(lambda spec: spec.batch)
    return table("batches", "Throughput by batch", columns, rows, prose("saturation", SATURATED), *ended)


def _sizes(speeds: Speeds) -> Table:
    def grown(key: str, detail: str, value: Callable[[Speed, int], float | None], quantity: str) -> Column:
        def exponent(row: Speed) -> float | None:
            return growth((size * size, value(row, size)) for size in speeds.sizes)

        return Column(f"growth_{key}", "Growth", detail, exponent, "exponent", min, quantity=quantity)

    def counted(row: Speed, size: int) -> float | None:
        cost = row.cost(size)
        return cost.torch.macs if cost and not cost.doubt else None

    columns = (
        *(_timed(f"size_{n}", f"{n}x{n}", "ms", methodcaller("latency_s", size=n), "seconds", min)
          for n in speeds.sizes),
        grown("latency", "latency", lambda row, size: number(row.latency_s(size=size)), "latency"),
        grown("macs", "GMAC", counted, "cost"),
        grown("memory", "memory", partial(_held, "inference", "activations_bytes"), "memory"),
    )  # fmt: skip
    return table("sizes", "Cost as the image grows", columns, speeds.swept(lambda s: s.size), prose("growth"))


def _held(mode: str, of: str, row: Speed, size: int | None = None) -> float | None:
    """A figure of the memory of a mode; None where it was not measured."""
    return getattr(row.memory(mode, size), of, None)


class Deployed(NamedTuple):
    """A network in one variant. `origin` is the plain network's title, `plain_s` its latency in the same rounds."""

    title: str
    origin: str
    latency_s: Estimate
    plain_s: Estimate | None
    over_plain: Estimate | None
    result: Latency


def _variants(speeds: Speeds) -> Table:
    timed = [
        Deployed(
            f"{row.title}, {name}",
            row.title,
            latency,
            row.plain_beside_s(name) if name != PLAIN else None,
            row.over_plain(name),
            made,
        )
        for row in speeds.swept(name_of)
        for name in speeds.variants
        if (latency := row.latency_s(variant=name)) and (made := row.variant(name))
    ]
    columns = (
        _timed("latency", "Latency", "ms", lambda row: row.latency_s, "seconds", ranged=True),
        _timed("eager", "Eager", "ms", lambda row: row.plain_s, "seconds", optional=True),
        _timed("to_eager", "To eager", "ratio", lambda row: row.over_plain, "ratio", ranged=True),
        _timed("rounds", "Rounds", "", lambda row: row.over_plain and row.over_plain.n, "count", optional=True),
        _timed("prepare", "Made in", "s", lambda row: row.result.prepare_s, "number"),
        _timed("max_error", "Max error", "of largest", _max_error, "error"),
        _timed("masks", "Masks", "Dice", lambda row: row.result.agreement and row.result.agreement.dice, "score"),
    )
    odd = [f"{row.title}: {row.result.note}" for row in timed if row.result.note]
    return table("variants", "Deployed speed", columns, timed, prose("variants"), *speeds.refusals, *odd)


def _max_error(row: Deployed) -> float | None:
    """The largest difference of two logits, as a share of the plain network's largest."""
    found = row.result.agreement
    return found.max_error / found.largest if found and found.largest else None


def _best_forms(speeds: Speeds) -> Table:
    columns = (
        _timed("form", "Form", "", lambda row: row.variant, "text"),
        _timed("latency", "Latency", "ms", lambda row: row.latency_s, "seconds", min, ranged=True),
        _timed("processes", "Processes", "", lambda row: row.latency_s.n, "count"),
        _timed("to_eager", "To eager", "ratio", lambda row: row.over_plain, "ratio", ranged=True),
        _timed("to_subject", "To MDSA-UNet", "best forms", speeds.over_reference, "ratio", ranged=True, optional=True),
        _timed("tried", "Forms", "timed", lambda row: row.tried, "count"),
    )
    return table("best-forms", "Best form of each network", columns, speeds.best_forms, prose("best_forms"))


def _memory(speeds: Speeds) -> Table:
    batches = {mode: speeds.memory_batch(mode) for mode in ("inference", "training")}
    held = partial(Column, base="bytes", best=min, quantity="memory", optional=True)

    def of(mode: str, figure: str, row: Speed) -> int | None:
        return getattr(row.memory(mode, batch=batches[mode]), figure, None)

    columns = (
        held("weights", "Weights", "MiB", partial(of, "inference", "weights_bytes")),
        *(held(mode, mode.capitalize(), f"MiB, batch {batch}", partial(of, mode, "peak_bytes"))
          for mode, batch in batches.items()),
    )  # fmt: skip
    other = [
        f"{row.title}: the memory of {mode} is on record at batch {', '.join(map(str, sorted(measured)))} alone"
        for mode, batch in batches.items() for row in speeds.rows
        if (measured := row.memory_batches(mode)) and batch not in measured
    ]  # fmt: skip
    return table("memory", "Peak memory", columns, speeds.rows, prose("peak_memory", speeds.device), *other)


def _energy(speeds: Speeds) -> Table:
    drawn = partial(Column, quantity="energy")
    columns = (
        drawn("energy", "Energy", "J/image", lambda row: row.joules, "joules", min, ranged=True),
        drawn("processes", "Processes", "", lambda row: row.joules and row.joules.n, "count", optional=True),
        drawn("idle", "Idle", "W", lambda row: row.energy and row.energy.idle_watts, "watts"),
    )  # fmt: skip
    unread = sorted({row.energy.unreadable for row in speeds.rows if row.energy and row.energy.unreadable})
    caption = f"Energy at batch {speeds.rows[0].batch}"
    return table("energy", caption, columns, speeds.rows, prose("energy"), *unread)
