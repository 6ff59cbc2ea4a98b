"""Images drawn from a seed, half ultrasound and half dermoscopy: a real task without a download.

They resemble real images but contain no clinical information: a score shows that a network trains, not that it is good.
"""

import itertools
from functools import cache, lru_cache, partial
from pathlib import Path

import numpy as np

from bench.data import Source, drawing
from bench.data.drawing import draw_dermoscopy, draw_ultrasound
from bench.data.sample import DataSet, Options, Sample
from bench.networks.code import digest_of

SIZE = 256
SEED = 20240
COUNTS = {"train": 400, "val": 40, "test": 80}


def open(source: Source, root: Path | None, options: Options, problems: list[str]) -> DataSet:
    """The data set; nothing given is read, for it has no files. Splits are disjoint ranges of the images' numbers."""
    numbers = itertools.count()
    splits = {split: tuple(map(_sample, itertools.islice(numbers, count))) for split, count in COUNTS.items()}
    note = "drawn, not photographed: scores show that a network trains, and nothing about patients"
    recipe = f"seed {SEED}, {SIZE}x{SIZE}, drawn by code {code()}"
    return DataSet("synthetic", ("lesion",), splits, note=note, recipe=recipe, patients=True)  # each image is a case


@cache
def code() -> str:
    """The digest of the code that draws: scores on other images must not be compared with these.

    It stands for the images themselves, because drawing them all takes seconds, and their last bits may differ from
    processor to processor.
    """
    return digest_of((path.name, path) for path in (Path(__file__), Path(drawing.__file__)))


@lru_cache(maxsize=8)
def draw(index: int) -> tuple[np.ndarray, np.ndarray]:
    """(image, mask) number `index`: uint8 (256, 256, 3) and uint8 (256, 256) with 1 on the lesion.

    Even numbers are ultrasound, odd ones dermoscopy. The same number gives the same image, whatever was drawn before. A
    few are kept, so that asking a sample for its image and then for its mask draws once.
    """
    rng = np.random.default_rng([SEED, index])
    return draw_dermoscopy(rng, SIZE) if index % 2 else draw_ultrasound(rng, SIZE)


def _sample(index: int) -> Sample:
    name = f"{'derm' if index % 2 else 'us'}-{index:04d}"
    return Sample(name, name, partial(_part, index, 0), partial(_part, index, 1))


def _part(index: int, which: int) -> np.ndarray:
    # A copy, because a caller may write into it and the cached drawing must not change.
    return draw(index)[which].copy()
