"""The figures of what was timed on one machine: throughput by batch, latency and memory by size, spread of calls."""

from collections.abc import Callable, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.quantities import Profile
from bench.read.speeds import Speed, Speeds
from bench.report.figures import look, plain_log

NAMED = 0.009  # share of a bar that a letter of a name needs


def throughput(speeds: Speeds) -> Figure:
    """Images a second by batch, the knee filled."""
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for row in speeds.swept(lambda s: s.batch):
        _line(axes, row, speeds.batches, row.throughput)
        knee = row.knee(speeds.batches)
        if knee:
            colour, marker = look(row.network)
            axes.plot([knee], [row.throughput(knee) or 0.0], marker=marker, color=colour, markersize=10, alpha=0.4)
    axes.set(xlabel="batch (log)", ylabel=f"images a second (log), {speeds.device}", xscale="log", yscale="log")
    plain_log(axes.yaxis)
    axes.set_xticks(speeds.batches, [str(batch) for batch in speeds.batches])
    axes.minorticks_off()
    axes.set_title("Large markers: the knee", loc="left", fontsize=9, color="#555")
    figure.legend(loc="outside right center")
    return figure


def by_size(speeds: Speeds) -> Figure:
    """Latency and peak memory by image size."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    for row in speeds.swept(lambda s: s.size):
        _line(left, row, speeds.sizes, partial(_milliseconds, row))
        _line(right, row, speeds.sizes, partial(_mebibytes, row), labelled=False)
    left.set(ylabel=f"latency (ms, log), {speeds.device}")
    right.set(ylabel="inference peak memory (MiB, log)")
    for axes in (left, right):
        axes.set(xlabel="pixels a side (log)", xscale="log", yscale="log")
        plain_log(axes.yaxis)
        axes.set_xticks(speeds.sizes, [str(size) for size in speeds.sizes])
        axes.minorticks_off()
    figure.legend(loc="outside right center")
    return figure


def calls(speeds: Speeds) -> Figure:
    """Every timed call over its network's median: what one call may take."""
    timed = [(row, row.calls_s) for row in speeds.rows if len(row.calls_s) > 1]
    figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    for row, samples in timed:
        colour, _ = look(row.network)
        share = np.arange(1, len(samples) + 1) / len(samples)
        label = f"{row.title} ({len(samples)} calls)"
        axes.step(100 * (np.sort(samples) / np.median(samples) - 1), 100 * share, color=colour, label=label)
    axes.set(xlabel="call over the median of the network's calls (%)", ylabel="share of calls (%)", ylim=(0, 100))
    axes.set_xlim(*_middle([np.asarray(samples) for _, samples in timed]))
    axes.axvline(0, color="#888", linewidth=1)
    figure.legend(loc="outside right center")
    return figure


def time_by_module(speeds: Speeds) -> Figure:
    """Where each profiled network's time goes: a bar of its outermost modules."""
    profiled = [(row, row.profile) for row in speeds.rows if row.profile]
    figure, axes = plt.subplots(figsize=(9.6, 1.0 + 0.55 * len(profiled)), layout="constrained")
    for place, (_, found) in enumerate(reversed(profiled)):
        start = 0.0
        for number, (name, share) in enumerate(_parts(found)):
            shade = "#0072B2" if number % 2 == 0 else "#56B4E9"
            axes.barh([place], [100 * share], left=[start], color=shade, edgecolor="white", height=0.7)
            if share > NAMED * len(name):
                axes.text(start + 50 * share, place, name, ha="center", va="center", fontsize=7, color="white"
                          if number % 2 == 0 else "black")  # fmt: skip
            start += 100 * share
    axes.set_yticks(range(len(profiled)), [row.title for row, _ in reversed(profiled)])
    axes.set(xlabel="share of a forward pass, outermost modules in order (%)", xlim=(0, 100))
    axes.grid(visible=False)
    return figure


def _parts(found: Profile) -> list[tuple[str, float]]:
    """Name and share of the network's time of each module directly in it, and of what is in none."""
    total = found.modules[0].time_s or 1.0
    parts = [(module.name, (module.time_s or 0.0) / total) for module in found.modules if module.depth == 1]
    rest = 1 - sum(share for _, share in parts)
    return [*parts, ("other", rest)] if rest > 0 else parts


def _middle(timed: Sequence[np.ndarray]) -> tuple[float, float]:
    """An axis that shows 98 % of every network's calls: one that took ten times as long would hide all the others."""
    relative = [100 * (samples / np.median(samples) - 1) for samples in timed]
    low, high = (max(abs(np.percentile(found, share)) for found in relative) for share in (1, 99))
    return -1.1 * low - 1, 1.1 * high + 1


def _milliseconds(row: Speed, size: int) -> float | None:
    latency = row.latency_s(size=size)
    return latency.value * 1e3 if latency else None


def _mebibytes(row: Speed, size: int) -> float | None:
    memory = row.memory("inference", size)
    return memory.peak_bytes / 2**20 if memory else None


def _line(axes: Axes, row: Speed, at: list[int], value: Callable[[int], float | None], labelled: bool = True) -> None:
    colour, marker = look(row.network)
    known = [(x, y) for x in at if (y := value(x)) is not None]
    if known:
        label = row.title if labelled else None
        axes.plot(*zip(*known, strict=True), color=colour, marker=marker, markersize=4, label=label)
