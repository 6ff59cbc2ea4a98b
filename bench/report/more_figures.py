"""Figures of a section beside the main one: Dice and latency against counts, paired differences."""

import textwrap
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.figures import draw_front, look, plain_log

SHAPES_SAY = "circle, diamond: CNN; square: transformer; triangle: hybrid"
LINE = 76  # characters of an axis's label in one line
Cost = Callable[[Row], float | None]


def dice_against_counts(section: Section) -> Figure:
    """Accuracy against multiply-adds and parameters, with the Pareto front."""
    rows = [row for row in section.rows if row.dice and row.cost]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained", sharey=True)
    line = _against(
        left, rows, lambda row: (row.cost.fvcore.macs or 0) / 1e9 if row.cost else None, "GMAC, fvcore (log)"
    )
    parameters = "million parameters (log)"
    line = _against(right, rows, lambda row: row.cost.parameters / 1e6 if row.cost else None, parameters) or line
    left.set_ylabel(f"Dice, {section.dice.dataset} test" if section.dice else "Dice")
    left.set_title(f"Up and left is better{line}", loc="left", fontsize=9, color="#555")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    return figure


def _against(axes: Axes, rows: Sequence[Row], cost: Cost, label: str) -> str:
    """Draw the points; words for the front."""
    points = [(x, row.dice.value, row) for row in rows if row.dice and (x := cost(row))]
    line = draw_front(axes, [(x, y) for x, y, _ in points])
    for x, y, row in points:
        assert row.dice
        colour, marker = look(row.network)
        spread = [[max(0.0, y - row.dice.low)], [max(0.0, row.dice.high - y)]]
        axes.errorbar([x], [y], yerr=spread, color=colour, linewidth=1, capsize=3, zorder=2)
        axes.plot([x], [y], marker=marker, color=colour, linestyle="", label=row.title, zorder=3)
    axes.set_xscale("log")
    plain_log(axes.xaxis)
    axes.margins(x=0.12, y=0.12)
    axes.set_xlabel(label)
    return line


def latency_against_counts(section: Section) -> Figure:
    """What multiply-adds do not tell: latency against them, with lines of equal speed in multiply-adds a second."""
    points = [
        (row.cost.torch.macs / 1e9, row.latency_s.value * 1e3, row)
        for row in section.rows
        if row.latency_s and row.cost and row.cost.torch.macs
    ]
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    for macs, milliseconds, row in points:
        colour, marker = look(row.network)
        axes.plot([macs], [milliseconds], marker=marker, color=colour, linestyle="", label=row.title, zorder=3)
    axes.set(xscale="log", yscale="log", xlabel="GMAC, torch (log)", ylabel="latency (ms, log)")
    axes.margins(0.12)
    _equal_speeds(axes, [1e3 * macs / milliseconds for macs, milliseconds, _ in points])
    plain_log(axes.xaxis)
    plain_log(axes.yaxis)
    axes.set_title(f"Down is faster; {SHAPES_SAY}", loc="left", fontsize=9, color="#555")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _equal_speeds(axes: Axes, speeds: Sequence[float]) -> None:
    """A line for each power of ten of GMAC a second near the points', with its name where it enters the picture."""
    x, y = axes.get_xlim(), axes.get_ylim()
    for power in range(int(np.floor(np.log10(min(speeds)))), int(np.ceil(np.log10(max(speeds)))) + 1):
        speed = 10.0**power
        axes.plot(x, [1e3 * macs / speed for macs in x], color="#bbb", linewidth=0.8, linestyle=":", zorder=1)
        if y[0] < 1e3 * x[0] / speed < y[1]:
            axes.annotate(
                f"{speed:g} GMAC/s", (x[0], 1e3 * x[0] / speed), (3, 2), textcoords="offset points", fontsize=7
            )
        elif x[0] < y[0] * speed / 1e3 < x[1]:
            axes.annotate(
                f"{speed:g} GMAC/s", (y[0] * speed / 1e3, y[0]), (3, 2), textcoords="offset points", fontsize=7
            )
    axes.set(xlim=x, ylim=y)


def paired_differences(section: Section) -> Figure:
    """Every network's Dice less the reference's, image by image: a dot an image, the mean with its interval."""
    reference, found = section.reference, section.paired
    assert reference
    figure, axes = plt.subplots(figsize=(7.2, 1.2 + 0.55 * len(found)), layout="constrained")
    jitter = np.random.default_rng(0)
    for place, one in enumerate(reversed(found)):
        colour, marker = look(one.row.network)
        theirs = reference.dice_by_unit
        units = [mine - theirs[unit] for unit, mine in one.row.dice_by_unit.items() if unit in theirs]
        heights = place + jitter.uniform(-0.22, 0.22, len(units))
        axes.plot(units, heights, ".", color=colour, alpha=0.25, markersize=4, linestyle="", zorder=2)
        mean = one.difference
        axes.plot([mean.low, mean.high], [place, place], color="black", linewidth=2.5, zorder=3)
        axes.plot([mean.value], [place], marker=marker, color=colour, markeredgecolor="black", zorder=4)
    axes.axvline(0, color="#888", linewidth=1)
    axes.set_yticks(range(len(found)), [one.title for one in reversed(found)])
    label = f"Dice less {reference.title}'s on the same {section.protocol.units}; left of 0 is worse"
    axes.set_xlabel(textwrap.fill(label, LINE))
    return figure
