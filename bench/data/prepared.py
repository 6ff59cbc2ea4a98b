"""Samples decoded and resized once, as tensors, and the augmented stream a training reads from them.

Images are resized with antialiased bilinear interpolation, masks with nearest neighbour, then kept as bytes: an epoch
costs no decoding. Networks see them normalised by ImageNet's mean and deviation, as the literature does with and
without pre-training.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from bench.data.sample import Sample

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Prepared:
    """`images` uint8 (n, 3, size, size), `masks` uint8 (n, size, size), in the order of `ids`."""

    ids: tuple[str, ...]
    images: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.ids)


def prepare(
    samples: Sequence[Sample], size: int, cache: Path | None = None, done: Callable[[int], None] = lambda count: None
) -> Prepared:
    """Read and resize the samples; `done` hears how many are ready. UserError names a file that is unreadable.

    With a `cache` folder they are kept there under a name made of their content, and mapped into memory when they are
    asked for again, by this or another process: then nothing is decoded.
    """
    ids = tuple(sample.id for sample in samples)
    shapes = {"images": (len(samples), 3, size, size), "masks": (len(samples), size, size)}
    if cache is None:
        arrays = {name: np.empty(shape, np.uint8) for name, shape in shapes.items()}
        _fill(arrays["images"], arrays["masks"], samples, done)
    else:
        folder = cache / f"{content(samples)}-{size}"
        if not folder.exists():
            _keep(folder, shapes, samples, done)
        # Copy on write: torch wants memory that it could write to, and the file must stay as it is.
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in shapes}
    return Prepared(ids, torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["masks"]))


def content(samples: Sequence[Sample]) -> str:
    """16 hexadecimal digits that change when a sample or one of its files does.

    A file counts by name, size and time of change, for reading it would cost what the cache is to save. How drawn
    samples are drawn is no part of it: give each data set and recipe a cache folder of its own.
    """
    lines = [f"numpy {np.__version__}"]
    for sample in samples:
        stats = ((file.name, file.stat()) for file in sample.files)
        lines.append(" ".join((sample.id, *(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats))))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _keep(
    folder: Path, shapes: dict[str, tuple[int, ...]], samples: Sequence[Sample], done: Callable[[int], None]
) -> None:
    """Fill a new folder of the cache; it appears whole or not at all, also when two processes fill it at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=folder.parent) as aside:
        part = Path(aside) / "part"
        part.mkdir()
        mapped = {
            name: np.lib.format.open_memmap(part / f"{name}.npy", "w+", np.uint8, shape)
            for name, shape in shapes.items()
        }
        _fill(mapped["images"], mapped["masks"], samples, done)
        for array in mapped.values():
            array.flush()
        with suppress(OSError):  # another process was first, and its folder is as good
            part.rename(folder)


def _fill(images: np.ndarray, masks: np.ndarray, samples: Sequence[Sample], done: Callable[[int], None]) -> None:
    size = images.shape[-1]

    def read(index: int) -> None:
        sample = samples[index]
        image = Image.fromarray(sample.image()).resize((size, size), Image.Resampling.BILINEAR)
        images[index] = np.asarray(image).transpose(2, 0, 1)
        masks[index] = Image.fromarray(sample.mask()).resize((size, size), Image.Resampling.NEAREST)

    # Threads, for decoding and resizing leave Python's lock.
    with ThreadPoolExecutor() as pool:
        for count, _ in enumerate(pool.map(read, range(len(samples))), start=1):
            done(count)


def normalised(images: Tensor) -> Tensor:
    """uint8 (..., 3, H, W) to float32 by ImageNet's mean and deviation."""
    mean, deviation = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (MEAN, DEVIATION))
    return (images.float() / 255 - mean) / deviation


def _flips() -> v2.Transform:
    """The eight ways to flip and turn a square, and a little brightness and contrast: costs next to nothing."""
    quarter = v2.RandomChoice([v2.RandomRotation((turn, turn)) for turn in (0, 90)])
    return v2.Compose(
        [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), quarter, v2.ColorJitter(brightness=0.2, contrast=0.2)]
    )


def _affine() -> v2.Transform:
    """The same, and any small rotation and scale: for trainings long enough to see every image many times."""
    bilinear = InterpolationMode.BILINEAR  # of images; masks are always nearest
    return v2.Compose([_flips(), v2.RandomAffine(degrees=20, scale=(0.85, 1.15), interpolation=bilinear)])


AUGMENTATIONS = {"flips": _flips, "affine": _affine}


class Stream(Dataset[tuple[Tensor, Tensor]]):
    """An endless, seeded sequence of augmented samples: draw `n` is the same whenever and wherever it is asked for.

    That is what lets a training that was killed go on as if it had not been. Each pass over the images is a new
    permutation.
    """

    def __init__(self, prepared: Prepared, seed: int, augmentation: str = "flips") -> None:
        self.prepared, self.seed = prepared, seed
        self.augment = AUGMENTATIONS[augmentation]()
        self._orders: dict[int, Tensor] = {}

    def __getitem__(self, draw: int) -> tuple[Tensor, Tensor]:
        """Normalised image (3, size, size) and mask (size, size) of the sequence's `draw`-th sample."""
        epoch, place = divmod(draw, len(self.prepared))
        index = int(self._order(epoch)[place])
        image, mask = tv_tensors.Image(self.prepared.images[index]), tv_tensors.Mask(self.prepared.masks[index])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed(self.seed, "draw", draw))  # transforms draw from torch's global generator
            image, mask = self.augment(image, mask)
        return normalised(image.as_subclass(Tensor)), mask.as_subclass(Tensor)

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(_seed(self.seed, "order", epoch))
            self._orders = {epoch: torch.randperm(len(self.prepared), generator=generator)}
        return self._orders[epoch]


def _seed(*facts: object) -> int:
    """One generator seed from several facts, the same in every process."""
    return int.from_bytes(hashlib.sha256(repr(facts).encode()).digest()[:7])
