"""Reads arrays out of HDF5 files, from the file itself and no other, and says which file is broken when one is."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


def read_array(path: Path, key: str) -> "np.ndarray":
    """The array called `key`. Raises UserError naming the file when it is broken or lacks it."""
    return _with(path, key, lambda stored: stored[()])


def shape_of(path: Path, key: str) -> tuple[int, ...]:
    """The shape of the array called `key`, which is not decoded. Raises as `read_array` does."""
    return _with(path, key, lambda stored: tuple(stored.shape))


def _with(path: Path, key: str, look: Callable[[Any], T]) -> T:
    import h5py  # type: ignore[import-untyped]

    try:
        with h5py.File(path, "r") as file:
            # HDF5 can point at other files; what was downloaded must not make us read those.
            here = isinstance(file.get(key, getlink=True), h5py.HardLink) and isinstance(file[key], h5py.Dataset)
            if not here:
                raise UserError(
                    f"{path} has no array '{key}' of its own, it holds {', '.join(file) or 'nothing'}; "
                    "get the file again"
                )
            if file[key].external or file[key].is_virtual:
                raise UserError(f"{path} keeps its array '{key}' in other files; get one that holds it itself")
            return look(file[key])
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"cannot read {path}: {reason}; the file is broken or cut off, so get it again, or take it out"
        ) from error
