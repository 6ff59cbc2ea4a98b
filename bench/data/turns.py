"""EXIF's orientation: whether an image and its masks are turned upright, or taken as they are stored.

EXIF says how a camera was held. Most tools in which masks are drawn show the picture upright, some as it is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.broken import opened

ORIENTATION = 0x0112  # EXIF's tag


@dataclass(frozen=True)
class Header:
    """(height, width) as stored, and EXIF's orientation, 1 to 8."""

    size: tuple[int, int]
    turn: int

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) after turning upright."""
        return upright_size(self.size, self.turn)


def turn_of(picture: Image.Image) -> int:
    """EXIF's orientation, 1 (upright) to 8, of an opened picture. Pillow turns TIFF itself, so that is upright."""
    if picture.format == "TIFF" or (picture.format == "PNG" and "exif" not in picture.info):
        return 1  # asking a PNG without EXIF would decode it
    turn = picture.getexif().get(ORIENTATION, 1)
    return turn if turn in range(1, 9) else 1


def turned(values: np.ndarray, turn: int) -> np.ndarray:
    """An array (height, width, ...) as stored, turned upright by EXIF's orientation."""
    if turn > 4:
        values = values.swapaxes(0, 1)
    rows, columns = (-1 if turn in flipped else 1 for flipped in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return values[::rows, ::columns]


def upright_size(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """(height, width) after `turned`."""
    return (size[1], size[0]) if turn > 4 else size


def header_of(path: Path) -> Header:
    """Size and orientation of a file, without decoding it. Raises UserError naming it when it is unreadable."""
    with opened(path) as picture:
        return Header((picture.height, picture.width), turn_of(picture))


def is_upright(turn: str, image: Header, masks: Sequence[tuple[tuple[int, ...], int]]) -> bool:
    """Whether image and masks are to be turned upright: if only then they fit, and by `turn` where both ways fit."""
    stored, upright = fits(image, masks)
    return upright if stored != upright else turn == "upright"


def fits(image: Header, masks: Sequence[tuple[tuple[int, ...], int]]) -> tuple[bool, bool]:
    """Whether the masks have the size of the image as stored, and whether they have it upright."""
    stored = all(tuple(size) == image.size for size, _ in masks)
    return stored, all(upright_size((size[0], size[1]), turn) == image.upright for size, turn in masks)
