"""Image and mask files decoded into uint8 arrays. Broken files are reported by name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from bench.data.broken import naming, opened
from bench.data.files import first_few
from bench.errors import UserError

# The first letter of Pillow's modes of more than 8 bits. Its own conversion to 8 bits would clip them, not scale them.
DEEP = "IF"
Polygon = tuple[tuple[float, float], ...]


def read_rgb(path: Path) -> np.ndarray:
    """An image as uint8 (height, width, 3), values 0 to 255.

    Gray is repeated in three channels, a palette is looked up, alpha is dropped, 16 bits are scaled to 8. An EXIF
    rotation is not applied: masks are drawn on the stored pixels. Raises UserError naming the file when it is missing
    or unreadable.
    """
    with naming(path):
        picture = _load(path)
        return gray_rgb(_to_8_bits(picture, path)) if picture.mode[0] in DEEP else as_rgb(picture, path)


def as_rgb(picture: Image.Image, path: Path) -> np.ndarray:
    """The colors of a picture of 8 bits, uint8 (height, width, 3). Raises UserError for colors that nobody converts."""
    with naming(path):
        if picture.mode == "L":  # the same, in half of the memory
            return gray_rgb(np.asarray(picture))
        return np.array(picture.convert("RGB"))


def gray_rgb(values: np.ndarray) -> np.ndarray:
    """uint8 (height, width) as three equal channels (height, width, 3)."""
    return np.repeat(values[:, :, None], 3, axis=2)


def read_mask(path: Path) -> np.ndarray:
    """A mask of one class as uint8 (height, width): 1 where the file is brighter than 127, 0 elsewhere.

    Masks come in many forms, and all are read as the same foreground. The colors of a palette are looked up and their
    brightest channel counts (the usual dark red of class 1 has a luma of 38); a lossless file with no value above 1
    holds 0 and 1; a 16-bit file with no value above 255 holds 8-bit values. Raises as `read_rgb` does.
    """
    values, lossy = gray_levels(path)
    holds_classes = not lossy and values.max(initial=0) == 1
    return (values > (0 if holds_classes else 127)).astype(np.uint8)


def gray_levels(path: Path) -> tuple[np.ndarray, bool]:
    """The brightest channel of each pixel (height, width), and whether the file is lossy. Raises as `read_rgb` does.

    A 16-bit file with no value above 255 holds 8-bit values; other 16 bits are scaled to 8.
    """
    with naming(path):
        picture = _load(path)
        if picture.mode[0] in DEEP:
            values = np.asarray(picture)
            values = values if values.max(initial=0) <= 255 else _to_8_bits(picture, path)
        elif picture.mode in ("1", "L"):
            values = np.asarray(picture.convert("L"))
        else:
            values = np.asarray(picture.convert("RGB")).max(axis=2)
        return values, picture.format == "JPEG"


def read_mask_for(image: Path, mask: Path, classes: Sequence[str]) -> np.ndarray:
    """The class numbers of a mask as uint8 (height, width), 0 for the background; it must cover its image.

    One class is read by `read_mask`. The numbers of several are palette numbers or gray levels, taken as they are.
    Raises UserError naming the file when it is unreadable, of another size than the image, or holds colors or values
    that name no class.
    """
    values = read_mask(mask) if len(classes) == 1 else read_labels(mask, classes)
    check_same_size(image, size_of(image), mask, values.shape)
    return values if len(classes) == 1 else checked_labels(values, mask, classes)


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) from the file's header, without decoding the pixels. Raises as `read_rgb` does."""
    with opened(path) as picture:
        return picture.height, picture.width


def check_same_size(image: Path | str, size: tuple[int, ...], mask: Path | str, mask_size: tuple[int, ...]) -> None:
    """Raise UserError naming both when their sizes differ: resizing one to fit would hide a wrong pairing."""
    if size != mask_size:
        sizes = "{} is {}x{}, {} is {}x{} (height x width)".format(image, *size, mask, *mask_size)
        advice = "a mask must cover its image pixel for pixel, so get the matching pair or resize both alike"
        raise UserError(f"image and mask differ in size: {sizes}; {advice}")


def checked_labels(values: np.ndarray, source: Path | str, classes: Sequence[str]) -> np.ndarray:
    """uint8 class numbers, 0 for the background. Raises UserError naming the source and the labels outside the set."""
    outside = np.setdiff1d(values, np.arange(len(classes) + 1)).tolist()
    if outside:
        shown = first_few([f"{label:g}" for label in outside], 8)
        allowed = ", ".join(f"{number} ({name})" for number, name in enumerate(("background", *classes)))
        advice = "correct the mask, or name its classes"
        raise UserError(f"{source} holds the label {shown}; allowed are {allowed}; {advice}")
    return values.astype(np.uint8)


def read_outlined(image: Path, source: Path, polygons: Sequence[Polygon]) -> np.ndarray:
    """The mask of an image that is outlined in another file, uint8 (height, width): 1 inside and on the border.

    Points are (x, y) in pixels. Raises UserError when one lies outside the image: then that was cropped or resized.
    """
    height, width = size_of(image)
    for x, y in (point for polygon in polygons for point in polygon):
        # Written so that NaN, which JSON readers accept, is rejected too.
        if not (0 <= x <= width and 0 <= y <= height):
            fault = f"a point (x {x:g}, y {y:g}) outside {image}, which is {height}x{width} (height x width)"
            advice = "use the published images as they are, neither cropped nor resized"
            raise UserError(f"{source} outlines {fault}; {advice}")
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    for polygon in polygons:
        draw.polygon(polygon, fill=1, outline=1)
    return np.array(canvas)


def read_labels(path: Path, classes: Sequence[str]) -> np.ndarray:
    """The values of a mask of several classes, (height, width), in the type that the file has."""
    with naming(path):
        picture = _load(path)
        values = np.asarray(picture)
        if values.ndim == 2:
            return values
        # Gray saved as RGB has equal channels; other colors do not say which class is which.
        colors = np.asarray(picture.convert("RGB"))
    if (colors != colors[:, :, :1]).any():
        read = f"several classes are read from gray levels or palette numbers 0 to {len(classes)}"
        mode = f"Pillow mode {picture.mode}"
        raise UserError(f"{path} is in color ({mode}), which names no class; {read}, so convert the mask")
    return colors[:, :, 0]


def _load(path: Path) -> Image.Image:
    with opened(path) as picture:
        picture.load()
        return picture


def _to_8_bits(picture: Image.Image, path: Path) -> np.ndarray:
    """uint8 (height, width) from a 16-bit gray picture: 0 stays 0, 65535 becomes 255."""
    values = np.asarray(picture)
    if picture.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        found = f"its values run from {values.min()} to {values.max()} (Pillow mode {picture.mode})"
        advice = "8 and 16 bits a channel are read, so convert the file to one of them"
        raise UserError(f"cannot tell the gray scale of {path}: {found}; {advice}")
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
