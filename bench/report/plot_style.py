"""What all figures share: one style, a color and a marker a network, colors that color-blind readers can tell apart."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.networks import NETWORKS

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# matplotlib takes long to import, so it is imported where something is drawn.
Axes: TypeAlias = "matplotlib.axes.Axes"
Figure: TypeAlias = "matplotlib.figure.Figure"
# Okabe and Ito's palette, without the yellow that can hardly be seen on white paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# The shape tells a network's kind, also in print without color: the first seven networks of a kind have its first shape
# in a color each, the next seven its second. START is the place of the first one's color.
SHAPES = {"cnn": ("o", "D"), "transformer": ("s",), "hybrid": ("^", "v")}
START = {"cnn": 0, "transformer": 4, "hybrid": 3}
OTHERS = ("P", "X")  # networks from elsewhere
STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e4e4e4",
    "axes.axisbelow": True, "figure.dpi": 100, "savefig.dpi": 160, "svg.hashsalt": "bench", "legend.frameon": False,
    "text.parse_math": False,  # a dollar in a network's name is no formula
}  # fmt: skip


def look(network: str) -> tuple[str, str]:
    """A network's color and marker: by its kind and its position in it, or by its name if it is not in the table."""
    if network not in NETWORKS:
        number = int(hashlib.sha256(network.encode(errors="surrogatepass")).hexdigest(), 16)
        return PALETTE[number % len(PALETTE)], OTHERS[number // len(PALETTE) % len(OTHERS)]
    kind = NETWORKS[network].kind
    own = [other for other in NETWORKS.values() if other.kind == kind]
    ordered = sorted(own, key=lambda one: (bool(one.same_function_as), "paper" not in one.groups))
    place = ordered.index(NETWORKS[network])
    return PALETTE[(START[kind] + place) % len(PALETTE)], SHAPES[kind][place // len(PALETTE)]


def subplots(width: float, height: float, *grid: int, layout: Any = "constrained", **how: Any) -> tuple[Figure, Any]:
    """A figure of so many inches and its axes, without pyplot, which would keep the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    figure = Drawing(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(*grid, **how)


def point(axes: Axes, network: str, x: float, y: float, label: str | None = None, **how: Any) -> None:
    """A network's marker."""
    color, marker = look(network)
    axes.plot([x], [y], **{"marker": marker, "color": color, "linestyle": "", "label": label, "zorder": 4, **how})


def remark(axes: Axes, text: str) -> None:
    """A line above the axes that says how to read them."""
    axes.set_title(text, loc="left", fontsize=9, color="#555")


def plain_log(axes: Axes, *names: str) -> None:
    """Make the axes of these names, "x" and "y", logarithmic with plain numbers at 1, 2, 5, 10, ..."""
    from matplotlib.ticker import LogLocator, NullLocator

    for name in names:
        axes.set(**{f"{name}scale": "log"})
        axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_locator(NullLocator())


def pareto_front(points: Sequence[tuple[float, float, Any]]) -> list[tuple[float, float, Any]]:
    """The Pareto front of (cost, accuracy, thing) tuples, cheapest first.

    If two are equal in both, both are kept.

    >>> pareto_front([(1, 0.5, "a"), (2, 0.4, "b"), (3, 0.9, "c")])
    [(1, 0.5, 'a'), (3, 0.9, 'c')]
    """
    kept = [
        (x, y, thing) for x, y, thing in points if not any(a <= x and b >= y and (a, b) != (x, y) for a, b, _ in points)
    ]
    return sorted(kept, key=lambda point: point[:2])
