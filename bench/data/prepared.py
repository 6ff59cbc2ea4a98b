"""Samples decoded and resized once, as tensors, the augmented stream a training reads from them, and its speed.

Images are resized with antialiased bilinear interpolation, masks with nearest neighbor, then stored as bytes, so that
epochs need no decoding. Images are normalized by ImageNet's mean and deviation, as is usual with and without
pre-training.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import PIL
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from bench.data.broken import in_turn
from bench.data.contents import pixels, reader_code
from bench.data.sample import DataSet, Sample, thin
from bench.data.sealed import ARRAYS, is_whole, seal_folder
from bench.errors import UserError
from bench.files import aside, temporary_folder

MEAN = [0.485, 0.456, 0.406]
DEVIATION = [0.229, 0.224, 0.225]
BATCH = 8  # of the batches whose speed is measured

Done = Callable[[int], None]  # called with how many samples are ready


@dataclass(frozen=True)
class Prepared:
    """`images` uint8 (n, 3, size, size), `masks` uint8 (n, size, size), in the order of `ids`."""

    ids: tuple[str, ...]
    images: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.ids)


def prepare(samples: Sequence[Sample], size: int, cache: Path, done: Done = lambda count: None) -> Prepared:
    """Read and resize the samples; `done` is called with how many are ready. UserError names a file that is unreadable.

    They are kept in the folder `cache` under a name made of their content, and mapped into memory when they are asked
    for again, by this or another process: then nothing is decoded. What was damaged there is decoded anew.
    """
    if not samples:
        raise UserError("there is no image to read on this side of the split; each side needs one")
    name = content(samples)
    folder = cache / f"{name}-{size}"
    if not is_whole(folder):
        _fill_cache(folder, name, samples, size, done)
    # Copy on write: torch wants memory that it could write to, and the file must stay as it is.
    arrays = (np.load(folder / file, mmap_mode="c") for file in ARRAYS)
    return Prepared(tuple(sample.id for sample in samples), *map(torch.from_numpy, arrays))


def content(samples: Sequence[Sample]) -> str:
    """16 hexadecimal digits that change when a sample does, as it is decoded, or the code that resizes it.

    The recipe of generated samples is not included, so give each data set and recipe its own cache folder. Raises
    UserError naming a file that cannot be decoded.
    """
    lines = [f"numpy {np.__version__}, Pillow {PIL.__version__}, code {reader_code(Sample.__module__)}"]
    lines += [f"{sample.id} {digest}" for sample, digest in zip(samples, pixels(samples), strict=True)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _fill_cache(folder: Path, name: str, samples: Sequence[Sample], size: int, done: Done) -> None:
    """Fill a new folder of the cache; the folder is created atomically, even if two processes fill it at once.

    Raises UserError where the content is no longer that of `name`.
    """
    with aside(folder) as part:
        part.mkdir()
        images = open_memmap(part / ARRAYS[0], "w+", np.uint8, (len(samples), 3, size, size))
        masks = open_memmap(part / ARRAYS[1], "w+", np.uint8, (len(samples), size, size))

        def read(index: int) -> None:
            with in_turn(*samples[index].files):
                images[index], masks[index] = samples[index].resized(size)

        # Threads are enough: decoding and resizing release Python's lock.
        with ThreadPoolExecutor() as pool:
            for count, _ in enumerate(pool.map(read, range(len(samples))), start=1):
                done(count)
        images.flush()
        masks.flush()
        if content(samples) != name:
            raise UserError("a file of the data set changed while it was read; start again")
        seal_folder(part, folder.name)
        with aside(folder) as damaged, suppress(OSError):  # what another process maps into memory stays there for it
            folder.rename(damaged)
        with suppress(OSError):  # another process was first, and its folder is as good
            part.rename(folder)


def normalized(images: Tensor) -> Tensor:
    """uint8 (..., 3, H, W) to float32 by ImageNet's mean and deviation."""
    return v2.functional.normalize(images.float() / 255, MEAN, DEVIATION)


# The eight ways to flip and turn a square, and a little brightness and contrast: costs next to nothing.
FLIPS = v2.Compose([
    v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(),
    v2.RandomChoice([v2.RandomRotation((turn, turn)) for turn in (0, 90)]),
    v2.ColorJitter(brightness=0.2, contrast=0.2),
])  # fmt: skip
# The same, and any small rotation and scale: for trainings long enough to see every image many times. Images are
# interpolated bilinearly, masks are always nearest.
AFFINE = v2.RandomAffine(degrees=20, scale=(0.85, 1.15), interpolation=InterpolationMode.BILINEAR)
AUGMENTATIONS = {"none": v2.Identity(), "flips": FLIPS, "affine": v2.Compose([FLIPS, AFFINE])}


class Stream(Dataset[tuple[Tensor, Tensor]]):
    """An endless, seeded sequence of augmented samples: draw `n` is the same whenever and wherever it is asked for.

    So a killed training can resume exactly. Each pass over the images is a new permutation.
    """

    def __init__(self, prepared: Prepared, seed: int, augmentation: str = "flips") -> None:
        self.prepared, self.seed = prepared, seed
        self.augment = AUGMENTATIONS[augmentation]

    def __getitem__(self, draw: int) -> tuple[Tensor, Tensor]:
        """Normalized image (3, size, size) and mask (size, size) of the sequence's `draw`-th sample."""
        epoch, place = divmod(draw, len(self.prepared))
        index = int(order(self.seed, epoch, len(self.prepared))[place])
        image, mask = tv_tensors.Image(self.prepared.images[index]), tv_tensors.Mask(self.prepared.masks[index])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed(self.seed, "draw", draw))  # transforms draw from torch's global generator
            image, mask = self.augment(image, mask)
        return normalized(image.as_subclass(Tensor)), mask.as_subclass(Tensor)


@lru_cache(maxsize=8)
def order(seed: int, epoch: int, count: int) -> Tensor:
    """The permutation of `count` images in one epoch of a stream."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(_seed(seed, "order", epoch)))


def _seed(*facts: object) -> int:
    """One generator seed from several facts, the same in every process."""
    return int.from_bytes(hashlib.sha256(repr(facts).encode()).digest()[:7])


@dataclass(frozen=True)
class Rates:
    """Samples a second, by `workers` processes: reading files and filling the cache; then augmented, from the cache."""

    samples: int
    workers: int
    cold_per_s: float
    cached_per_s: float


def rates(data: DataSet, size: int, limit: int = 400, augmentation: str = "affine") -> Rates:
    """Time one pass over up to `limit` training samples of `size` pixels a side, decoded, then from the cache."""
    samples = thin(data.splits["train"], limit)
    workers = os.cpu_count() or 1
    content(samples)  # not to be timed: it decodes them where it was never asked for
    with temporary_folder() as folder:
        start = time.perf_counter()
        stream = Stream(prepare(samples, size, folder), 0, augmentation)
        cold_s = time.perf_counter() - start
        # An epoch is timed from its first batch, because workers start once per training, not once per epoch.
        draws = range(len(samples) + workers * 2 * BATCH)
        batches = iter(DataLoader(stream, BATCH, sampler=draws, num_workers=workers, generator=torch.Generator()))
        next(batches)
        start = time.perf_counter()
        seen = sum(len(masks) for _, masks in batches)
        cached_s = time.perf_counter() - start
    return Rates(len(samples), workers, len(samples) / cold_s, seen / cached_s)
