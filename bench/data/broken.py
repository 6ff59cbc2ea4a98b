"""Image files that cannot be read: what is wrong with each, what stands in its place, and what to do."""

import re
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from bench.data.files import BROKEN, first_few
from bench.errors import UserError

# What Pillow raises for files that are broken, beside what Python's own readers do.
FOREIGN: tuple[type[Exception], ...] = (
    *BROKEN, Image.DecompressionBombError, struct.error, ArithmeticError, AttributeError, IndexError, MemoryError,
    TypeError,
)  # fmt: skip
# Where the content is, by what stands in its place: the first bytes of a file, or a part of the target of a link.
POINTERS = {b"version https://git-lfs": ("Git LFS", "git lfs pull"), b"/annex/objects/": ("git-annex", "datalad get")}
LINKS = {"annex/objects": "datalad get, or git annex get", "dvc": "dvc pull"}
AGAIN = "the file is broken or cut off, so get it again, or take it out"

# Large images are honest until they are twice as large as Pillow finds usual; then it refuses them itself.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file whose pixels are not decoded yet. Raises UserError naming the file, what is wrong, what to do."""
    with naming(path), Image.open(path) as picture:
        yield picture


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what Pillow raises for a missing, broken or foreign image file into a UserError that names it."""
    try:
        yield
    except FOREIGN as error:
        try:
            told = _unfetched(path) or _unreadable(path, error)
        except OSError as fault:
            told = f"cannot read the image {path}: {fault.strerror}; make it readable, or take it out"
        raise UserError(told) from error


def _unfetched(path: Path) -> str:
    """The sentence on a path without a content; empty where there is one."""
    if path.is_symlink() and not path.exists():
        target = str(path.readlink())
        tool = next((how for sign, how in LINKS.items() if sign in target), "")
        advice = f"get its content with {tool}" if tool else "mend the link, or take it out"
        return f"the image {path} is a link to {target}, which is not there; {advice}"
    if not path.exists():
        return f"no such image: {path}; check --data-root, or get the file again"
    return f"{path} is a folder with the name of an image; rename it, or move it out" if path.is_dir() else ""


def _unreadable(path: Path, error: Exception) -> str:
    """The sentence on a file that is there and holds no image, or too large a one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
    for sign, (tool, how) in POINTERS.items():
        if head.startswith(sign):
            return f"{path} is a {tool} pointer, not the image itself; get its content with {how}"
    if isinstance(error, Image.DecompressionBombError | MemoryError):
        pixels = next(iter(re.findall(r"(\d+) pixels", str(error))), "too many")
        limit, advice = 2 * (Image.MAX_IMAGE_PIXELS or 0), "scale image and mask down, or cut both into tiles"
        return f"the image {path} ({size} bytes) has {pixels} pixels, and at most {limit} are read; {advice}"
    reason = " ".join(str(error).split()) if size else "the file is empty"
    return f"cannot read the image {path} ({size} bytes): {reason or type(error).__name__}; {AGAIN}"


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
