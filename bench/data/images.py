"""Reads image and mask files into uint8 arrays, and says which file is broken when one is.

numpy and Pillow are imported inside the functions: opening a data set lists its files without decoding any, and the
commands that only list or plan must not wait for them.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


def files_in(folder: Path, suffixes: Iterable[str]) -> dict[str, list[Path]]:
    """The files of a folder by id (the name without its ending), in the order of their ids; usually one an id.

    `suffixes` are lower case with the dot (".jpg"); `.JPG` counts as `.jpg`. Hidden files are left out, among them the
    `._*` files that macOS puts into archives: they carry an image's name and ending but hold no image.
    """
    wanted = {suffix.lower() for suffix in suffixes}
    found: dict[str, list[Path]] = {}
    # The order of a folder differs between file systems, hence the sort.
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a Path for each of thousands of names is slow
        if suffix.lower() in wanted:
            found.setdefault(stem, []).append(folder / name)
    return found


def images_in(folder: Path, suffixes: Iterable[str], problems: list[str]) -> dict[str, Path]:
    """As `files_in`, one file an id: where there are two, both are left out, and a line in `problems` names them."""
    found = files_in(folder, suffixes)
    problems.extend(two_files(name, paths) for name, paths in found.items() if len(paths) > 1)
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


def two_files(name: str, paths: list[Path]) -> str:
    """The sentence for two files with one id."""
    return (
        f"two files with the id '{name}' in {paths[0].parent}: {' and '.join(path.name for path in paths)}; "
        "an id names one image, so remove or rename all but one"
    )


def same_bytes(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of two or more files whose contents are the same byte for byte, each in the order given.

    Only files of equal size are read, so that looking through a whole data set costs little more than a listing.
    """
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        by_size[path.stat().st_size].append(path)
    by_content: dict[bytes, list[Path]] = defaultdict(list)
    for alike in by_size.values():
        for path in alike if len(alike) > 1 else ():
            by_content[hashlib.sha256(path.read_bytes()).digest()].append(path)
    return [group for group in by_content.values() if len(group) > 1]


def read_rgb(path: Path) -> "np.ndarray":
    """An image as uint8 (height, width, 3), values 0 to 255.

    Grey is repeated in three channels, a palette is looked up, alpha is dropped, 16 bits are scaled to 8. An EXIF
    rotation is not applied: masks are drawn on the stored pixels. Raises UserError naming the file when it is missing
    or unreadable.
    """
    import numpy as np

    picture = load(path)
    if _is_deep(picture):
        return np.repeat(_to_8_bits(picture, path)[:, :, None], 3, axis=2)
    return np.array(picture.convert("RGB"))


def read_grey(path: Path) -> "np.ndarray":
    """An image as uint8 (height, width), values 0 to 255; colour becomes luma (ITU-R 601). Raises as `read_rgb`."""
    import numpy as np

    picture = load(path)
    return _to_8_bits(picture, path) if _is_deep(picture) else np.array(picture.convert("L"))


def read_mask(path: Path, threshold: int = 127) -> "np.ndarray":
    """A binary mask as uint8 (height, width): 1 where the brightest channel lies above `threshold`, 0 elsewhere.

    Masks in the wild say "foreground" in several ways, and a plain threshold on luma turns some of them into an empty
    mask without a word. So the colours of a palette are looked up and their brightest channel counts (the usual dark
    red of class 1 has a luma of 38); a lossless file with no value above 1 holds 0 and 1; a 16-bit file with no value
    above 255 holds 8-bit values. Raises UserError naming the file when it is missing or unreadable.
    """
    import numpy as np

    picture = load(path)
    if _is_deep(picture):
        values = np.asarray(picture)
        values = values if values.max(initial=0) <= 255 else _to_8_bits(picture, path)
    elif picture.mode in ("1", "L"):
        values = np.asarray(picture.convert("L"))
    else:
        values = np.asarray(picture.convert("RGB")).max(axis=2)
    holds_classes = picture.format != "JPEG" and values.max(initial=0) == 1
    return (values > (0 if holds_classes else threshold)).astype(np.uint8)


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) from the file's header, without decoding the pixels. Raises as `read_rgb` does."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except _decoding_errors() as error:
        raise _unreadable(path, error) from error


def read_mask_for(image: Path, mask: Path, threshold: int = 127) -> "np.ndarray":
    """`read_mask(mask)`, after making sure that it covers the image. Raises as `check_covers` does."""
    values = read_mask(mask, threshold)
    check_covers(image, mask, values)
    return values


def check_covers(image: Path, mask: Path, values: "np.ndarray") -> None:
    """Make sure that a mask's values (height, width) cover the image.

    Raises UserError naming both files and both sizes when they differ: resizing one to fit would hide a wrong pairing.
    """
    height, width = size_of(image)
    if values.shape != (height, width):
        raise UserError(
            f"image and mask differ in size: {image} is {height}x{width}, "
            f"{mask} is {values.shape[0]}x{values.shape[1]} (height x width); "
            "a mask must cover its image pixel for pixel, so get the matching pair or resize both alike"
        )


def load(path: Path) -> "Image.Image":
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except _decoding_errors() as error:
        raise _unreadable(path, error) from error


def _decoding_errors() -> tuple[type[Exception], ...]:
    """What Pillow is known to raise for files that are missing, cut off, of another kind, or absurdly large."""
    from PIL import Image

    return OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError


def _unreadable(path: Path, error: Exception) -> UserError:
    if not path.exists():
        return UserError(f"no such image file: {path}; check --data-root, or get the file again")
    return UserError(
        f"cannot read the image {path} ({path.stat().st_size} bytes): {error}; "
        "the file is broken or cut off, so get it again, or take the image and its mask out of the data set"
    )


def _is_deep(picture: "Image.Image") -> bool:
    """Whether the pixels have more than 8 bits. Pillow's own conversion to 8 bits would clip them, not scale them."""
    return picture.mode.startswith("I") or picture.mode == "F"


def _to_8_bits(picture: "Image.Image", path: Path) -> "np.ndarray":
    """uint8 (height, width) from a 16-bit grey picture: 0 stays 0, 65535 becomes 255."""
    import numpy as np

    values = np.asarray(picture)
    if picture.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise UserError(
            f"cannot tell the grey scale of {path}: its values run from {values.min()} to {values.max()} "
            f"(Pillow mode {picture.mode}); 8 and 16 bits a channel are read, so convert the file to one of them"
        )
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
