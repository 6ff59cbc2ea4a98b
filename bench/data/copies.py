"""Near copies: images on two sides of a split that show the same, after recompression, resizing or small changes.

Two looks at a gray thumbnail of 32 x 32 pixels decide: a perceptual hash (64 signs of its low frequencies, as in pHash)
that differs in few bits, and a correlation of the thumbnails near 1. Copies that are mirrored, cropped or written on
may not be found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image
from scipy.fft import dctn

from bench.data.sample import Sample

SIDE, LOW = 32, 8  # pixels of a thumbnail, frequencies along each axis
BITS = LOW * LOW
# Set on ISIC2017: its six near copies, some of them recolored, differ in up to 14 bits and correlate from 0.970 on; the
# most similar images of different lesions differ in 14 and correlate to 0.964. Screens of DDTI, all of one scanner,
# correlate to 0.94, and none is a near copy.
MOST_BITS = 14  # that may differ
LEAST_CORRELATION = 0.967
LEAST_DEVIATION = 2.0  # gray levels; a flatter thumbnail shows nothing that could be compared
BLOCK = 1024  # images compared at a time with all others, which bounds the memory


@dataclass(frozen=True)
class NearCopy:
    """Two samples, the sides they are on, and in how many of 64 bits their hashes differ."""

    samples: tuple[Sample, Sample]
    sides: tuple[str, str]
    bits: int
    correlation: float

    def __str__(self) -> str:
        one, other = (f"{sample.id} ({side})" for sample, side in zip(self.samples, self.sides, strict=True))
        return f"{one} and {other}: {self.bits} of {BITS} bits differ, correlation {self.correlation:.3f}"


def thumbnail(image: np.ndarray) -> np.ndarray:
    """uint8 (32, 32) of gray levels from an image uint8 (height, width, 3)."""
    return np.asarray(Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def near_copies(sides: Sequence[str], samples: Sequence[Sample], thumbnails: Sequence[np.ndarray]) -> list[NearCopy]:
    """The near copies among samples on different sides, the nearest first; `thumbnails` are theirs."""
    pixels = np.stack([*thumbnails, np.zeros((SIDE, SIDE))]).astype(np.float32)[:-1]
    shown = np.flatnonzero(pixels.std(axis=(1, 2)) >= LEAST_DEVIATION)
    signs, values, of = _signs(pixels[shown]), _standardized(pixels[shown]), np.array(sides)[shown]
    found = []
    for one, other in combinations(dict.fromkeys(sides), 2):
        rows, columns = np.flatnonzero(of == one), np.flatnonzero(of == other)
        for block in np.split(rows, range(BLOCK, len(rows), BLOCK)):
            bits = (BITS - signs[block] @ signs[columns].T) / 2
            correlations = values[block] @ values[columns].T
            for row, column in np.argwhere((bits <= MOST_BITS) & (correlations >= LEAST_CORRELATION)):
                pair = samples[shown[block[row]]], samples[shown[columns[column]]]
                found.append(NearCopy(pair, (one, other), int(bits[row, column]), float(correlations[row, column])))
    return sorted(found, key=lambda copy: (copy.bits, -copy.correlation))


def _signs(pixels: np.ndarray) -> np.ndarray:
    """(n, 64) of 1 and -1: whether each low frequency is above the median of the image's."""
    low = dctn(pixels, axes=(1, 2), norm="ortho")[:, :LOW, :LOW].reshape(-1, BITS)
    return np.where(low > np.median(low, axis=1, keepdims=True), 1, -1).astype(np.float32)


def _standardized(pixels: np.ndarray) -> np.ndarray:
    """(n, 1024) with mean 0 and length 1, so that a product of two is their correlation."""
    flat = pixels.reshape(len(pixels), SIDE * SIDE)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)
