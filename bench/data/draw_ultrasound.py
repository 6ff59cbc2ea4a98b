"""Draws a thyroid nodule as ultrasound shows one: tissue in decibels, times speckle, through a log compression.

What makes it a fair stand-in: speckle (about 5.6 dB) hides edges that a single pixel could show; what is darkest
(vessels, cysts, shadows, the screen's margin) is not the nodule; and every layer shifts from image to image.
"""

import math

import numpy as np
from PIL import Image

from bench.data.drawing import Outline, canvas, clouds, inside, outline, smear, wave

DYNAMIC_RANGE_DB = 64.0


def draw_ultrasound(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(image, mask): uint8 (size, size, 3) with three equal channels, and uint8 (size, size), 1 on the nodule."""
    rows = np.arange(size, dtype=np.float32)[:, None]
    top, bottom = _gland(rng, size)
    tissue = _layers(rng, size, rows, top, bottom)
    nodule = _place(rng, size, float(top.mean()), float(bottom.mean()))
    for _ in range(rng.integers(1, 4)):
        tissue += _vessel(rng, size, rows, nodule, bottom)
    depth = nodule.depth(size)
    tissue += _nodule(rng, size, depth)
    tissue += _behind(rng, size, rows, depth)
    # Attenuation that the scanner's gain has not quite made good.
    tissue -= rng.uniform(2, 12) * rows / size + 1.5 * clouds(rng, size, 5)
    gray = _scan(rng, tissue)
    mask = (depth < 1).astype(np.uint8)
    if rng.random() < 0.5:
        gray, mask = _on_screen(rng, gray, mask)
    return np.repeat(gray[:, :, None], 3, axis=2), mask


def _gland(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the gland's front and back, float (size,) each."""
    bow = (np.linspace(-1, 1, size, dtype=np.float32) + rng.uniform(-0.3, 0.3)) ** 2
    top = size * (rng.uniform(0.16, 0.30) + 0.02 * wave(rng, size, 6) + rng.uniform(-0.02, 0.10) * bow)
    bottom = size * (rng.uniform(0.66, 0.86) + 0.025 * wave(rng, size, 6) - rng.uniform(0.0, 0.2) * bow)
    return top, bottom


def _layers(rng: np.random.Generator, size: int, rows: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """The echo of the tissue in dB, float32 (size, size): skin, muscle, gland, and what lies behind it."""
    skin = size * (rng.uniform(0.03, 0.07) + 0.006 * wave(rng, size, 8))
    muscle = rng.uniform(-11, -4) + 4.0 * clouds(rng, size, 4, 40) + 2.5 * clouds(rng, size, 12, 24)
    gland = rng.uniform(-4, 2) + 1.5 * clouds(rng, size, 9) + 1.2 * clouds(rng, size, 30)
    behind = rng.uniform(-13, -3) + 5.0 * clouds(rng, size, 5, 18) + 3.0 * clouds(rng, size, 14)
    tissue = np.where(rows < top, muscle, np.where(rows < bottom, gland, behind))
    # Fasciae and capsule: thin bright lines along the borders, broken here and there.
    for edge, bright, thick in ((skin, 14, 4.0), ((skin + top) / 2, 12, 2.0), (top, 11, 2.2), (bottom, 12, 3.0)):
        strength = np.clip(bright * (0.7 + 0.5 * wave(rng, size, 9)), 0, None)
        tissue = tissue + strength * np.exp(-(((rows - edge) / thick) ** 2))
    return tissue


def _place(rng: np.random.Generator, size: int, top: float, bottom: float) -> Outline:
    """A nodule within the gland, of 4 to 17 percent of the drawing, anywhere along it."""
    radius = size * math.sqrt(rng.uniform(0.045, 0.17) / math.pi)
    y = rng.uniform(top + 0.75 * radius, max(bottom - 0.75 * radius, top + 0.8 * radius))
    return outline(rng, rng.uniform(0.17, 0.83) * size, y, radius, rng.uniform(1, 1.6), rng.uniform(0.04, 0.16))


def _nodule(rng: np.random.Generator, size: int, depth: np.ndarray) -> np.ndarray:
    """What the nodule adds in dB: mostly darker than the gland, else like it with a dark rim, or brighter."""
    kind = rng.choice(3, p=(0.86, 0.07, 0.07))
    shift = (rng.uniform(-18, -11), rng.uniform(-5, -2), rng.uniform(7, 10))[kind]
    body = shift + 1.8 * clouds(rng, size, 14)
    if rng.random() < 0.3:  # cystic parts
        body = np.where(clouds(rng, size, 11) > 1.1, body - 9, body)
    if rng.random() < 0.35:  # microcalcifications
        body = np.where(rng.random((size, size), dtype=np.float32) > 0.997, 16, body)
    rim = (0, 14, 6)[kind] * np.exp(-(((depth - 0.97) / 0.09) ** 2))
    return body * inside(depth, rng.uniform(0.05, 0.14)) - rim


def _behind(rng: np.random.Generator, size: int, rows: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The nodule's shadow or enhancement in dB: what passes through it comes back weaker or stronger from below."""
    kind = rng.random()
    if kind > 0.5:
        return np.zeros((1, 1), np.float32)
    within = depth < 0.85
    end = np.where(within.any(axis=0), size - 1 - within[::-1].argmax(axis=0), size * 2)
    gain = rng.uniform(-11, -5) if kind < 0.3 else rng.uniform(3, 6)
    below = 1 / (1 + np.exp(np.clip((end - rows) / 3, -30, 30)))
    return smear(gain * below, axis=1, width=16).astype(np.float32)


def _vessel(rng: np.random.Generator, size: int, rows: np.ndarray, nodule: Outline, bottom: np.ndarray) -> np.ndarray:
    """What a vessel or a simple cyst adds in dB: black, round, a bright back wall, brighter below. No nodule."""
    radius = size * rng.uniform(0.025, 0.085)
    clear = nodule.radius * 1.5 + radius * 1.2
    for _ in range(20):
        x, y = rng.uniform(0.03, 0.97) * size, rng.uniform(0.2, 0.85) * size
        if np.hypot(x - nodule.x, y - nodule.y) > clear:
            break
    else:
        return np.zeros((1, 1), np.float32)
    ring = outline(rng, x, y, radius, rng.uniform(1, 1.5), 0.02)
    depth = ring.depth(size)
    columns = np.arange(size, dtype=np.float32)
    beam = np.exp(-(((columns - x) / radius) ** 4))
    wall = 12 * np.exp(-(((depth - 1.05) / 0.12) ** 2)) * np.clip((rows - y) / radius, 0.15, 1)
    return wall + 4 * beam * np.clip((rows - y - radius) / 8, 0, 1) - 24 * inside(depth, 0.15)


def _scan(rng: np.random.Generator, tissue: np.ndarray) -> np.ndarray:
    """uint8 (size, size): tissue in dB under speckle, log-compressed.

    Speckle is the magnitude of a complex Gaussian field (Rayleigh), correlated over the scanner's resolution: wider
    along the probe than along the beam, and wider with depth.
    """
    size = len(tissue)
    field = rng.standard_normal((2, size, size), dtype=np.float32)
    near = smear(smear(field, 1, 3), 0, 2)
    far = smear(near, 1, 5)
    near, far = near / near.std(), far / far.std()
    share = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    real, imaginary = near * (1 - share) + far * share
    speckle_db = 10 * np.log10(real**2 + imaginary**2 + 1e-4)
    gain = rng.uniform(-18, -9)
    gray = (tissue + speckle_db + gain) * (255 / DYNAMIC_RANGE_DB) + 170
    return np.clip(gray, 0, 255).astype(np.uint8)


def _on_screen(rng: np.random.Generator, gray: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scan shrunk onto a black screen with a gray bar and depth ticks, as scanners save it, and the mask alike."""
    size = len(gray)
    width, height = (int(size * rng.uniform(0.76, 0.95)) for _ in range(2))
    left, top = int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1))
    (screen, draw), (shrunk, _) = canvas(size), canvas(size)
    screen.paste(Image.fromarray(gray).resize((width, height), Image.Resampling.BILINEAR), (left, top))
    shrunk.paste(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST), (left, top))
    for tick in range(top, top + height, max(size // 12, 1)):
        draw.point((max(left - 3, 0), tick), fill=220)
    if left > 10:
        for row in range(size // 3):
            draw.line((2, top + size // 4 + row, 5, top + size // 4 + row), fill=255 - 3 * 255 * row // size)
    return np.array(screen), np.array(shrunk)
