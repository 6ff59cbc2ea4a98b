"""The figures. One style, colours that colour-blind eyes can tell apart, and a network keeps its colour everywhere."""

import hashlib
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bench.networks import NETWORKS
from bench.read.front import front
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.units import millions

# Okabe and Ito's palette, less the yellow that white paper swallows.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# The shape says what a network is made of, and tells it from its kind's others for those who print in grey: the first
# seven of a kind have its first shape in a colour each, the next seven its second. `start` is the first one's colour.
SHAPES = {"cnn": ("o", "D"), "transformer": ("s",), "hybrid": ("^", "v")}
START = {"cnn": 0, "transformer": 4, "hybrid": 3}
OTHERS = ("P", "X")  # networks from elsewhere
# Set around a figure while bench.report.drawing draws and saves it.
STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4",
    "axes.axisbelow": True, "figure.dpi": 100, "savefig.dpi": 160, "svg.hashsalt": "bench", "legend.frameon": False,
    "text.parse_math": False,  # a dollar in a network's name is no formula
}  # fmt: skip


def look(network: str) -> tuple[str, str]:
    """A network's colour and marker: by its kind and its place among these, by its name when it is not in the table."""
    if network not in NETWORKS:
        number = int(hashlib.sha256(network.encode()).hexdigest(), 16)
        return PALETTE[number % len(PALETTE)], OTHERS[number // len(PALETTE) % len(OTHERS)]
    kind = NETWORKS[network].kind
    own = [name for name, other in NETWORKS.items() if other.kind == kind]
    place = sorted(own, key=lambda name: "paper" not in NETWORKS[name].groups).index(network)
    return PALETTE[(START[kind] + place) % len(PALETTE)], SHAPES[kind][place // len(PALETTE)]


def dice_against_latency(section: Section) -> Figure:
    """Accuracy against cost, of those that have both: up and left is better, a point's area is its parameters."""
    rows = [row for row in section.rows if row.dice and row.latency_s]
    figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
    line = draw_front(axes, [(row.latency_s.value * 1e3, row.dice.value) for row in rows if row.dice and row.latency_s])
    for row in rows:
        _point(axes, row)
    axes.set_xscale("log")
    plain_log(axes.xaxis)
    axes.margins(x=0.18, y=0.18)
    spec = section.latency
    where = f", batch {spec.batch}, {spec.device}" if spec else ""
    axes.set_xlabel(f"latency (ms, log scale){where}")
    axes.set_ylabel(f"Dice, {section.dice.dataset} test" if section.dice else "Dice")
    axes.set_title(
        f"Up and left is better; area = parameters; bars = 95 % interval{line}",
        loc="left",
        fontsize=9,
        color="#555",
    )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), labelspacing=1.1)
    return figure


def draw_front(axes: Axes, points: Sequence[tuple[float, float]]) -> str:
    """A line through the points (cost, accuracy) that none of the others beats at both; words for what was drawn."""
    best = front([(*point, None) for point in points])
    if len(best) < 2:
        return ""
    axes.plot([x for x, _, _ in best], [y for _, y, _ in best], color="#999", linewidth=1, linestyle="--", zorder=1)
    return "; line: nobody beats these at both"


def plain_log(axis: Axis) -> None:
    """Ticks at 1, 2, 5, 10, ... written as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(NullLocator())


def _point(axes: Axes, row: Row) -> None:
    assert row.dice
    assert row.latency_s
    colour, marker = look(row.network)
    x, y = row.latency_s.value * 1e3, row.dice.value
    parameters = row.cost.parameters if row.cost else None
    area = 25.0 * parameters / 1e6 if parameters else 60.0
    label = f"{row.title} ({millions(parameters)} M)" if parameters else row.title
    axes.errorbar(
        x,
        y,
        yerr=[[max(0.0, y - row.dice.low)], [max(0.0, row.dice.high - y)]],
        color=colour,
        linewidth=1,
        capsize=3,
        zorder=2,
    )
    axes.scatter([x], [y], s=max(area, 20), color=colour, alpha=0.35, linewidths=0, zorder=3)
    axes.plot([x], [y], marker=marker, markersize=5, color=colour, linestyle="", label=label, zorder=4)


def learning_curves(section: Section) -> Figure:
    """Training loss and validation Dice after each leg, a line a seed."""
    trained = [(row, [scores.curve for scores in row.trainings if scores.curve]) for row in section.rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
    for row, curves in trained:
        colour, marker = look(row.network)
        for number, curve in enumerate(curves):
            style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.5 if number == 0 else 0.8}
            steps = [point.step for point in curve]
            left.plot(steps, [point.loss for point in curve], **style)
            label = row.title if number == 0 else None
            right.plot(steps, [point.val_dice for point in curve], label=label, **style)
    left.set(xlabel="step", ylabel="training loss (log): Dice + cross-entropy", yscale="log")
    plain_log(left.yaxis)
    right.set(xlabel="step", ylabel="Dice on validation images", ylim=(0, 1))
    figure.legend(loc="outside right center")
    return figure
