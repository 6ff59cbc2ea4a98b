"""The figures of a report: the table of figures, and drawing them once for all formats."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from bench.forks import forked
from bench.read.rows import pretended
from bench.read.sections import Section
from bench.read.speeds import Speeds
from bench.report import plots
from bench.report.example_images import Examples, outlines, regions
from bench.report.fewer import fewer
from bench.report.plot_style import STYLE, Figure

Drawn = tuple[str, tuple[float, float]]  # the SVG, and its width and height in inches
TALLEST = 14.0  # inches as drawn that can still be read on a page; a taller figure is drawn lower, its type as large
AXES = 6.8  # inches that axes and the longest title above them need beside a legend
CROWDED = 2000  # dots that a vector figure holds as shapes


class Kind(NamedTuple):
    """A figure of one source: its key, its caption with the source as `{0}`, who draws it, whether there is one."""

    key: str
    caption: str
    draw: Callable[[Any], Figure]
    has: Callable[[Any], Any]


# By the source that a figure is a function of: the results of a section, its test images, the speeds on a machine.
FIGURES: dict[type, tuple[Kind, ...]] = {
    Section: (
        Kind("dice-latency", "Dice against latency, {0.dataset}", plots.dice_against_latency,
             lambda s: any(row.dice and row.latency_s for row in s.rows)),
        Kind("dice-counts", "Dice against multiply-adds and parameters, {0.dataset}", plots.dice_against_counts,
             lambda s: sum(bool(row.dice and row.cost) for row in s.rows) > 1),
        Kind("latency-counts", "Latency against multiply-adds", plots.latency_against_counts,
             lambda s: not s.dice and sum(bool(r.latency_s and r.cost and r.cost.torch.macs) for r in s.rows) > 2),
        Kind("paired", "Paired differences of Dice, {0.dataset}", plots.paired_differences, lambda s: s.paired),
        Kind("learning-curves", "Loss and validation Dice while training, {0.dataset}", plots.learning_curves,
             lambda s: not s.home and any(scores.curve for row in s.rows for scores in row.trainings)),
    ),
    Examples: (
        Kind("outlines", "Test images by the mean Dice of the networks: truth in white, each network's outline, its "
             "Dice", outlines, lambda e: True),
        Kind("regions", "Where {0.attending.row.title} looks: framed, the region of the cross; tinted, those that it "
             "attends to", regions, lambda e: e.attending is not None),
    ),
    Speeds: (
        Kind("calls", "How single calls spread around their network's median", plots.calls,
             lambda s: any(len(row.calls_s) > 1 for row in s.rows)),
        Kind("throughput", "Throughput by batch", plots.throughput, lambda s: len(s.batches) > 1),
        Kind("best-forms", "Every network as it is and in its best form with the same output", plots.best_forms,
             lambda s: len(s.best_forms) > 1),
        Kind("by-size", "Latency and memory by image size", plots.by_size, lambda s: len(s.sizes) > 1),
        Kind("modules", "Where the time of a forward pass goes", plots.time_by_module,
             lambda s: any(row.profile for row in s.rows)),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A figure of a report: the key of its kind, a name for files, a caption, and the function that draws it.

    Nothing is drawn, and matplotlib not imported, before `svg` or `inches` are asked for. The same records give the
    same text: there is no date in it.
    """

    key: str
    name: str
    caption: str
    draw: Callable[[], Figure]

    @property
    def svg(self) -> str:
        """As SVG; letters are outlines, so that it needs no font."""
        return self._drawn[0]

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height as drawn."""
        return self._drawn[1]

    @cached_property
    def _drawn(self) -> Drawn:
        """Drawn, with room for its legend, and laid out once."""
        import matplotlib as mpl

        text = io.StringIO()
        # Ids and the resolution of dots are looked up when saving, not when drawing.
        with warnings.catch_warnings(), mpl.rc_context(STYLE):
            warnings.filterwarnings("ignore", "Glyph")  # a letter that the font lacks is drawn as a box
            figure = self.draw()
            _make_room(figure)
            _dots_to_pixels(figure)
            if layout := figure.get_layout_engine():  # saving would lay it out and draw it twice
                layout.execute(figure)
                figure.set_layout_engine(None)
            figure.savefig(text, format="svg", metadata={"Date": None})
        width, height = figure.get_size_inches()
        return text.getvalue(), (float(width), float(height))


def pictures(name: str, source: Section | Examples | Speeds) -> Iterator[Picture]:
    """The figures of a source that have something to show; `name` tells their files from those of other sources."""
    some, left_out = fewer(source)
    rows = getattr(source, "rows", ())
    doubt = next((f"; {why}" for why in pretended(record for row in rows for record in row.records)), "")
    for kind in FIGURES[type(source)]:
        shown = source if kind.key == "paired" else some  # a pair's interval depends on how many there are
        if kind.has(shown):
            caption = kind.caption.format(shown) + left_out + doubt
            yield Picture(kind.key, f"{kind.key}-{name}", caption, partial(kind.draw, shown))


def draw_together(pictures: Sequence[Picture]) -> None:
    """Draw pictures on all cores, in forked processes, which have the records already.

    With one core, or where processes cannot be forked safely or die, each picture is drawn when it is asked for.
    """
    if len(pictures) < 2:
        return
    import matplotlib.backends.backend_svg  # noqa: F401  # once for all processes

    for picture, drawn in zip(pictures, forked(attrgetter("_drawn"), pictures), strict=False):
        vars(picture)["_drawn"] = drawn


def _make_room(figure: Figure) -> None:
    """Make a figure larger where its legend or the names along an axis would take the room of the axes."""
    width, height = figure.get_size_inches()
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]
    for box in [legend.get_window_extent() for legend in legends]:
        if box.height > figure.bbox.height or box.width > figure.bbox.width / 2:
            width = max(width, AXES + box.width / figure.dpi)
            height = max(height, 1.05 * box.height / figure.dpi)
    names = [label.get_window_extent() for axes in figure.axes for label in axes.get_yticklabels()]
    longest = max((box.width for box in names), default=0.0)
    if longest > figure.bbox.width / 4:
        width += longest / figure.dpi
    figure.set_size_inches(width, min(height, TALLEST))


def _dots_to_pixels(figure: Figure) -> None:
    """Draw very many dots as pixels: the file is smaller and looks the same."""
    dots = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "None"]
    if sum(np.size(line.get_xdata()) for line in dots) > CROWDED:
        for line in dots:
            line.set_rasterized(True)
