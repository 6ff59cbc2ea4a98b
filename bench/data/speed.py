"""How many augmented samples a second the loader can feed, with and without the cache."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.data import DataLoader

from bench.data.prepared import Prepared, Stream, prepare
from bench.data.sample import DataSet, thin

BATCH = 8


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
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        prepare(samples, size, Path(folder))
        cold_s = time.perf_counter() - start
        cached_s = _pass(prepare(samples, size, Path(folder)), workers, augmentation)
    return Rates(len(samples), workers, len(samples) / cold_s, len(samples) / cached_s)


def _pass(prepared: Prepared, workers: int, augmentation: str) -> float:
    """Seconds for one epoch, from the first batch on: workers start once a training, not once an epoch."""
    draws = range(len(prepared) + workers * 2 * BATCH)
    loader = DataLoader(
        Stream(prepared, 0, augmentation), BATCH, sampler=draws, num_workers=workers, generator=torch.Generator()
    )
    batches = iter(loader)
    next(batches)
    start = time.perf_counter()
    seen = sum(len(masks) for _, masks in batches)
    return (time.perf_counter() - start) * len(prepared) / seen
