"""What a network predicted for each test image, beside the record that scores it: for pictures, not for figures.

One compressed file a record, label maps at the network's size. The images themselves stay where they were decoded, in
the cache of the folder; a report that is made elsewhere does without pictures and says so.
"""

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

CHOSEN = "chosen:"  # how the arrays of chosen regions are named in the file


@dataclass(frozen=True)
class Predictions:
    """Label maps uint8 (n, H, W) in the order of `ids`.

    `chosen` is, for each module that attends to chosen regions only, which: uint8 or uint16 (n, S*S, k), for each of
    S x S regions the numbers of those it attends to, row by row. `cache` is the folder of the decoded images, relative
    to that of the records.
    """

    ids: tuple[str, ...]
    masks: np.ndarray
    chosen: dict[str, np.ndarray]
    cache: str = ""

    def save(self, path: Path) -> Path:
        """Write them whole."""
        arrays: dict[str, Any] = {f"{CHOSEN}{name}": found for name, found in self.chosen.items()}
        facts = {"ids": np.array(self.ids), "cache": np.array(self.cache), "masks": self.masks}

        def write(aside: Path) -> None:
            with aside.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **facts, **arrays)

        return write_whole(path, write)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read them; UserError naming the file where it holds something else."""
        try:
            with np.load(path, allow_pickle=False) as found:
                chosen = {name.removeprefix(CHOSEN): found[name] for name in found.files if name.startswith(CHOSEN)}
                return cls(tuple(map(str, found["ids"])), found["masks"], chosen, str(found["cache"]))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise UserError(f"{path}: cannot be read as predictions ({error}); it is left alone") from None

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each image is."""
        return {name: place for place, name in enumerate(self.ids)}


def path_of(folder: Path, key: str) -> Path:
    """Where the predictions beside a job's record lie, or would."""
    return folder / f"{key}.predictions.npz"


def find(record: Record, folders: Sequence[Path]) -> tuple[Predictions, Path] | None:
    """A record's predictions and the folder they lie in; None where none of the folders has them."""
    for folder in folders:
        if (path := path_of(folder, record.id)).exists():
            return Predictions.load(path), folder
    return None


def images(
    predictions: Predictions, ids: Sequence[str], folder: Path, dataset: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """uint8 images (n, 3, H, W) and true label maps (n, H, W) of n of the ids; None where they are not here.

    From the folder's cache, else drawn anew where the data set is drawn.
    """
    cached = folder / predictions.cache
    if predictions.cache and (cached / "images.npy").exists():
        places = [predictions.places[name] for name in ids]
        pixels, truths = (np.load(cached / f"{kind}.npy", mmap_mode="r")[places] for kind in ("images", "masks"))
        return pixels, truths
    return None if DATASETS[dataset].needs_root else _drawn(predictions, ids, dataset)


def _drawn(predictions: Predictions, ids: Sequence[str], dataset: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The images of a data set that needs no files; None where it draws others now."""
    samples = {s.id: s for s in open_dataset(dataset, None).splits["test"]}
    if not set(predictions.ids) <= set(samples):
        return None
    images, masks = zip(*(samples[name].resized(predictions.masks.shape[-1]) for name in ids), strict=True)
    return np.stack(images), np.stack(masks)
