"""Images and labels in arrays of `.npz` files, each array decoded once for all its images."""

import zipfile
from collections import defaultdict
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.lib import format as npy

from bench.data.files import first_few, reading, state_of
from bench.data.images import gray_rgb
from bench.data.limits import refuse_large
from bench.data.recent import recent
from bench.errors import UserError

WHAT = "file of arrays"
LOCKS: dict[tuple[Path, str], Lock] = defaultdict(Lock)  # as for volumes: threads wait for one decoding


def read_npz(path: Path, key: str) -> np.ndarray:
    """An array of a file. Raises UserError naming the file when it is broken, lacks the array or declares too much."""
    with reading(WHAT, path), zipfile.ZipFile(path) as archive:
        if f"{key}.npy" not in archive.namelist():
            held = first_few([name.removesuffix(".npy") for name in archive.namelist()], 8)
            raise UserError(f"{path} has no array '{key}', it holds {held}; get the file again")
        declared_shape(archive, f"{key}.npy", path)
        with archive.open(f"{key}.npy") as file:
            return npy.read_array(file, allow_pickle=False)


def declared_shape(archive: zipfile.ZipFile, name: str, path: Path) -> tuple[int, ...]:
    """The shape of an array in an archive, by its header. Raises UserError where it declares more than is read."""
    packed = archive.getinfo(name)
    if packed.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"'{name}' in {path} is packed as numpy packs nothing; save it again with numpy")
    with archive.open(name) as file:
        header = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = header(file)
    stored = min(packed.compress_size, path.stat().st_size)
    is_packed = packed.compress_type == zipfile.ZIP_DEFLATED
    refuse_large(WHAT, path, shape, max(kind.itemsize, 1), stored, is_packed)
    return tuple(shape)


def image_at(path: Path, key: str, at: int) -> np.ndarray:
    """One of an array of images, uint8 (height, width, 3). Raises UserError for values that are no bytes."""
    with reading(WHAT, path):
        with LOCKS[path, key]:
            values = _array(path, key, state_of(path))[at]
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[..., 0]
        if values.dtype != np.uint8 or values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,)):
            found = f"'{key}' of {path} holds {values.dtype} {values.shape}"
            raise UserError(f"{found}; expected uint8, gray or in three colors; get the file again")
        return gray_rgb(values) if values.ndim == 2 else values.copy()


def label_at(path: Path, key: str, at: int, classes: int) -> np.ndarray:
    """The class numbers of one of an array of labels, uint8 (height, width). Of one class, whatever is not 0 is it."""
    with reading(WHAT, path):
        with LOCKS[path, key]:
            values = _array(path, key, state_of(path))[at]
        values = values.reshape(values.shape[:2])
        if classes > 1 and not 0 <= values.min(initial=0) <= values.max(initial=0) <= classes:
            held = f"'{key}' of {path} holds the labels {values.min(initial=0)} to {values.max(initial=0)}"
            raise UserError(f"{held}, and {classes} classes are named; name all")
        return values.astype(np.uint8) if classes > 1 else (values != 0).astype(np.uint8)


def levels_in_array(path: Path, key: str) -> list[int]:
    """The values that an array of labels holds, in order."""
    with reading(WHAT, path), LOCKS[path, key]:
        return [int(level) for level in np.unique(_array(path, key, state_of(path)))]


# Images and labels of one side, and the side before: an array of 512 pixels may take some GB.
@recent(4)
def _array(path: Path, key: str, state: tuple[int, ...]) -> np.ndarray:
    return read_npz(path, key)
