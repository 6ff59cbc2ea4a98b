"""Figures of a section beside the main one: Dice against counts, paired differences, the spread of single calls."""

from collections.abc import Callable, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.quantities import Latency
from bench.report.figures import STYLE, draw_front, look, plain_log
from bench.summary.paired import paired, reference_row
from bench.summary.rows import Row
from bench.summary.sections import Section

Cost = Callable[[Row], float | None]


def dice_against_counts(section: Section) -> Figure | None:
    """Accuracy against multiply-adds and parameters, with the Pareto front. None of fewer than two."""
    rows = [row for row in section.rows if row.dice and row.cost]
    if len(rows) < 2:
        return None
    with mpl.rc_context(STYLE):
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


def paired_differences(section: Section, against: str | None = None) -> Figure | None:
    """Every network's Dice less the reference's, image by image: a dot an image, the mean with its interval."""
    reference = reference_row(section, against)
    found = paired(section, reference)
    if not reference or not found:
        return None
    with mpl.rc_context(STYLE):
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
        axes.set_xlabel(f"Dice less {reference.title}'s on the same {section.protocol.units}; left of 0 is worse")
        return figure


def has_calls(section: Section) -> bool:
    """Whether some row was timed more than once."""
    return any(len(_samples(row)) > 1 for row in section.rows)


def calls(section: Section) -> Figure | None:
    """Every timed call over its network's median: what one call may take. None where nothing was timed."""
    timed = [(row, found) for row in section.rows if len(found := _samples(row)) > 1]
    if not timed:
        return None
    with mpl.rc_context(STYLE):
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


def _samples(row: Row) -> list[float]:
    return [s for record in row.records if isinstance(record.result, Latency) for s in record.result.samples_s]


def _middle(timed: Sequence[np.ndarray]) -> tuple[float, float]:
    """An axis that shows 98 % of every network's calls: one that took ten times as long would hide all the others."""
    relative = [100 * (samples / np.median(samples) - 1) for samples in timed]
    low, high = (max(abs(np.percentile(found, share)) for found in relative) for share in (1, 99))
    return -1.1 * low - 1, 1.1 * high + 1
