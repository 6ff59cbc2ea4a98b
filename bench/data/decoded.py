"""Mask files decoded without a guess at what their levels mean: what is seen of each pixel, and what was stored for it.

Gray levels of any depth stay as they are. A color is 0xRRGGBB above all gray levels, so neither is taken for the other.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.broken import has_pages, naming, opened
from bench.data.images import DEEP
from bench.data.turns import turn_of
from bench.errors import UserError

COLOR = 1 << 24  # added to a color
DRAWN = 127  # what is more opaque counts as drawn
# Pillow spreads gray levels of 2 and 4 bits over 8: the factor, by its name for how they were stored.
SPREAD = {"L;2": 85, "L;2I": 85, "L;2R": 85, "L;4": 17, "L;4I": 17, "L;4R": 17}
SAME = 8  # levels within which colors are one: programs round the colors of half-transparent edges
WHOLE = 1e-3  # how far a number with a fraction may be from a whole one that is meant


@dataclass(frozen=True)
class Decoded:
    """A mask file as stored, not turned by EXIF.

    `tones` (height, width) are what is seen: gray levels, where the brightest of the file's depth is 255; colors; or
    the opacity where one color alone was drawn on a transparent layer. `numbers` are what was stored: palette numbers,
    levels of the file's depth. `bilevel` says that the file has one bit a pixel, so that 1 is 1 and 255 alike;
    `clashes` that several colors were drawn on a transparent layer, so that color and opacity differ. `turn` is EXIF's
    orientation, 1 for none.
    """

    tones: np.ndarray
    numbers: np.ndarray
    lossy: bool = False
    bilevel: bool = False
    clashes: bool = False
    turn: int = 1


def decode_mask(path: Path) -> Decoded:
    """Decode a mask. Raises UserError naming the file when it is unreadable or has several pages."""
    with opened(path) as picture:
        one_page(picture, path)
        factor, turn, lossy = SPREAD.get(stored_as(picture), 1), turn_of(picture), _is_lossy(picture, path)
        picture.load()
    with naming(path):
        if lossy:
            brightest = np.asarray(picture.convert("RGB")).max(axis=2)
            return Decoded(brightest, brightest, lossy=True, turn=turn)
        if picture.mode == "1" and not picture.has_transparency_data:
            values = np.asarray(picture).astype(np.uint8)
            return Decoded(values, values, bilevel=True, turn=turn)
        if picture.mode[0] in DEEP or (picture.mode == "L" and not picture.has_transparency_data):
            values = _whole(np.asarray(picture))
            values = values // factor if factor > 1 else values
            return Decoded(_full_is_255(values, 255 // factor if picture.mode == "L" else 65535), values, turn=turn)
        return _decode_colors(picture, turn)


def one_page(picture: Image.Image, path: Path) -> None:
    """Raise UserError for a file of several pages. The previews that cameras put behind a photograph don't count."""
    if has_pages(picture) and picture.format != "MPO":
        advice = "save each page as a file, images and masks alike (slices of one patient: name it with --patient)"
        raise UserError(f"{path} has several pages, and one image is one page; {advice}")


def stored_as(picture: Image.Image) -> str:
    """Pillow's name for how the pixels of a picture that is not loaded yet are stored."""
    arguments = picture.tile[0][3] if picture.tile else ""  # type: ignore[attr-defined]  # of files that are opened
    named = arguments[:1] if isinstance(arguments, tuple) else (arguments,)
    return str(named[0]) if named else ""


def _is_lossy(picture: Image.Image, path: Path) -> bool:
    if picture.format == "WEBP":
        with path.open("rb") as file:
            return b"VP8L" not in file.read(4096)
    return picture.format in ("JPEG", "MPO", "JPEG2000") or picture.info.get("compression") in ("jpeg", "tiff_jpeg")


def _whole(values: np.ndarray) -> np.ndarray:
    """Values with fractions as whole numbers, if all are nearly whole; others as they are.

    Raises ValueError where one is no finite number.
    """
    if values.dtype.kind != "f":
        return values
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite numbers")
    near = np.rint(values)
    is_whole = (abs(values - near) <= WHOLE).all() and (abs(near) < COLOR).all()
    return near.astype(np.int32) if is_whole else values


def _full_is_255(values: np.ndarray, full: int) -> np.ndarray:
    """The values with 255 for the brightest that their depth allows; as they are where that is not meant."""
    if full == 255 or not (values == full).any() or (values == 255).any():
        return values
    return np.where(values == full, 255, values)


def _decode_colors(picture: Image.Image, turn: int) -> Decoded:
    """From palettes, colors and layers with opacity."""
    seen = np.asarray(picture.convert("RGBA"))
    tones, opacity = packed(seen), seen[..., 3]
    numbers = tones
    if picture.mode in ("P", "PA"):
        stored = np.asarray(picture) if picture.mode == "P" else np.asarray(picture)[..., 0]
        entries = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
        if len(np.unique(stored)) > len(np.unique(tones)):
            tones = numbers = stored  # entries of one color are told apart by their numbers
        elif (entries != entries[:, :1]).any():
            numbers = stored
    if (opacity == 255).all():
        return Decoded(tones, numbers, turn=turn)
    drawn = seen[opacity > DRAWN][:, :3]
    if not len(drawn) or np.ptp(drawn, axis=0).max() <= SAME:
        return Decoded(opacity, opacity if numbers is tones else numbers, turn=turn)
    is_stored = picture.mode in ("P", "PA")
    return Decoded(tones, numbers if is_stored else np.where(opacity == 0, 0, numbers), clashes=True, turn=turn)


def packed(colors: np.ndarray) -> np.ndarray:
    """int32 (height, width) from (height, width, 3 or more): gray levels, and colors as COLOR + 0xRRGGBB."""
    red, green, blue = (colors[..., at] for at in range(3))
    is_gray = (red == green) & (green == blue)
    if is_gray.all():
        return red.astype(np.int32)
    found = red.astype(np.int32) << 16
    found += green.astype(np.int32) << 8
    found += blue
    found += COLOR
    return np.where(is_gray, red, found)
