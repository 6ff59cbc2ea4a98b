"""A picture that is drawn once, whatever the report is written in: laying a figure out takes as long as drawing it."""

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple[str, tuple[float, float]]  # the SVG, and its width and height in inches
TALLEST = 14.0  # inches as drawn that can still be read on a page; a taller figure is drawn lower, its type as large
AXES = 6.8  # inches that axes and the longest title above them need beside a legend
CROWDED = 2000  # dots that a vector figure holds as shapes


@dataclass(frozen=True)
class Picture:
    """A figure by a name for files. It is drawn by `draw()`.

    Nothing is drawn, and matplotlib not imported, before somebody asks for `svg` or `inches`. The same records give
    the same text: there is no date in it.
    """

    name: str
    caption: str
    draw: Callable[[], "Figure"]

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
        import matplotlib.pyplot as plt

        from bench.report.figures import STYLE

        text = io.StringIO()
        with mpl.rc_context(STYLE):  # ids and the resolution of dots are looked up when saving, not when drawing
            figure = self.draw()
            _make_room(figure)
            _dots_to_pixels(figure)
            if layout := figure.get_layout_engine():  # saving would lay it out and draw it twice
                layout.execute(figure)
                figure.set_layout_engine(None)
            figure.savefig(text, format="svg", metadata={"Date": None})
            plt.close(figure)
        width, height = figure.get_size_inches()
        return text.getvalue(), (float(width), float(height))


def draw_together(pictures: Sequence[Picture]) -> None:
    """Draw pictures that will be asked for, on all cores: in forked processes, which have the records already.

    Where there is one core, or processes cannot be forked safely or do not live, each is drawn when it is asked for.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    workers = min(cores, len(pictures))
    if workers < 2:
        return
    from bench.report import figures  # noqa: F401  # matplotlib, once for all processes

    try:
        pool = ProcessPoolExecutor(workers, get_context("fork"), initializer=_begin, initargs=(pictures,))
    except (OSError, NotImplementedError):  # no shared memory here, as in some containers
        return
    with pool, suppress(BrokenProcessPool):
        for picture, drawn in zip(pictures, pool.map(_draw, range(len(pictures))), strict=True):
            vars(picture)["_drawn"] = drawn


_TOGETHER: list[Picture] = []  # what a forked process draws from


def _begin(pictures: Sequence[Picture]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _TOGETHER.extend(pictures)


def _draw(number: int) -> Drawn:
    return _TOGETHER[number]._drawn


def _make_room(figure: "Figure") -> None:
    """Make a figure larger where its legend, of forty networks or of a long name, takes the room of the axes.

    Wider too where names along an axis do.
    """
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


def _dots_to_pixels(figure: "Figure") -> None:
    """Of a vector figure with very many dots, draw these as pixels: the file is smaller and looks the same."""
    dots = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "None"]
    if sum(np.size(line.get_xdata()) for line in dots) > CROWDED:
        for line in dots:
            line.set_rasterized(True)
