"""The reader of a user's images: one gray scale for all deep ones of a data set, and turned upright as their masks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.broken import naming, opened
from bench.data.decoded import one_page
from bench.data.facts import ImageFacts, MaskFacts, facts_of_images, facts_of_masks
from bench.data.files import counted, first_few
from bench.data.images import DEEP, as_rgb, gray_rgb
from bench.data.turns import Header, fits, header_of, is_upright, turn_of, turned

Pair = tuple[Path, tuple[Path, ...]]  # an image and its masks
TOPS = (1, 255, 1023, 4095, 16383, 65535)  # the greatest values of images with 1, 8, 10, 12, 14 and 16 bits
ROWS = 256  # that are scaled at a time
LEAST = 0.05  # of its range that a data set has to use


def image_reader(
    pairs: Sequence[Pair], problems: list[str], notes: list[str]
) -> Callable[[Path, tuple[Path, ...]], np.ndarray]:
    """The reader of one image with its masks, which tell whether it is turned: uint8 (height, width, 3).

    Files of more than 8 bits are decoded to find one scale for all. Scale, turns and dropped opacity are lines in
    `notes`, what cannot be told is one in `problems`. Files that cannot be read are not judged.
    """
    images = facts_of_images([image for image, _ in pairs])
    low, high = _scale(images, problems, notes)
    turn, told, fault = usual_turn(pairs, images, facts_of_masks([mask for _, masks in pairs for mask in masks]))
    notes += [told] if told else []
    problems += [fault] if fault else []
    if holes := [path.name for path, one in images.items() if one.holes]:
        notes.append(
            f"opacity is left out of {counted(len(holes), 'image')} with transparent pixels: {first_few(holes)}"
        )
    return partial(read_image, turn, low, high)


def read_image(turn: str, low: float, high: float, image: Path, masks: tuple[Path, ...]) -> np.ndarray:
    """An image as uint8 (height, width, 3): of more than 8 bits `low` becomes 0 and `high` 255, clipped beyond.

    Turned upright by EXIF where the masks are, or by `turn` where both fit. Raises UserError naming the file.
    """
    header, picture = _load(image)
    with naming(image):
        if picture.mode[0] in DEEP:
            colors = gray_rgb(_scaled(np.asarray(picture), low, high))
        else:
            colors = as_rgb(picture, image)
        if header.turn == 1:
            return colors
        of_masks = [(one.size, one.turn) for one in map(header_of, masks)]
        return np.ascontiguousarray(turned(colors, header.turn)) if is_upright(turn, header, of_masks) else colors


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8: `low` becomes 0 and `high` 255. Some rows at a time, for between the two each value takes 8 bytes."""
    whole = np.empty(values.shape, np.uint8)
    for at in range(0, len(values), ROWS):
        rows = values[at : at + ROWS].astype(np.float64)
        whole[at : at + ROWS] = np.rint((rows - low) * 255 / ((high - low) or 1)).clip(0, 255)
    return whole


def _load(path: Path) -> tuple[Header, Image.Image]:
    with opened(path) as picture:
        one_page(picture, path)
        header = Header((picture.height, picture.width), turn_of(picture))
        picture.load()
        return header, picture


def usual_turn(
    pairs: Sequence[Pair], images: Mapping[Path, ImageFacts], masks: Mapping[Path, MaskFacts]
) -> tuple[str, str, str]:
    """How images whose masks fit both ways are taken ("upright" or "stored"), a remark on it, and a fault; or "".

    The images whose masks fit one way tell how the masks of the data set were drawn. Without any, upright: so they are
    shown in most tools.
    """
    votes: dict[str, list[str]] = {"upright": [], "stored": [], "either": []}
    turned_ones = 0
    for image, of_one in pairs:
        known, drawn = images[image], [masks[mask] for mask in of_one]
        if known.turn == 1 or known.fault or any(one.fault for one in drawn):
            continue
        turned_ones += 1
        stored, upright = fits(Header(known.size, known.turn), [(one.size, one.turn) for one in drawn])
        if all(one.turn == known.turn for one in drawn):
            continue  # masks with the same orientation are turned with their image
        votes["either" if stored == upright else "upright" if upright else "stored"].append(image.name)
    if not turned_ones:
        return "upright", "", ""
    turn = "stored" if votes["stored"] and not votes["upright"] else "upright"
    found = f"EXIF turns {turned_ones} of {len(pairs)} images"
    if votes["either"] and votes["stored"] and votes["upright"]:
        some = ", ".join(f"{len(votes[way])} of their masks fit them {way}" for way in ("upright", "stored"))
        advice = "turn the pixels of images and masks upright, and remove the orientation"
        return (
            turn,
            "",
            f"{found}; {some}, and {len(votes['either'])} both ways ({first_few(votes['either'])}); {advice}",
        )
    ways = "as stored, since their masks were drawn so" if turn == "stored" else "upright, and their masks with them"
    both = f"; of {len(votes['either'])} the masks fit both ways, so look at them with `bench data show`"
    return turn, f"{found}: taken {ways}{both if votes['either'] else ''}", ""


def _scale(images: Mapping[Path, ImageFacts], problems: list[str], notes: list[str]) -> tuple[float, float]:
    """The values that become 0 and 255 in images of more than 8 bits."""
    if faint := [path.name for path, one in images.items() if one.deep == "color" and not one.fault]:
        used = max(one.high for one in images.values() if one.deep == "color") + 1
        if used <= LEAST * 256 or used <= 16:
            fault = f"{len(faint)} images of 16 bits a color use at most {used * 256:g} of 65536 levels"
            advice = "only the upper 8 bits of colors are read, so scale all to 8 bits by one factor"
            problems.append(f"{fault}: {first_few(faint)}; {advice}")
    deep = [one for one in images.values() if one.deep == "gray" and not one.fault]
    if not deep:
        return 0.0, 65535.0
    low, high = min(one.low for one in deep), max(one.high for one in deep)
    tops = TOPS if any(one.fraction for one in deep) else TOPS[1:]
    top = next((top for top in tops if high <= top), None)
    if top is None or low < 0 or high - low < LEAST * top:
        told = "the least and the greatest value of the data set"
    else:
        told, low, high = f"their values end at {high:g}", 0.0, float(top)
    are = "is scaled" if len(deep) == 1 else "are scaled alike"
    notes.append(f"{counted(len(deep), 'image')} of more than 8 bits {are}, {low:g} to {high:g} ({told})")
    return low, high
