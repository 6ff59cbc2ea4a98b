"""How a profile looks in a terminal: the tree of modules beside their costs, and the slowest operators."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from bench.quantities import ModuleCost, Profile, ProfileSpec
from bench.units import NONE, milliseconds

SMALL = 0.005  # of the whole network, in every column: such modules share one line
LARGE = 0.1  # of the whole: shown in bold
TOP = 10
NOISE = 0.05  # passes with clocks that are so much faster than those without were not alone on the machine
PATIENCE_S = 2.0
CELL = 11  # characters: a number, and a share in percent


@dataclass(frozen=True)
class Line:
    """One line of the tree; None where there is nothing to say."""

    label: str
    parameters: int
    macs: int
    activations: int
    time_s: float | None
    note: str = ""


def show(to: Console, title: str, given: ProfileSpec, found: Profile, depth: int) -> None:
    """Both tables, and what their numbers mean."""
    where = f"{given.device}, {given.threads} threads" if given.device == "cpu" else given.device
    image = f"{given.batch}x{given.channels}x{given.size}x{given.size}"
    to.print(Text(f"{title}, a batch of {image} in float32 on {where}", "bold"))
    to.print(tree(lines(found, title, depth), found.modules[0], to.width))
    to.print()
    to.print(Text("Where the time goes by operator, under torch's profiler", "bold"))
    to.print(operators(found))
    to.print()
    for note in notes(found):
        to.print(Text(note))


def notes(found: Profile) -> list[str]:
    """What the numbers mean and are not."""
    slower = found.clocked_s / found.plain_s - 1
    lines = [
        f"Times are medians of {found.passes} passes with a clock around every module: "
        f"{milliseconds(found.clocked_s)} ms a pass, {milliseconds(found.plain_s)} ms without the clocks "
        f"({100 * slower:+.1f} %). They tell where time goes; do not set them beside latencies, which "
        "`bench run --measure latency` takes.",
        "GMAC and activations are of one image, by torch's counter: convolutions and matrix products, and the elements "
        "that these put out.",
    ]
    if slower < -NOISE:
        lines.append(
            "Clocks cannot make a pass faster: something else used the machine. Run this again when it is idle."
        )
    if found.uncounted:
        lines.append(f"Not counted, though it may multiply: {', '.join(found.uncounted)}.")
    return lines


# ---- the tree --------------------------------------------------------------------------------------------------------


def lines(found: Profile, title: str, depth: int) -> list[Line]:
    """The tree down to so many levels below the network."""
    whole = found.modules[0]
    children: dict[str, list[ModuleCost]] = {cost.name: [] for cost in found.modules}
    for cost in found.modules[1:]:
        children[cost.name.rpartition(".")[0]].append(cost)

    def below(cost: ModuleCost, indent: str) -> Iterator[Line]:
        if cost.depth == depth or not children[cost.name] or not _used(cost):
            return
        large = [child for child in children[cost.name] if _large(child, whole)]
        rest = [child for child in children[cost.name] if child not in large]
        inner: list[tuple[Line, ModuleCost | None]] = [(_line(child), child) for child in large]
        inner += [(line, None) for line in (_itself(cost, children[cost.name], whole), _others(rest)) if line]
        for number, (line, child) in enumerate(inner):
            last = number == len(inner) - 1
            yield _labelled(line, indent + ("└ " if last else "├ ") + line.label)
            if child is not None:
                yield from below(child, indent + ("  " if last else "│ "))

    return [_labelled(_line(whole), title), *below(whole, "")]


def _labelled(line: Line, label: str) -> Line:
    return Line(label, line.parameters, line.macs, line.activations, line.time_s, line.note)


def _used(cost: ModuleCost) -> bool:
    return cost.time_s is not None or cost.calls is None


def _large(cost: ModuleCost, whole: ModuleCost) -> bool:
    """Whether a module deserves a line: it costs something, or its parameters lie idle."""
    shares = (
        (cost.parameters, whole.parameters), (cost.macs, whole.macs), (cost.activations, whole.activations),
        (cost.time_s or 0.0, whole.time_s or 0.0),
    )  # fmt: skip
    return (not _used(cost) and cost.parameters > 0) or any(part > SMALL * all_ for part, all_ in shares)


def _line(cost: ModuleCost) -> Line:
    times = f" ×{cost.calls}" if cost.calls and cost.calls > 1 else ""
    label = f"{cost.name.rpartition('.')[2]} {cost.kind}{times}"
    note = "" if cost.time_s is not None else "scripted" if cost.calls is None else "not called"
    return Line(label, cost.parameters, cost.macs, cost.activations, cost.time_s, note)


def _itself(cost: ModuleCost, children: list[ModuleCost], whole: ModuleCost) -> Line | None:
    """What a module does beside calling its children: its own parameters and operators."""
    remainder = cost.model_copy(
        update={
            "parameters": cost.parameters - sum(child.parameters for child in children),
            "macs": cost.macs - sum(child.macs for child in children),
            "activations": cost.activations - sum(child.activations for child in children),
            "time_s": (cost.time_s or 0.0) - sum(child.time_s or 0.0 for child in children),
        }
    )
    if not cost.calls or not _large(remainder, whole):
        return None
    return _summed("(its own)", [remainder])


def _others(rest: list[ModuleCost]) -> Line | None:
    if not rest:
        return None
    if len(rest) == 1:
        return _line(rest[0])
    idle = sum(not _used(cost) for cost in rest)
    return _summed(f"({len(rest)} others" + (f", {idle} not called)" if idle else ")"), rest)


def _summed(label: str, costs: list[ModuleCost]) -> Line:
    """One line for several modules; what is shared between modules can leave less than nothing, shown as nothing."""
    return Line(
        label,
        parameters=max(0, sum(cost.parameters for cost in costs)),
        macs=max(0, sum(cost.macs for cost in costs)),
        activations=max(0, sum(cost.activations for cost in costs)),
        time_s=max(0.0, sum(cost.time_s or 0.0 for cost in costs)),
    )


def tree(shown: list[Line], whole: ModuleCost, width: int) -> Table:
    """Each column with its share of the whole network; long names are cut so that the numbers fit."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    columns = ("Params (M)", "GMAC", "Acts (M)", "Time (ms)")
    drawn.add_column("Module", no_wrap=True, overflow="ellipsis", max_width=max(12, width - len(columns) * (CELL + 1)))
    for name in columns:
        drawn.add_column(name, justify="right", no_wrap=True, min_width=CELL)
    for number, line in enumerate(shown):
        idle = Text(line.note, "yellow")
        drawn.add_row(
            Text(line.label, "bold" if number == 0 else ""),
            _cell(line.parameters / 1e6, line.parameters, whole.parameters),
            NONE if line.note else _cell(line.macs / 1e9, line.macs, whole.macs),
            NONE if line.note else _cell(line.activations / 1e6, line.activations, whole.activations),
            idle if line.time_s is None else _cell(line.time_s * 1e3, line.time_s, whole.time_s or 0.0),
        )
    return drawn


def _cell(value: float, part: float, whole: float) -> Text:
    if not part:
        return Text("0     ", "dim")
    share = part / whole
    style = "dim" if share < SMALL else "bold" if share >= LARGE else ""
    return Text(f"{value:.2f}" if value < 1000 else f"{value:.0f}", style).append(f" {100 * share:>3.0f}%")


def operators(found: Profile) -> Table:
    """The slowest by their own time."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("Operator", no_wrap=True, overflow="ellipsis")
    for name in ("Calls", "Own time (ms)", "%"):
        drawn.add_column(name, justify="right", no_wrap=True)
    rest = found.operators[TOP:]
    for one in found.operators[:TOP]:
        drawn.add_row(one.name, f"{one.calls:g}", milliseconds(one.self_s), f"{100 * one.share:.0f}")
    if rest:
        spent, calls = sum(one.self_s for one in rest), sum(one.calls for one in rest)
        share = sum(one.share for one in rest)
        drawn.add_row(f"({len(rest)} others)", f"{calls:g}", milliseconds(spent), f"{100 * share:.0f}")
    return drawn


# ---- progress --------------------------------------------------------------------------------------------------------


@contextmanager
def following(to: Console, title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, drawn only at news so that nothing runs beside a pass; else a line every few seconds."""
    bars = Bars(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=to, transient=True,
                auto_refresh=False, disable=not to.is_terminal)  # fmt: skip
    shown = time.monotonic()
    with bars:
        bar = bars.add_task(title, total=None)

        def tell(doing: str, done: int, total: int) -> None:
            nonlocal shown
            bars.update(bar, description=f"{title}: {doing}", completed=done, total=total, refresh=True)
            if not to.is_terminal and time.monotonic() - shown > PATIENCE_S:
                shown = time.monotonic()
                to.print(f"{title}: {doing} {done}/{total}", markup=False, highlight=False, soft_wrap=True)

        yield tell
