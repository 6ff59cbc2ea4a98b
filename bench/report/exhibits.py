"""Test images with outlines: the best, the median and the worst, and where an attention looked.

Which image is best is told by the mean Dice of all networks, so that every network is shown on the same three.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.quantities import Scores
from bench.read.rows import Row
from bench.read.sections import Section
from bench.run.predictions import Predictions, find, images
from bench.run.store import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANKS = ("best", "median", "worst")
MOST = 5  # networks in one picture: the most accurate ones
QUERIES = ("inside the lesion", "on its outline", "far from it")
STRIDE = (
    16  # of the deepest map: a region of it covers whole pixels only where the sides divide by this and the regions
)


@dataclass(frozen=True)
class Shown:
    """A network's label maps on the images of an exhibit, and its Dice on each."""

    row: Row
    predictions: Predictions
    dice: dict[str, float]


@dataclass(frozen=True)
class Exhibit:
    """A section's networks on the test images to show. `images` uint8 (n, 3, H, W), `truths` (n, H, W), by `places`."""

    networks: tuple[Shown, ...]
    images: np.ndarray
    truths: np.ndarray
    places: dict[str, int]

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """The rank and id of the images to show; fewer where there are fewer than three."""
        return to_show(self.networks)


def ranked(networks: Sequence[Shown]) -> list[str]:
    """Ids of the images that every network has a Dice of, from the best to the worst mean of these."""
    common = [name for name in networks[0].dice if all(name in shown.dice for shown in networks)]
    means = {name: np.mean([shown.dice[name] for shown in networks]) for name in common}
    return sorted(means, key=lambda name: (-means[name], name))


def to_show(networks: Sequence[Shown]) -> list[tuple[str, str]]:
    """The rank and id of the best, the median and the worst image; fewer where there are fewer than three."""
    by_dice = ranked(networks)
    places = dict.fromkeys((0, (len(by_dice) - 1) // 2, len(by_dice) - 1)) if by_dice else {}
    return [(rank, by_dice[place]) for rank, place in zip(RANKS, places, strict=False)]


def exhibit(section: Section, folders: Sequence[Path]) -> Exhibit | None:
    """What can be shown of a section; None where no predictions or no images lie beside its records."""
    found = [shown for row in section.rows if (shown := _shown(row, folders))]
    best = sorted(found, key=lambda one: -np.mean(list(one[0].dice.values())))[:MOST]
    if not best or section.dice is None:
        return None
    (first, folder), *_ = best
    networks = tuple(shown for shown, _ in best)
    ids = [name for _, name in to_show(networks)]
    pixels = images(first.predictions, ids, folder, section.dice.dataset) if ids else None
    return Exhibit(networks, *pixels, {name: place for place, name in enumerate(ids)}) if pixels else None


def _shown(row: Row, folders: Sequence[Path]) -> tuple[Shown, Path] | None:
    """A row by the first of its trainings that has predictions."""
    for record in row.records:
        if isinstance(record.result, Scores) and (kept := find(record, folders)):
            predictions, folder = kept
            dice = {name: value for name, value in _dice(record).items() if name in predictions.places}
            return (Shown(row, predictions, dice), folder) if dice else None
    return None


def _dice(record: Record) -> dict[str, float]:
    """Each image's Dice, the mean of its defined classes; images without one are left out."""
    assert isinstance(record.result, Scores)
    by_image: dict[str, list[float]] = {}
    for score in record.result.images:
        if not np.isnan(score.dice):
            by_image.setdefault(score.id, []).append(score.dice)
    return {name: float(np.mean(values)) for name, values in by_image.items()}


def outlines(shown: Exhibit) -> "Figure":
    """Three images: the truth, then every network's outline in its colour over the truth's in white, and its Dice."""
    import matplotlib.pyplot as plt

    from bench.report.figures import look
    from bench.report.units import share

    chosen = shown.chosen
    columns = 1 + len(shown.networks)
    figure, grid = plt.subplots(
        len(chosen), columns, figsize=(1.75 * columns, 2.05 * len(chosen)), layout="compressed", squeeze=False
    )
    for axes_row, (rank, name) in zip(grid, chosen, strict=True):
        truth = shown.truths[shown.places[name]]
        for axes, network in zip(axes_row, (None, *shown.networks), strict=True):
            _image(axes, shown.images[shown.places[name]])
            _outline(axes, truth, "white", 0.9)
            if network is None:
                axes.set_title(f"{rank}: truth", fontsize=8)
                continue
            mask = network.predictions.masks[network.predictions.places[name]]
            _outline(axes, mask, look(network.row.network)[0], 1.4)
            axes.set_title(f"{network.row.title[:18]}  {share(network.dice[name])}", fontsize=8)
    return figure


def looks_somewhere(shown: Exhibit) -> Shown | None:
    """The network whose chosen regions can be drawn: they cover whole pixels of the image."""
    size = shown.images.shape[-1]
    for network in shown.networks:
        sides = {round(found.shape[1] ** 0.5) for found in network.predictions.chosen.values()}
        if sides and all(size % (STRIDE * side) == 0 for side in sides):
            return network
    return None


def regions(shown: Exhibit) -> "Figure":
    """For three points of the median image, by stage: the point's own region, and those that its pixels attend to."""
    import matplotlib.pyplot as plt

    network = looks_somewhere(shown)
    assert network
    name = shown.chosen[min(1, len(shown.chosen) - 1)][1]
    truth, pixels = shown.truths[shown.places[name]], shown.images[shown.places[name]]
    stages = network.predictions.chosen
    points = query_points(truth)
    figure, grid = plt.subplots(
        len(points), len(stages), figsize=(1.75 * len(stages), 2.0 * len(points)), layout="compressed",
        squeeze=False,
    )  # fmt: skip
    for number, (axes_row, where, point) in enumerate(zip(grid, QUERIES, points, strict=True)):
        for axes, (stage, found) in zip(axes_row, stages.items(), strict=True):
            _image(axes, pixels)
            _outline(axes, truth, "white", 0.7)
            _cells(axes, found[network.predictions.places[name]], point, pixels.shape[-1])
            if number == 0:
                axes.set_title(stage.partition(".")[0], fontsize=8)
        axes_row[0].set_ylabel(where, fontsize=8)
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
    return [_place(depth.argmax(), size), _place(edge.argmin(), size), _place(away.argmax(), size)]


def _place(flat: np.intp, size: int) -> tuple[int, int]:
    row, column = divmod(int(flat), size)
    return row, column


def _cells(axes: "Axes", chosen: np.ndarray, point: tuple[int, int], size: int) -> None:
    """Tint the regions that a point's region attends to, frame its own, and mark the point."""
    from matplotlib.patches import Rectangle

    side = round(chosen.shape[0] ** 0.5)
    cell = size / side
    own = int(point[0] // cell) * side + int(point[1] // cell)
    for number in chosen[own]:
        row, column = divmod(int(number), side)
        axes.add_patch(Rectangle((column * cell, row * cell), cell, cell, color="#E69F00", alpha=0.45, linewidth=0))
    row, column = divmod(own, side)
    axes.add_patch(Rectangle((column * cell, row * cell), cell, cell, fill=False, edgecolor="#56B4E9", linewidth=1.6))
    for colour, long, thick in (("white", 9, 3.2), ("black", 8, 1.4)):  # to be seen on skin and on black
        (cross,) = axes.plot([point[1]], [point[0]], marker="+", color=colour, zorder=5, clip_on=False)
        cross.set(markersize=long, markeredgewidth=thick)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))  # a region at the edge would make its image smaller


def _image(axes: "Axes", pixels: np.ndarray) -> None:
    axes.imshow(np.asarray(pixels).transpose(1, 2, 0), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _outline(axes: "Axes", mask: np.ndarray, colour: str, width: float) -> None:
    """A line around each class of a label map."""
    for label in np.unique(mask[mask > 0]):
        axes.contour(mask == label, levels=[0.5], colors=[colour], linewidths=[width])
