"""What is known of each image and mask file: size, orientation, levels. Found by decoding it once, then kept."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from bench.data.broken import in_turn, naming, opened
from bench.data.contents import reader_code, wait_for_clock
from bench.data.decoded import decode_mask, one_page, stored_as
from bench.data.files import state_of
from bench.data.images import DEEP
from bench.data.kept import keep, recall
from bench.data.turns import turn_of
from bench.errors import UserError

FEW = 1 << 16  # levels that have a place of their own while they are counted
PART = 1 << 22  # values that are counted at a time
MOST = 1024  # levels that are kept of a file, the most frequent ones

Levels = tuple[tuple[float, int], ...]  # levels and how many pixels have each


@dataclass(frozen=True)
class MaskFacts:
    """Of a mask file, as `Decoded` explains; `size` is (height, width) as stored, `turn` EXIF's orientation.

    `tones` and `numbers` are the levels of the two views with their pixels. `fault` says why it cannot be read; then
    nothing else is known.
    """

    size: tuple[int, int] = (0, 0)
    turn: int = 1
    tones: Levels = ()
    numbers: Levels = ()
    lossy: bool = False
    bilevel: bool = False
    clashes: bool = False
    fault: str = ""


@dataclass(frozen=True)
class ImageFacts:
    """Of an image file. `low` and `high` are the least and the greatest value of a file of more than 8 bits a channel.

    `deep` is "gray", or "color" where Pillow reads only the upper 8 of 16 bits of each channel; "" for 8 bits.
    """

    size: tuple[int, int] = (0, 0)
    turn: int = 1
    deep: str = ""
    fraction: bool = False
    low: float = 0.0
    high: float = 0.0
    holes: bool = False
    fault: str = ""


T = TypeVar("T", MaskFacts, ImageFacts)


def facts_of_masks(paths: Sequence[Path]) -> dict[Path, MaskFacts]:
    """What is known of each mask file; what was not known before is decoded, several files at a time."""
    return known_facts(paths, _look_at_mask, TypeAdapter(MaskFacts))


def facts_of_images(paths: Sequence[Path]) -> dict[Path, ImageFacts]:
    """What is known of each image file. Only files of more than 8 bits or with opacity are decoded for it."""
    return known_facts(paths, _look_at_image, TypeAdapter(ImageFacts))


def known_facts(paths: Sequence[Path], look: Callable[[Path], T], form: TypeAdapter[T]) -> dict[Path, T]:
    """What `look` finds in each file. It is kept by the file's state and the code of the module that `look` is in."""
    keys = {path: _key(look, path) for path in paths}
    kept = recall(filter(None, keys.values()))
    found = {path: form.validate_json(kept[key]) for path, key in keys.items() if key in kept}
    missing = [path for path in keys if path not in found]
    wait_for_clock(missing)
    fresh: dict[str, str] = {}

    def decode(path: Path) -> None:
        with in_turn(path):
            found[path] = look(path)
        # As for digests: of a file that was changed meanwhile, nobody knows which of the two was decoded.
        if keys[path] and not found[path].fault and keys[path] == _key(look, path):
            fresh[keys[path]] = form.dump_json(found[path]).decode()

    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(decode, missing))
    finally:
        keep(fresh)
    return {path: found[path] for path in keys}


def _key(look: Callable[[Path], T], path: Path) -> str:
    state = state_of(path)
    told = [look.__name__, str(path.absolute()), state, reader_code(look.__module__)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32] if state else ""


def _look_at_mask(path: Path) -> MaskFacts:
    try:
        with naming(path):
            mask = decode_mask(path)
            tones = levels_in(mask.tones)
            numbers = tones if mask.numbers is mask.tones else levels_in(mask.numbers)
            height, width = mask.tones.shape
    except UserError as error:
        return MaskFacts(fault=str(error))
    return MaskFacts((height, width), mask.turn, tones, numbers, mask.lossy, mask.bilevel, mask.clashes)


def levels_in(values: np.ndarray) -> Levels:
    """The levels of an array and how many pixels have each, in the order of the levels; of many the most frequent."""
    if values.size and values.dtype.kind in "iu" and values.min() >= 0 and (size := int(values.max()) + 1) <= FEW:
        flat, counts = values.ravel(order="K"), np.zeros(size, np.int64)
        for start in range(0, flat.size, PART):  # numpy takes 8 bytes for each that it counts
            counts += np.bincount(flat[start : start + PART], minlength=size)
        levels = np.flatnonzero(counts)
        counts = counts[levels]
    else:
        levels, counts = np.unique(values, return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[:MOST])
    return tuple(zip(levels[most].tolist(), counts[most].tolist(), strict=True))


def _look_at_image(path: Path) -> ImageFacts:
    try:
        with opened(path) as picture:
            one_page(picture, path)
            deep = "gray" if picture.mode[0] in DEEP else "color" if ";16" in stored_as(picture) else ""
            known = ImageFacts((picture.height, picture.width), turn_of(picture), deep)
            if not deep and not picture.has_transparency_data:
                return known
            picture.load()
        with naming(path):
            return _decoded_facts(picture, known)
    except UserError as error:
        return ImageFacts(fault=str(error))


def _decoded_facts(picture: Image.Image, known: ImageFacts) -> ImageFacts:
    """What only the pixels of an image tell. Raises ValueError for values that are no finite numbers."""
    if not known.deep:
        return replace(known, holes=bool((np.asarray(picture.convert("RGBA"))[..., 3] < 255).any()))
    values = np.asarray(picture if known.deep == "gray" else picture.convert("RGB"))
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite numbers")
    return replace(known, low=float(values.min()), high=float(values.max()), fraction=values.dtype.kind == "f")
