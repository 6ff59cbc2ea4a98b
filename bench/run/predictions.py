"""The predictions of each test image, stored next to the record that scores them. Used only to draw example images.

One compressed file per record holds label maps at the network's size. Its name holds a digest of what is in it, and the
record has that digest, so a record never stands beside other predictions than its own. The images themselves stay in
the cache of the folder of records. A report made without this cache has no example images and says so.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench.data import DATASETS, open_dataset
from bench.errors import UserError
from bench.files import write_whole
from bench.run.store import Record

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
            with np.load(path, allow_pickle=False) as found:
                chosen = {name.removeprefix(CHOSEN): found[name] for name in found.files if name.startswith(CHOSEN)}
                return cls(tuple(map(str, found["ids"])), found["masks"], chosen, str(found["cache"]))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise UserError(f"{path}: cannot be read as predictions ({error}); it is left alone") from None

    @cached_property
    def places(self) -> dict[str, int]:
        """The index of each image by its id."""
        return {name: place for place, name in enumerate(self.ids)}


def path_of(folder: Path, key: str, digest: str = "") -> Path:
    """The path of the predictions with this digest of a job; without it, as they were named before."""
    return folder / f"{key}{digest and '.'}{digest}.predictions.npz"


def find(record: Record, folders: Sequence[Path]) -> tuple[Predictions, Path] | None:
    """A record's predictions and the folder they were found in; None if none of the folders has them."""
    digest = getattr(record.result, "predictions", "")
    if digest and not DIGEST.fullmatch(digest):  # such a name would lead elsewhere
        return None
    for folder in folders:
        if (path := path_of(folder, record.id, digest)).exists():
            return Predictions.load(path), folder
    return None


def images(
    predictions: Predictions, ids: Sequence[str], folder: Path, dataset: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """The images uint8 (n, 3, H, W) and true label maps (n, H, W) of n ids; None if they are not available.

    They are read from the folder's cache, or generated again if the data set is synthetic.
    """
    cached = folder / predictions.cache
    if predictions.cache and cached.resolve().is_relative_to(folder.resolve()) and (cached / "images.npy").is_file():
        places = [predictions.places[name] for name in ids]
        pixels, truths = (np.load(cached / f"{kind}.npy", mmap_mode="r")[places] for kind in ("images", "masks"))
        return pixels, truths
    return None if dataset not in DATASETS or DATASETS[dataset].needs_root else _drawn(predictions, ids, dataset)


def _drawn(predictions: Predictions, ids: Sequence[str], dataset: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The images of a synthetic data set; None if it now generates different ones."""
    data = open_dataset(dataset, None)
    samples = {s.id: s for s in data.splits["test"]}
    named = predictions.cache.partition(f"{data.name}-")[2].partition("/")[0]
    if SAME_IMAGES.get(named, named) != data.digest or not set(predictions.ids) <= set(samples):
        return None
    images, masks = zip(*(samples[name].resized(predictions.masks.shape[-1]) for name in ids), strict=True)
    return np.stack(images), np.stack(masks)
