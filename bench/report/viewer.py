"""An image viewer in HTML: the best, median and worst test image, with the outline of one network at a time."""

import base64
import io
from collections.abc import Iterator
from html import escape

import numpy as np

from bench.report.exhibits import Exhibit, Shown
from bench.report.figures import look
from bench.report.units import share


def viewer(shown: Exhibit, name: str) -> str:
    """The HTML of an exhibit; `name` tells it from others on the page. The page's script switches the networks.

    Without a script the first network is shown.
    """
    buttons = "".join(_button(network, number == 0) for number, network in enumerate(shown.networks))
    images = "".join(_image(shown, rank, image) for rank, image in shown.chosen)
    return (
        f'<div class="viewer" id="viewer-{escape(name)}"><div class="switch" role="group" '
        f'aria-label="Network whose outline is shown">{buttons}</div><div class="shots">{images}</div></div>'
    )


def _button(network: Shown, pressed: bool) -> str:
    colour, _ = look(network.row.network)
    return (
        f'<button type="button" data-shows="{escape(network.row.network)}" aria-pressed="{str(pressed).lower()}">'
        f'<span class="swatch" style="background:{colour}"></span>{escape(network.row.title)}</button>'
    )


def _image(shown: Exhibit, rank: str, name: str) -> str:
    """One image with the truth in white and every network's outline over it, all but the first hidden."""
    place = shown.places[name]
    height, width = shown.truths[place].shape
    paths = [f'<path class="truth" d="{_path(shown.truths[place])}"/>']
    figures = []
    for number, network in enumerate(shown.networks):
        hidden = " hidden" if number else ""
        who = f'data-of="{escape(network.row.network)}"{hidden}'
        mask = network.predictions.masks[network.predictions.places[name]]
        paths.append(f'<path {who} stroke="{look(network.row.network)[0]}" d="{_path(mask)}"/>')
        figures.append(f"<span {who}>Dice {share(network.dice[name])}</span>")
    return (
        f'<figure><div class="shot"><img alt="{escape(rank)} test image {escape(name)}" src="{_source(shown, place)}">'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(paths)}</svg></div>'
        f"<figcaption>{escape(rank)}: {escape(name)}<br>{''.join(figures)}</figcaption></figure>"
    )


def _source(shown: Exhibit, place: int) -> str:
    """The image as a data URI, for the page must work without any other file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.asarray(shown.images[place]).transpose(1, 2, 0))).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _path(mask: np.ndarray) -> str:
    """SVG's path of the outlines of every class of a label map, in pixels."""
    return "".join(f"M{'L'.join(f'{x:.1f},{y:.1f}' for x, y in line)}" for line in _lines(mask))


def _lines(mask: np.ndarray) -> Iterator[np.ndarray]:
    from contourpy import contour_generator

    for label in np.unique(mask[mask > 0]):
        # A frame of background, so that an outline at the image's edge is closed too; half a pixel to its centre.
        framed = np.pad((mask == label).astype(float), 1)
        for line in contour_generator(z=framed).lines(0.5):
            yield np.asarray(line) - 0.5
