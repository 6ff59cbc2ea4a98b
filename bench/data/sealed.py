"""Files that this program reads again carry a digest of what is in them: damage shows before it becomes a score.

A file is sealed by a last line that names its owner, which readers of zip files, as torch's, pass over. So it cannot
lack its digest, whenever its writer is killed. A folder of arrays has its digest in a small file beside them.
"""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from numpy.lib.format import open_memmap

from bench.files import content_of

ARRAYS = ("images.npy", "masks.npy")  # of prepared images
LONGEST = 1024  # bytes of the last line
SEAL = re.compile(rb"\n([^\n]+) sha256 ([0-9a-f]{64})\n\Z")
BESIDE = "digest"


def digest_of_file(path: Path, length: int | None = None) -> str:
    """64 hexadecimal digits of the hash of a file's content, or of its first bytes; of no more than it says it has."""
    digest = hashlib.sha256()
    length = path.stat().st_size if length is None else length
    with path.open("rb") as file:
        while length > 0 and (part := file.read(min(length, 1 << 20))):
            digest.update(part)
            length -= len(part)
    return digest.hexdigest()


def seal(path: Path, owner: str) -> None:
    """Add the last line to a file that was just written; `owner` says what it is of, in one line."""
    digest = _owned(digest_of_file(path), owner)
    with path.open("ab") as file:
        file.write(f"\n{owner} sha256 {digest}\n".encode())


def fault_of(path: Path, owner: str) -> str:
    """What is wrong with a sealed file, in words; empty where it is as it was written for this owner."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - LONGEST))
            found = SEAL.search(file.read(min(size, LONGEST)))
        if not found:
            return f"it is cut off, damaged or of an earlier version: its {size} bytes do not end with their digest"
        named = found[1].decode(errors="replace")
        if _owned(digest_of_file(path, size - len(found[0])), named) != found[2].decode():
            return "it is damaged, or was edited: its content is not that of its digest"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if named == owner else f"it is of {named}, not of {owner}"


def _owned(digest: str, owner: str) -> str:
    return hashlib.sha256(f"{digest} {owner}".encode()).hexdigest()


def seal_folder(folder: Path, name: str) -> None:
    """Write down the digest of the arrays in a folder that is to be called `name`."""
    (folder / BESIDE).write_text(_of_folder(folder, name))


def is_whole(folder: Path) -> bool:
    """Whether a sealed folder is as it was written, under its own name."""
    beside = folder / BESIDE
    with suppress(Exception):  # a damaged header may make numpy raise anything
        written = content_of(beside, LONGEST).decode()
        return all(_is_array(folder / name) for name in ARRAYS) and written == _of_folder(folder, folder.name)
    return False


def _is_array(path: Path) -> bool:
    """Whether a file is as long as its array: no other is read, for it may have no end."""
    if not path.is_file():
        return False
    values = open_memmap(path, mode="r")
    return path.stat().st_size == values.offset + values.nbytes


def is_sealed(folder: Path) -> bool:
    """Whether a folder has a digest, right or wrong; those of earlier versions have none."""
    return os.path.lexists(folder / BESIDE)  # also a link to what is not there


def _of_folder(folder: Path, name: str) -> str:
    return _owned(" ".join(f"{file} {digest_of_file(folder / file)}" for file in ARRAYS), name)
