"""Samples decoded and resized once, as tensors, and the augmented stream a training reads from them.

Images are resized with antialiased bilinear interpolation, masks with nearest neighbour, then kept as bytes: an epoch
costs no decoding. Networks see them normalised by ImageNet's mean and deviation, as the literature does with and
without pre-training.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

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


def prepare(samples: Sequence[Sample], size: int, done: Callable[[int], None] = lambda count: None) -> Prepared:
    """Read and resize the samples; `done` hears how many are ready. UserError names a file that is unreadable."""
    images = torch.empty(len(samples), 3, size, size, dtype=torch.uint8)
    masks = torch.empty(len(samples), size, size, dtype=torch.uint8)

    def read(index: int) -> None:
        sample = samples[index]
        image = Image.fromarray(sample.image()).resize((size, size), Image.Resampling.BILINEAR)
        mask = Image.fromarray(sample.mask()).resize((size, size), Image.Resampling.NEAREST)
        images[index] = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        masks[index] = torch.from_numpy(np.array(mask))

    # Threads, for decoding and resizing leave Python's lock.
    with ThreadPoolExecutor() as pool:
        for count, _ in enumerate(pool.map(read, range(len(samples))), start=1):
            done(count)
    return Prepared(tuple(sample.id for sample in samples), images, masks)


def normalised(images: Tensor) -> Tensor:
    """uint8 (..., 3, H, W) to float32 by ImageNet's mean and deviation."""
    mean, deviation = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (MEAN, DEVIATION))
    return (images.float() / 255 - mean) / deviation


class Stream(Dataset[tuple[Tensor, Tensor]]):
    """An endless, seeded sequence of augmented samples: draw `n` is the same whenever and wherever it is asked for.

    That is what lets a training that was killed go on as if it had not been. Each pass over the images is a new
    permutation.
    """

    def __init__(self, prepared: Prepared, seed: int) -> None:
        self.prepared, self.seed = prepared, seed
        self.augment = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomVerticalFlip(),
                v2.RandomChoice([v2.RandomRotation((turn, turn)) for turn in (0, 90)]),
                v2.ColorJitter(brightness=0.2, contrast=0.2),
            ]
        )
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
