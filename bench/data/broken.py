"""Image files that cannot be read: what is wrong with each, what stands in its place, and what to do."""

import io
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from threading import RLock

from PIL import Image, UnidentifiedImageError

from bench.data.files import COMMON_KINDS, first_few, reading
from bench.data.limits import (
    BYTES_A_PART,
    COMMENTS,
    MOST_IN_FEW,
    PARTS,
    PICTURE,
    PIXELS_A_BYTE,
    TEXT,
    refuse_no_file,
)
from bench.errors import UserError

# Formats that hold pixels and no more: for others, Pillow may run a program that draws them.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM", "JPEG2000")
PLAIN = "ppm_plain"  # Pillow's name for pixels that are written as text
PARTED = "it has more comments, pages or other parts than a picture has"

PICTURES = (*COMMON_KINDS, ".gif", ".webp", ".ppm", ".pgm", ".pbm")
LARGE = 30_000_000  # pixels, above which pictures are decoded one at a time
_TURN = RLock()

# Large images are honest until they are twice as large as Pillow finds usual; then it refuses them itself.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.")  # on each odd tag; what cannot be read is an error


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file whose pixels are not decoded yet. Raises UserError naming the file, what is wrong, what to do."""
    with naming(path), _Bounded(path) as file, Image.open(file, formats=_formats()) as picture:
        _refuse_bomb(picture, path)
        if any(tile[0] == PLAIN for tile in picture.tile):
            _refuse_comments(path)
        yield picture


class _Bounded(io.BufferedReader):
    """A file of which no more small parts are read than a picture has.

    Pillow reads what lies before and between the pixels piece by piece, so that a comment, or a million of empty ones,
    can keep it for minutes. Pixels are read in large parts.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.left = PARTS + path.stat().st_size // BYTES_A_PART

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise ValueError(PARTED)
        return super().read(size)


def has_pages(picture: Image.Image) -> bool:
    """Whether a picture that is open has more than one page; they are not counted, for there may be very many."""
    return bool(getattr(picture, "is_animated", False))


@contextmanager
def in_turn(*paths: Path) -> Iterator[None]:
    """Where one of some files is a large picture, wait until no other thread decodes one: each takes GB of memory."""
    with _TURN if any(map(_is_large, paths)) else nullcontext():
        yield


def _is_large(path: Path) -> bool:
    if not path.name.lower().endswith(PICTURES):
        return False
    with suppress(UserError), opened(path) as picture:
        return picture.width * picture.height > LARGE
    return False


@cache
def _formats() -> list[str]:
    """Those that this Pillow was built with."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _refuse_bomb(picture: Image.Image, path: Path) -> None:
    """Raise UserError for far more pixels than the file has bytes; Pillow itself refuses what is larger still."""
    size, pixels = path.stat().st_size, picture.width * picture.height
    if pixels > MOST_IN_FEW and pixels > PIXELS_A_BYTE * size:
        told = f"the image {path} declares {picture.width} x {picture.height} pixels"
        raise UserError(f"{told}, and its {size} bytes can hardly hold so many; get it again, or take it out")


def _refuse_comments(path: Path) -> None:
    """Raise UserError for pixels written as text that are too many, ValueError for too many comments between them.

    Pillow copies a mebibyte for each comment.
    """
    refuse_no_file("image in plain text", path, TEXT)
    if path.read_bytes().count(b"#") > COMMENTS:
        raise ValueError(PARTED)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """The edge of a reader of images, as `reading` is, which knows Pillow's limit of pixels too."""
    with reading("image", path, PICTURE):
        try:
            yield
        except UnidentifiedImageError:
            raise ValueError("cannot identify image file") from None  # it would name what it was read with
        except Image.DecompressionBombError as error:
            pixels = next(iter(re.findall(r"(\d+) pixels", str(error))), "too many")
            limit, advice = 2 * (Image.MAX_IMAGE_PIXELS or 0), "scale image and mask down, or cut both into tiles"
            told = f"has {pixels} pixels, and at most {limit} are read"
            raise UserError(f"the image {path} ({path.stat().st_size} bytes) {told}; {advice}") from error


def grouped(faults: Iterable[tuple[Sequence[str], str]]) -> list[str]:
    """The sentences on files, where many files with one fault have one sentence, which names the first of them.

    Each comes with what names its file in it; the first of these is shown. Numbers do not make another fault.
    """
    alike: dict[str, list[tuple[str, str]]] = defaultdict(list)
    told = set[str]()
    for names, fault in faults:
        if fault in told:
            continue
        told.add(fault)
        text = fault
        for name in sorted(names, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "*", text)
        text = re.sub(r"(?<= is a link to )\S+(?=,)|\d+", "#", text)
        alike[text if names else fault].append((names[0] if names else "", fault))
    lines = []
    for (_, fault), *more in alike.values():
        named = ["/".join(Path(name).parts[-2:]) for name, _ in more]
        lines.append(fault + (f"; the same in {len(more)} more: {first_few(named)}" if more and named[0] else ""))
    return lines
