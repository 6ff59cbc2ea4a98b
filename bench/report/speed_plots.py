"""Figures of what was timed: latency against multiply-adds, throughput by batch, cost by size, calls, modules."""

from collections.abc import Callable, Sequence

import numpy as np

from bench.quantities import Profile
from bench.read.sections import Section
from bench.read.speeds import Speed, Speeds
from bench.report.plot_style import Axes, Figure, look, plain_log, point, remark, subplots

LETTER = 0.009  # share of a bar that a letter of a name needs


def latency_against_counts(section: Section) -> Figure:
    """Latency against multiply-adds, with lines of equal speed in multiply-adds a second."""
    points = [
        (row.cost.torch.macs / 1e9, row.latency_s.value * 1e3, row)
        for row in section.rows
        if row.latency_s and row.cost and row.cost.torch.macs
    ]
    figure, axes = subplots(7.2, 4.4)
    for macs, milliseconds, row in points:
        point(axes, row.network, macs, milliseconds, row.title)
    axes.set(xlabel="GMAC, torch (log)", ylabel="latency (ms, log)")
    plain_log(axes, "x", "y")
    axes.margins(0.12)
    _equal_speeds(axes, [1e3 * macs / milliseconds for macs, milliseconds, _ in points])
    remark(axes, "Down is faster; circle, diamond: CNN; square: transformer; triangle: hybrid")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _equal_speeds(axes: Axes, speeds: Sequence[float]) -> None:
    """A line for each power of ten of GMAC a second near the points', with its name where it enters the picture."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for power in range(int(np.floor(np.log10(min(speeds)))), int(np.ceil(np.log10(max(speeds)))) + 1):
        speed = 10.0**power
        start, end = 1e3 * left / speed, 1e3 * right / speed
        axes.plot([left, right], [start, end], color="#bbb", linewidth=0.8, linestyle=":", zorder=1)
        at = (left, start) if start > bottom else (bottom * speed / 1e3, bottom)
        if at[0] < right and at[1] < top:
            axes.annotate(f"{speed:g} GMAC/s", at, (3, 2), textcoords="offset points", fontsize=7)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def throughput(speeds: Speeds) -> Figure:
    """Images a second by batch, a large marker at the smallest batch near the best."""
    figure, axes = subplots(6.4, 3.8)
    for row in speeds.swept(lambda s: s.batch):
        _line(axes, row, speeds.batches, row.throughput)
        if saturated := row.knee(speeds.batches):
            point(axes, row.network, saturated, row.throughput(saturated) or 0.0, markersize=10, alpha=0.4)
    _sweep(axes, speeds.batches, "batch (log)", f"images a second (log), {speeds.device}")
    remark(axes, "Large markers: saturation")
    figure.legend(loc="outside right center")
    return figure


def by_size(speeds: Speeds) -> Figure:
    """Latency and peak memory by image size."""
    figure, (left, right) = subplots(9.6, 3.8, 1, 2)
    for row in speeds.swept(lambda s: s.size):
        times = {size: found.value * 1e3 for size in speeds.sizes if (found := row.latency_s(size=size))}
        peaks = {size: held.peak_bytes / 2**20 for size in speeds.sizes if (held := row.memory("inference", size))}
        _line(left, row, speeds.sizes, times.get)
        _line(right, row, speeds.sizes, peaks.get, labeled=False)
    _sweep(left, speeds.sizes, "pixels a side (log)", f"latency (ms, log), {speeds.device}")
    _sweep(right, speeds.sizes, "pixels a side (log)", "inference peak memory (MiB, log)")
    figure.legend(loc="outside right center")
    return figure


def _line(axes: Axes, row: Speed, at: list[int], value: Callable[[int], float | None], labeled: bool = True) -> None:
    color, marker = look(row.network)
    if known := [(x, y) for x in at if (y := value(x)) is not None]:
        label = row.title if labeled else None
        axes.plot(*zip(*known, strict=True), color=color, marker=marker, markersize=4, label=label)


def _sweep(axes: Axes, at: list[int], xlabel: str, ylabel: str) -> None:
    """Logarithmic axes with a tick at each value that was measured."""
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale="log")
    plain_log(axes, "y")
    axes.set_xticks(at, list(map(str, at)))
    axes.minorticks_off()


def calls(speeds: Speeds) -> Figure:
    """Every timed call over its network's median, which shows how long one call may take."""
    figure, axes = subplots(7.2, 3.6)
    timed = [(row, np.sort(row.calls_s)) for row in speeds.rows if len(row.calls_s) > 1]
    over = [(row, 100 * (samples / np.median(samples) - 1)) for row, samples in timed]
    for row, percent in over:
        share = 100 * np.arange(1, len(percent) + 1) / len(percent)
        axes.step(percent, share, color=look(row.network)[0], label=f"{row.title} ({len(percent)} calls)")
    axes.set(xlabel="call over the median of the network's calls (%)", ylabel="share of calls (%)", ylim=(0, 100))
    # The axis shows 98 % of every network's calls: one that took ten times as long would hide all the others.
    low, high = (max(abs(np.percentile(percent, share)) for _, percent in over) for share in (1, 99))
    axes.set_xlim(-1.1 * low - 1, 1.1 * high + 1)
    axes.axvline(0, color="#888", linewidth=1)
    figure.legend(loc="outside right center")
    return figure


def time_by_module(speeds: Speeds) -> Figure:
    """A bar for each profiled network, parted into its outermost modules."""
    profiled = [(row.title, row.profile) for row in reversed(speeds.rows) if row.profile]
    figure, axes = subplots(9.6, 1.0 + 0.55 * len(profiled))
    for place, (_, found) in enumerate(profiled):
        start = 0.0
        for number, (name, share) in enumerate(_parts(found)):
            shade, ink = ("#56B4E9", "black") if number % 2 else ("#0072B2", "white")
            axes.barh([place], [100 * share], left=[start], color=shade, edgecolor="white", height=0.7)
            if share > LETTER * len(name):
                axes.text(start + 50 * share, place, name, ha="center", va="center", fontsize=7, color=ink)
            start += 100 * share
    axes.set_yticks(range(len(profiled)), [title for title, _ in profiled])
    axes.set(xlabel="share of a forward pass, outermost modules in order (%)", xlim=(0, 100))
    axes.grid(visible=False)
    return figure


def _parts(found: Profile) -> list[tuple[str, float]]:
    """Name and share of the network's time of each module directly in it, and of what is in none."""
    total = found.modules[0].time_s or 1.0
    parts = [(module.name, (module.time_s or 0.0) / total) for module in found.modules if module.depth == 1]
    rest = 1 - sum(share for _, share in parts)
    return [*parts, ("other", rest)] if rest > 0 else parts
