"""Test images with outlines (the best, the median and the worst), and the regions selected by an attention.

Images are ranked by the mean Dice of all networks, so that every network is shown on the same three.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.quantities import Scores
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.plot_style import Axes, Figure, look, subplots
from bench.report.text import short
from bench.run.predictions import Predictions, find, images
from bench.units import share

RANKS = ("best", "median", "worst")
MOST = 5  # networks in one picture: the most accurate ones
QUERIES = ("inside the lesion", "on its outline", "far from it")
STRIDE = 16  # of the deepest map: a region covers whole pixels only where the sides divide by this and the regions


@dataclass(frozen=True)
class Predicted:
    """A network's label maps on test images, its Dice on each, and the folder of its records."""

    row: Row
    predictions: Predictions
    dice: dict[str, float]
    folder: Path

    def mask(self, name: str) -> np.ndarray:
        """The label map of an image."""
        return self.predictions.masks[self.predictions.places[name]]


@dataclass(frozen=True)
class Examples:
    """A section's networks on the test images to show: each image's id by its rank, pixels (3, H, W), truth (H, W)."""

    networks: tuple[Predicted, ...]
    ranks: dict[str, str]
    images: dict[str, np.ndarray]
    truths: dict[str, np.ndarray]

    @property
    def attending(self) -> Predicted | None:
        """The network whose chosen regions can be drawn, for they cover whole pixels of the image."""
        size = next(iter(self.truths.values())).shape[-1]
        for network in self.networks:
            sides = {round(found.shape[1] ** 0.5) for found in network.predictions.chosen.values()}
            if sides and all(size % (STRIDE * side) == 0 for side in sides):
                return network
        return None


def examples(section: Section, folders: Sequence[Path]) -> Examples | None:
    """What can be shown of a section; None where no predictions or no images lie beside its records."""
    found = [predicted for row in section.rows if (predicted := _predicted(row, folders))]
    best = sorted(found, key=lambda one: -np.mean(list(one.dice.values())))[:MOST]
    if not best or section.dice is None:
        return None
    ranks = _ranks(best)
    ids = list(ranks.values())
    pixels = images(best[0].predictions, ids, best[0].folder, section.dice.dataset) if ids else None
    return Examples(tuple(best), ranks, *(dict(zip(ids, of, strict=True)) for of in pixels)) if pixels else None


def _predicted(row: Row, folders: Sequence[Path]) -> Predicted | None:
    """A row by the first of its trainings that has predictions."""
    for record in row.records:
        if isinstance(record.result, Scores) and (kept := find(record, folders)):
            predictions, folder = kept
            dice = {name: value for name, value in _dice(record.result).items() if name in predictions.places}
            return Predicted(row, predictions, dice, folder) if dice else None
    return None


def _dice(scores: Scores) -> dict[str, float]:
    """Each image's Dice, the mean of its defined classes; images without one are left out."""
    import pandas as pd

    dice = pd.Series([score.dice for score in scores.images], [score.id for score in scores.images], float)
    return {str(name): float(value) for name, value in dice.dropna().groupby(level=0).mean().items()}


def _ranks(networks: Sequence[Predicted]) -> dict[str, str]:
    """The best, the median and the worst image; fewer where every network has a Dice of fewer than three."""
    common = set(networks[0].dice).intersection(*(one.dice for one in networks))
    by_dice = sorted(common, key=lambda name: (-np.mean([one.dice[name] for one in networks]), name))
    places = dict.fromkeys((0, (len(by_dice) - 1) // 2, len(by_dice) - 1)) if by_dice else {}
    return {rank: by_dice[place] for rank, place in zip(RANKS, places, strict=False)}


def outlines(shown: Examples) -> Figure:
    """Three images: the truth, then every network's outline in its color over the truth's in white, and its Dice."""
    columns = 1 + len(shown.networks)
    size = 1.75 * columns, 2.05 * len(shown.ranks)
    figure, grid = subplots(*size, len(shown.ranks), columns, layout="compressed", squeeze=False)
    for line, (rank, name) in zip(grid, shown.ranks.items(), strict=True):
        for axes in line:
            _image(axes, shown.images[name], shown.truths[name], 0.9)
        line[0].set_title(f"{rank}: truth", fontsize=8)
        for axes, network in zip(line[1:], shown.networks, strict=True):
            _outline(axes, network.mask(name), look(network.row.network)[0], 1.4)
            axes.set_title(f"{short(network.row.title, 18)}  {share(network.dice[name])}", fontsize=8)
    return figure


def regions(shown: Examples) -> Figure:
    """For three points of the median image, by stage: the point's own region, and those that its pixels attend to."""
    network = shown.attending
    assert network
    name = list(shown.ranks.values())[:2][-1]
    points, stages = query_points(shown.truths[name]), network.predictions.chosen
    size = 1.75 * len(stages), 2.0 * len(points)
    figure, grid = subplots(*size, len(points), len(stages), layout="compressed", squeeze=False)
    for line, where, point in zip(grid, QUERIES, points, strict=True):
        for axes, found in zip(line, stages.values(), strict=True):
            _image(axes, shown.images[name], shown.truths[name], 0.7)
            _cells(axes, found[network.predictions.places[name]], point, shown.truths[name].shape[-1])
        line[0].set_ylabel(where, fontsize=8)
    for axes, stage in zip(grid[0], stages, strict=True):
        axes.set_title(short(stage.partition(".")[0], 18), fontsize=8)
    return figure


def query_points(truth: np.ndarray) -> list[tuple[int, int]]:
    """(row, column) of the lesion's middle-most pixel, of one on its outline, and of the pixel farthest from it.

    Of an image without a lesion the middle, a quarter point and a corner.
    """
    from scipy.ndimage import distance_transform_edt

    inside = truth > 0
    size = truth.shape[0]
    if not inside.any() or inside.all():
        return [(size // 2, size // 2), (size // 4, size // 4), (0, 0)]
    depth, away = distance_transform_edt(inside), distance_transform_edt(~inside)
    edge = np.where(inside, depth, np.inf)
    return [divmod(int(flat), size) for flat in (depth.argmax(), edge.argmin(), away.argmax())]


def _cells(axes: Axes, chosen: np.ndarray, point: tuple[int, int], size: int) -> None:
    """Tint the regions that a point's region attends to, frame its own, and mark the point."""
    from matplotlib.patches import Rectangle

    side = round(chosen.shape[0] ** 0.5)
    cell = size / side
    own = int(point[0] // cell) * side + int(point[1] // cell)
    tinted: dict[str, Any] = {"color": "#E69F00", "alpha": 0.45, "linewidth": 0}
    framed: dict[str, Any] = {"fill": False, "edgecolor": "#56B4E9", "linewidth": 1.6}
    for region, how in [*((int(region), tinted) for region in chosen[own]), (own, framed)]:
        row, column = divmod(region, side)
        axes.add_patch(Rectangle((column * cell, row * cell), cell, cell, **how))
    for color, long, thick in (("white", 9, 3.2), ("black", 8, 1.4)):  # visible on skin and on black
        axes.plot(point[1], point[0], marker="+", color=color, markersize=long, markeredgewidth=thick, zorder=5,
                  clip_on=False)  # fmt: skip
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))  # a region at the edge would make its image smaller


def _image(axes: Axes, pixels: np.ndarray, truth: np.ndarray, width: float) -> None:
    """An image with the outline of its truth in white."""
    axes.imshow(np.asarray(pixels).transpose(1, 2, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    _outline(axes, truth, "white", width)


def _outline(axes: Axes, mask: np.ndarray, color: str, width: float) -> None:
    """A line around each class of a label map."""
    for label in np.unique(mask[mask > 0]):
        axes.contour(mask == label, levels=[0.5], colors=[color], linewidths=[width])
