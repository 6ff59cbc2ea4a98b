"""Tiny trees of images and masks for the tests of layouts: files of 4 x 24 pixels, each image another."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (4, 24)


def picture(path: Path, number: int = 0) -> None:
    """An image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = [number, *str(path.name).encode(), *str(path.parent.name).encode()]
    save(path, np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), np.uint8))


def mask(path: Path, count: int = 1, at: int = 0, level: int = 255) -> None:
    """A mask of which `count` pixels of the row `at` are foreground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros(SIZE, np.uint8)
    values[at, :count] = level
    save(path, values)


def save(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(path)


def pairs(images: str, masks: str, names: list[str]) -> None:
    """An image and a mask by each name; `{}` in the paths stands for the name. Of mask n, n+1 pixels are foreground."""
    for number, name in enumerate(names):
        picture(Path(images.format(name)), number)
        mask(Path(masks.format(name)), number + 1)
