"""The predictions of each test image, stored next to the record that scores them. Used only to draw example images.

One compressed file per record holds label maps at the network's size. Its name holds a digest of what is in it, and the
record has that digest, so a record never stands beside other predictions than its own. The images themselves stay in
the cache of the folder of records. A report made without this cache has no example images and says so.
"""

import hashlib
import re
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench.data import DATASETS, open_dataset
from bench.data.arrays import read_npz
from bench.data.files import reading
from bench.data.limits import in_bytes, refuse_no_file
from bench.data.sealed import ARRAYS, is_sealed, is_whole
from bench.errors import UserError, first_line
from bench.files import write_whole
from bench.run.store import Record

LARGEST = 1 << 30  # bytes of all arrays: the label maps of 4,000 images of 512 x 512 pixels
DIGEST = re.compile("[0-9a-f]{12}")
CHOSEN = "chosen:"  # prefix of the arrays of chosen regions in the file
# Digests of drawn images in records of the first format, and those of the same images now.
SAME_IMAGES = {"e6f41c35e5c5": "d18319c80903"}


@dataclass(frozen=True)
class Predictions:
    """Label maps uint8 (n, H, W) in the order of `ids`.

    `chosen` maps each module that attends to selected regions to an array uint8 or uint16 (n, S*S, k): for each of the
    S x S regions, in row-major order, the indices of the k regions it attends to. `cache` is the folder of the decoded
    images, relative to the folder of records.
    """

    ids: tuple[str, ...]
    masks: np.ndarray
    chosen: dict[str, np.ndarray]
    cache: str = ""

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that change with the label maps, the images they are of, or the chosen regions."""
        whole = hashlib.sha256("\n".join(self.ids).encode())
        for name, array in (("masks", self.masks), *sorted(self.chosen.items())):
            whole.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
            whole.update(np.ascontiguousarray(array).data)
        return whole.hexdigest()[:12]

    def keep(self, folder: Path, key: str) -> str:
        """Write the predictions beside the record that a job with this key is to have; returns what it finds them by.

        That is their digest, which belongs into the record's `Scores`.
        """
        self.save(path_of(folder, key, self.digest))
        return self.digest

    def save(self, path: Path) -> Path:
        """Write the predictions to a file atomically."""
        arrays: dict[str, Any] = {f"{CHOSEN}{name}": found for name, found in self.chosen.items()}
        facts = {"ids": np.array(self.ids), "cache": np.array(self.cache), "masks": self.masks}

        def write(aside: Path) -> None:
            with aside.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **facts, **arrays)

        return write_whole(path, write)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the predictions from a file. Raises UserError, which names the file, if it is not a predictions file."""
        try:
            names = _names_in(path)
            found = {name: read_npz(path, name) for name in dict.fromkeys(["ids", "masks", "cache", *names])}
            chosen = {name.removeprefix(CHOSEN): found[name] for name in names if name.startswith(CHOSEN)}
            read = cls(tuple(map(str, found["ids"])), found["masks"], chosen, str(found["cache"]))
        except Exception as error:  # noqa: BLE001 - a damaged file may make numpy raise anything
            raise UserError(f"{path}: cannot be read as predictions ({first_line(error)}); it is left alone") from None
        if read.masks.dtype != np.uint8 or read.masks.ndim != 3 or len(read.masks) != len(read.ids):
            held = f"{len(read.ids)} images and masks {read.masks.dtype} {read.masks.shape}"
            raise UserError(f"{path}: cannot be read as predictions (it holds {held}); it is left alone")
        return read

    @cached_property
    def places(self) -> dict[str, int]:
        """The index of each image by its id."""
        return {name: place for place, name in enumerate(self.ids)}


def _names_in(path: Path) -> list[str]:
    """The names of the arrays in a file. Raises UserError for what is no file, and ValueError for far too much."""
    refuse_no_file("file of predictions", path)
    with zipfile.ZipFile(path) as archive:
        declared = sum(part.file_size for part in archive.infolist())  # no more is read of each
        if declared > LARGEST:
            raise ValueError(f"it declares {in_bytes(declared)}, and at most {in_bytes(LARGEST)} are read")
        return [name.removesuffix(".npy") for name in archive.namelist()]


def path_of(folder: Path, key: str, digest: str = "") -> Path:
    """The path of the predictions with this digest of a job; without it, as they were named before."""
    return folder / f"{key}{digest and '.'}{digest}.predictions.npz"


def find(record: Record, folders: Sequence[Path]) -> tuple[Predictions, Path] | None:
    """A record's predictions and the folder they were found in; None if none of the folders has them.

    Raises UserError, which names the file, if it is damaged or was replaced.
    """
    digest = getattr(record.result, "predictions", "")
    if digest and not DIGEST.fullmatch(digest):  # such a name would lead elsewhere
        return None
    for folder in folders:
        if (path := path_of(folder, record.id, digest)).exists():
            found = Predictions.load(path)
            if digest and found.digest != digest:
                raise UserError(f"{path}: these are not the predictions of its record; it is left alone")
            return found, folder
    return None


def images(
    predictions: Predictions, ids: Sequence[str], folder: Path, dataset: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """The images uint8 (n, 3, H, W) and true label maps (n, H, W) of n ids; None if they are not available.

    They are read from the folder's cache, unless it is damaged, or generated again if the data set is synthetic.
    """
    cached = folder / predictions.cache
    with suppress(UserError), reading("image", cached / ARRAYS[0]), reading("mask", cached / ARRAYS[1]):
        is_inside = cached.resolve().is_relative_to((folder / "cache").resolve())  # the file may say anything
        if predictions.cache and is_inside and (is_whole(cached) or not is_sealed(cached)):
            places = [predictions.places[name] for name in ids]
            pixels, truths = (np.load(cached / name, mmap_mode="r")[places] for name in ARRAYS)
            return pixels, truths
    is_drawn = dataset in DATASETS and not DATASETS[dataset].needs_root
    return _drawn(predictions, ids, dataset) if is_drawn else None


def _drawn(predictions: Predictions, ids: Sequence[str], dataset: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The images of a synthetic data set; None if it now generates different ones."""
    data = open_dataset(dataset, None)
    samples = {s.id: s for s in data.splits["test"]}
    named = predictions.cache.partition(f"{data.name}-")[2].partition("/")[0]
    if SAME_IMAGES.get(named, named) != data.digest or not set(predictions.ids) <= set(samples):
        return None
    images, masks = zip(*(samples[name].resized(predictions.masks.shape[-1]) for name in ids), strict=True)
    return np.stack(images), np.stack(masks)
