"""Images and labels in arrays of `.npz` files, each array decoded once for all its images."""

import zipfile
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from bench.data.files import reading, state_of
from bench.data.images import gray_rgb
from bench.errors import UserError

LOCKS: dict[tuple[Path, str], Lock] = defaultdict(Lock)  # as for volumes: threads wait for one decoding


def read_npz(path: Path, key: str) -> np.ndarray:
    """An array of a file. Raises UserError naming the file when it is broken or lacks the array."""
    with reading("file of arrays", path, zipfile.BadZipFile), np.load(path, allow_pickle=False) as file:
        if key not in file.files:
            raise UserError(f"{path} has no array '{key}', it holds {', '.join(file.files)}; get the file again")
        return np.asarray(file[key])


def image_at(path: Path, key: str, at: int) -> np.ndarray:
    """One of an array of images, uint8 (height, width, 3). Raises UserError for values that are no bytes."""
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
    with LOCKS[path, key]:
        values = _array(path, key, state_of(path))[at]
    values = values.reshape(values.shape[:2])
    if classes > 1 and values.max(initial=0) > classes:
        raise UserError(f"'{key}' of {path} holds the label {values.max()}, and {classes} classes are named; name all")
    return values.astype(np.uint8) if classes > 1 else (values != 0).astype(np.uint8)


def levels_in_array(path: Path, key: str) -> list[int]:
    """The values that an array of labels holds, in order."""
    with LOCKS[path, key]:
        return [int(level) for level in np.unique(_array(path, key, state_of(path)))]


# Images and labels of one side, and the side before: an array of 512 pixels may take some GB.
@lru_cache(maxsize=4)
def _array(path: Path, key: str, state: tuple[int, ...]) -> np.ndarray:
    return read_npz(path, key)
