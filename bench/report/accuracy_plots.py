"""Figures of accuracy: Dice against each cost, paired differences, learning curves."""

import textwrap
from collections.abc import Callable

import numpy as np

from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.columns import number
from bench.report.plot_style import Axes, Figure, look, pareto_front, plain_log, point, remark, subplots
from bench.units import millions

LINE = 76  # characters of an axis's label in one line


def dice_against_latency(section: Section) -> Figure:
    """Dice against latency: up and left is better, a disc's area is the number of parameters."""
    figure, axes = subplots(7.2, 4.4)
    latency = section.latency
    label = "latency (ms, log scale)" + (f", batch {latency.batch}, {latency.device}" if latency else "")
    line = _dice_against(axes, section, lambda row: 1e3 * (number(row.latency_s) or 0), label, _with_parameters, 5)
    for row in section.rows:
        if row.dice and row.latency_s:
            area = 25.0 * row.cost.parameters / 1e6 if row.cost else 60.0
            x, y = 1e3 * row.latency_s.value, row.dice.value
            axes.scatter([x], [y], s=max(area, 20), color=look(row.network)[0], alpha=0.35, linewidths=0, zorder=3)
    axes.margins(x=0.18, y=0.18)
    remark(axes, f"Up and left is better; area = parameters; bars = 95 % interval{line}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), labelspacing=1.1)
    return figure


def _with_parameters(row: Row) -> str:
    return f"{row.title} ({millions(row.cost.parameters)} M)" if row.cost else row.title


def dice_against_counts(section: Section) -> Figure:
    """Dice against multiply-adds and against parameters, with the Pareto front."""
    figure, (left, right) = subplots(9.6, 3.8, 1, 2, sharey=True)
    macs, parameters = "GMAC, fvcore (log)", "million parameters (log)"
    line = _dice_against(left, section, lambda row: (row.cost.fvcore.macs or 0) / 1e9 if row.cost else 0, macs)
    line = _dice_against(right, section, lambda row: row.cost.parameters / 1e6 if row.cost else 0, parameters) or line
    right.set_ylabel("")
    remark(left, f"Up and left is better{line}")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center")
    return figure


def _dice_against(
    axes: Axes, section: Section, cost: Callable[[Row], float], label: str,
    name: Callable[[Row], str] = lambda row: row.title, size: float | None = None,
) -> str:  # fmt: skip
    """Draw a point for each network that has a Dice and a cost, and the Pareto front; what to say of the front."""
    points = [(x, row.dice.value, row) for row in section.rows if row.dice and (x := cost(row))]
    for x, y, row in points:
        assert row.dice
        spread = [[max(0.0, y - row.dice.low)], [max(0.0, row.dice.high - y)]]
        axes.errorbar([x], [y], yerr=spread, color=look(row.network)[0], linewidth=1, capsize=3, zorder=2)
        point(axes, row.network, x, y, name(row), markersize=size)
    plain_log(axes, "x")
    axes.margins(x=0.12, y=0.12)
    axes.set(xlabel=label, ylabel=f"Dice, {section.dice.dataset} test" if section.dice else "Dice")
    if len(front := pareto_front(points)) < 2:
        return ""
    xs, ys, _ = zip(*front, strict=True)
    axes.plot(xs, ys, color="#999", linewidth=1, linestyle="--", zorder=1)
    return "; line: Pareto front"


def paired_differences(section: Section) -> Figure:
    """Every network's Dice less the reference's: a dot an image, the mean with its interval."""
    reference, found = section.reference, section.paired[::-1]
    assert reference
    theirs = reference.by_unit("dice")
    figure, axes = subplots(7.2, 1.2 + 0.55 * len(found))
    jitter = np.random.default_rng(0)
    for place, one in enumerate(found):
        units = [mine - theirs[unit] for unit, mine in one.row.by_unit("dice").items() if unit in theirs]
        heights = place + jitter.uniform(-0.22, 0.22, len(units))
        color, mean = look(one.row.network)[0], one.difference
        axes.plot(units, heights, ".", color=color, alpha=0.25, markersize=4, linestyle="", zorder=2)
        axes.plot([mean.low, mean.high], [place, place], color="black", linewidth=2.5, zorder=3)
        point(axes, one.row.network, mean.value, place, markeredgecolor="black")
    axes.axvline(0, color="#888", linewidth=1)
    axes.set_yticks(range(len(found)), [one.title for one in found])
    label = f"Dice less {reference.title}'s on the same {section.protocol.units}; left of 0 is worse"
    axes.set_xlabel(textwrap.fill(label, LINE))
    return figure


def learning_curves(section: Section) -> Figure:
    """Training loss and validation Dice at each checkpoint, a line a seed."""
    figure, (left, right) = subplots(9.6, 3.6, 1, 2)
    for row in section.rows:
        color, marker = look(row.network)
        for place, curve in enumerate(scores.curve for scores in row.trainings if scores.curve):
            style = {"color": color, "marker": marker, "markersize": 4, "linewidth": 0.8 if place else 1.5}
            steps = [at.step for at in curve]
            left.plot(steps, [at.loss for at in curve], **style)
            right.plot(steps, [at.val_dice for at in curve], label=None if place else row.title, **style)
    left.set(xlabel="step", ylabel="training loss (log): Dice + cross-entropy")
    plain_log(left, "y")
    right.set(xlabel="step", ylabel="Dice on validation images", ylim=(0, 1))
    figure.legend(loc="outside right center")
    return figure
