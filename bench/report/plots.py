"""The figures: Dice against each cost, paired differences, learning curves, and what was timed.

Timed are latency against multiply-adds, throughput by batch, latency and memory by size, single calls, and modules.
"""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np

from bench.quantities import Profile
from bench.read.rows import Row
from bench.read.sections import Section
from bench.read.speeds import Speed, Speeds
from bench.report.columns import number
from bench.report.fewer import MOST
from bench.report.plot_style import Axes, Figure, look, pareto_front, plain_log, point, remark, subplots
from bench.report.text import scored_on, short
from bench.units import millions

LETTER = 0.009  # share of a bar that a letter of a name needs
LINE = 76  # characters of an axis's label in one line


def dice_against_latency(section: Section) -> Figure:
    """Dice against latency: up and left is better, a disc's area is the number of parameters."""
    figure, axes = subplots(7.2, 4.4)
    latency = section.latency
    label = "latency (ms, log scale)" + (f", batch {latency.batch}, {latency.device}" if latency else "")
    line = _dice_against(
        axes, section, lambda row: 1e3 * (number(row.latency_s) or 0), label,
        lambda row: f"{short(row.title)} ({millions(row.cost.parameters)} M)" if row.cost else short(row.title), 5,
    )  # fmt: skip
    for row in section.rows:
        if row.dice and row.latency_s:
            area = 25.0 * row.cost.parameters / 1e6 if row.cost else 60.0
            x, y = 1e3 * row.latency_s.value, row.dice.value
            axes.scatter([x], [y], s=max(area, 20), color=look(row.network)[0], alpha=0.35, linewidths=0, zorder=3)
    axes.margins(x=0.18, y=0.18)
    bars = "; bars = 95 % interval" if any(row.dice and row.dice.has_interval for row in section.rows) else ""
    remark(axes, f"Up and left is better; area = parameters{bars}{line}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), labelspacing=1.1)
    return figure


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
    name: Callable[[Row], str] = lambda row: short(row.title), size: float | None = None,
) -> str:  # fmt: skip
    """Draw a point for each network that has a Dice and a cost, and the Pareto front; what to say of the front."""
    points = [(x, row.dice.value, row) for row in section.rows if row.dice and (x := cost(row))]
    for x, y, row in points:
        assert row.dice
        if row.dice.has_interval:
            spread = [[max(0.0, y - row.dice.low)], [max(0.0, row.dice.high - y)]]
            axes.errorbar([x], [y], yerr=spread, color=look(row.network)[0], linewidth=1, capsize=3, zorder=2)
        # What was trained or predicted elsewhere is hollow: a network may be there both ways.
        hollow = {"markerfacecolor": "white"} if row.elsewhere or row.weights_file else {}
        point(axes, row.network, x, y, name(row), markersize=size, **hollow)
    plain_log(axes, "x")
    axes.margins(x=0.12, y=0.12)
    axes.set(xlabel=label, ylabel=f"Dice, {scored_on(section)}" if section.dice else "Dice")
    if len(front := pareto_front(points)) < 2:
        return ""
    xs, ys, _ = zip(*front, strict=True)
    axes.plot(xs, ys, color="#999", linewidth=1, linestyle="--", zorder=1)
    return "; line: Pareto front"


def paired_differences(section: Section) -> Figure:
    """Every network's Dice less the reference's: a dot an image or volume, the mean with its intervals, if any.

    The thin line is the interval of these weights, the thick one that of the networks.
    """
    reference, found = section.reference, section.paired
    if len(found) > MOST:
        found = sorted(found, key=lambda one: -(one.row.dice.value if one.row.dice else 0.0))[:MOST]
    found = found[::-1]
    assert reference
    theirs = reference.by_unit("dice")
    figure, axes = subplots(7.2, 1.2 + 0.55 * len(found))
    jitter = np.random.default_rng(0)
    for place, one in enumerate(found):
        units = [mine - theirs[unit] for unit, mine in one.row.by_unit("dice").items() if unit in theirs]
        heights = place + jitter.uniform(-0.22, 0.22, len(units))
        color, mean = look(one.row.network)[0], one.difference
        axes.plot(units, heights, ".", color=color, alpha=0.25, markersize=4, linestyle="", zorder=2)
        for said, width, shade in ((one.networks, 6.0, "#999"), (one.trainings, 1.5, "black")):
            if said and said.has_interval:
                axes.plot([said.low, said.high], [place, place], color=shade, linewidth=width, zorder=3)
        point(axes, one.row.network, mean.value, place, markeredgecolor="black")
    axes.axvline(0, color="#888", linewidth=1)
    axes.set_yticks(range(len(found)), [short(one.title) for one in found])
    if any(one.trainings.has_interval for one in found):
        networks = "; thick: of the networks" if any(one.networks for one in found) else ""
        remark(axes, f"Thin line: 95 % interval of these weights{networks}; a dot: one of the {section.protocol.units}")
    label = f"Dice less {short(reference.title)}'s on the same {section.protocol.units}; left of 0 is worse"
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
            right.plot(steps, [at.val_dice for at in curve], label=None if place else short(row.title), **style)
    left.set(xlabel="step", ylabel="training loss (log): Dice + cross-entropy")
    plain_log(left, "y")
    right.set(xlabel="step", ylabel="Dice on validation images", ylim=(0, 1))
    figure.legend(loc="outside right center")
    return figure


# ---- speed and memory ----


def latency_against_counts(section: Section) -> Figure:
    """Latency against multiply-adds, with lines of equal speed in multiply-adds a second."""
    timed = [(row, row.cost, row.latency_s) for row in section.rows if row.latency_s and row.cost]
    points = [(cost.torch.macs / 1e9, 1e3 * time.value, row) for row, cost, time in timed if cost.torch.macs]
    figure, axes = subplots(7.2, 4.4)
    for macs, milliseconds, row in points:
        point(axes, row.network, macs, milliseconds, short(row.title))
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
        if saturated := row.saturates_at(speeds.batches):
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
        label = short(row.title) if labeled else None
        axes.plot(*zip(*known, strict=True), color=color, marker=marker, markersize=4, label=label)


def _sweep(axes: Axes, at: list[int], xlabel: str, ylabel: str) -> None:
    """Logarithmic axes with a tick at each value that was measured."""
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale="log")
    plain_log(axes, "y")
    axes.set_xticks(at, list(map(str, at)))
    axes.minorticks_off()


def best_forms(speeds: Speeds) -> Figure:
    """For each network its latency as it is and in its best form, with 95 % intervals, the fastest at the bottom."""
    forms = sorted(speeds.best_forms, key=lambda form: -form.latency_s.value)
    figure, axes = subplots(7.2, 1.2 + 0.42 * len(forms))
    for place, form in enumerate(reversed(forms)):
        color, marker = look(form.speed.network)
        plain = form.speed.latency_s()
        for time, filled in ((plain, False), (form.latency_s, True)):
            if time:
                low, high = (time.low, time.high) if time.has_interval else (time.value, time.value)
                axes.plot([1e3 * low, 1e3 * high], [place, place], color=color, linewidth=1)
                face = color if filled else "white"
                axes.plot(1e3 * time.value, place, marker=marker, color=color, markerfacecolor=face, linestyle="none")
        if plain:
            axes.plot([1e3 * form.latency_s.value, 1e3 * plain.value], [place] * 2, color="#bbb", zorder=1)
    axes.set_yticks(range(len(forms)), [f"{short(form.title)}\n{form.variant}" for form in reversed(forms)], fontsize=8)
    axes.set(xlabel=f"latency (ms, log), {speeds.device}", ylim=(-0.6, len(forms) - 0.4))
    plain_log(axes, "x")
    remark(axes, "Open: eager; filled: best form; lines: 95 % interval over processes")
    return figure


def calls(speeds: Speeds) -> Figure:
    """Every timed call relative to its network's median, which shows the spread of single calls."""
    figure, axes = subplots(7.2, 3.6)
    timed = [row for row in speeds.rows if len(row.calls_s) > 1]
    over = [(row, 100 * (np.sort(row.calls_s) / np.median(row.calls_s) - 1)) for row in timed]
    for row, percent in over:
        share = 100 * np.arange(1, len(percent) + 1) / len(percent)
        axes.step(percent, share, color=look(row.network)[0], label=f"{short(row.title)} ({len(percent)} calls)")
    axes.set(xlabel="call over the median of the network's calls (%)", ylabel="share of calls (%)", ylim=(0, 100))
    # The axis shows 98 % of every network's calls: one that took ten times as long would hide all the others.
    low, high = (max(abs(np.percentile(percent, share)) for _, percent in over) for share in (1, 99))
    axes.set_xlim(-1.1 * low - 1, 1.1 * high + 1)
    axes.axvline(0, color="#888", linewidth=1)
    figure.legend(loc="outside right center")
    return figure


def time_by_module(speeds: Speeds) -> Figure:
    """A bar for each profiled network, divided into its outermost modules."""
    profiled = [(short(row.title), row.profile) for row in reversed(speeds.rows) if row.profile]
    figure, axes = subplots(9.6, 1.0 + 0.55 * len(profiled))
    for place, (_, found) in enumerate(profiled):
        start = 0.0
        for n, (module, share) in enumerate(_parts(found)):
            name = short(module)
            shade, ink = ("#56B4E9", "black") if n % 2 else ("#0072B2", "white")
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
