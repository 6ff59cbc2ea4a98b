"""Drawing tools of the synthetic images: smooth noise, irregular outlines, soft edges."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


@dataclass(frozen=True)
class Outline:
    """A closed wavy line around (x, y), in pixels: an ellipse of mean radius `radius`, bent by a few sine waves.

    `waves` is the radius at equal steps of the angle, around 1; `aspect` is the longer axis over the shorter; `turn` in
    radians.
    """

    x: float
    y: float
    radius: float
    aspect: float
    turn: float
    waves: np.ndarray

    def depth(self, size: int) -> np.ndarray:
        """float32 (size, size): 0 in the center, 1 on the outline, more outside; in between in proportion."""
        rows, columns = np.ogrid[:size, :size]
        dx, dy = (columns - self.x).astype(np.float32), (rows - self.y).astype(np.float32)
        # Plain floats: a numpy scalar of 64 bits would turn the whole grid into 64 bits, at twice the time.
        cos, sin, stretch = math.cos(self.turn), math.sin(self.turn), math.sqrt(self.aspect)
        along = (dx * cos + dy * sin) / stretch
        across = (dy * cos - dx * sin) * stretch
        step = (np.arctan2(across, along) * (len(self.waves) / (2 * np.pi))).astype(np.int32)
        reach = (self.radius * self.waves).astype(np.float32)
        return np.sqrt(along * along + across * across) / reach[step % len(self.waves)]


def outline(rng: np.random.Generator, x: float, y: float, radius: float, aspect: float, rough: float) -> Outline:
    """A random outline. `rough` is the spread of the radius over its mean: 0 is an ellipse, 0.3 is very irregular."""
    order = np.arange(2, 13)
    # Lower waves are stronger: lobes with a finer ripple on them, not a cogwheel.
    height = rng.normal(size=order.size) / order
    height *= rough / max(np.sqrt((height**2).sum() / 2), 1e-9)
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    start = rng.uniform(0, 2 * np.pi, (order.size, 1))
    waves = 1 + height @ np.sin(order[:, None] * angle + start)
    return Outline(x, y, radius, aspect, rng.uniform(0, np.pi), np.maximum(waves, 0.35))


def clouds(rng: np.random.Generator, size: int, cells: int, rows: int | None = None) -> np.ndarray:
    """Smooth noise, float32 (size, size), about normal (0, 1): `cells` bumps across, `rows` of them down."""
    grid = rng.standard_normal((rows or cells, cells), dtype=np.float32)
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))


def wave(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """A smooth random curve, float32 (size,), about normal (0, 1), with `cells` bumps."""
    line = rng.standard_normal((1, cells), dtype=np.float32)
    return np.asarray(Image.fromarray(line).resize((size, 1), Image.Resampling.BICUBIC))[0]


def inside(depth: np.ndarray, softness: float) -> np.ndarray:
    """From 1 well inside a depth of 1 to 0 well outside it; the step is about `softness` wide, in units of depth."""
    return 1 / (1 + np.exp(np.clip((depth - 1) * (4 / softness), -30, 30)))


def smear(values: np.ndarray, axis: int, width: int) -> np.ndarray:
    """Values averaged with their neighbors along an axis, in a window `width` + 1 wide (binomial); wraps around."""
    for _ in range(width):
        values = values + np.roll(values, 1, axis=axis)
    return values / 2**width


def canvas(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A black layer ("L") of size x size, and what draws on it."""
    layer = Image.new("L", (size, size))
    return layer, ImageDraw.Draw(layer)


def cover(layer: Image.Image, blur: float = 0) -> np.ndarray:
    """A layer ("L"), blurred and scaled to float32 0 to 1, (size, size, 1)."""
    return np.asarray(layer.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float32)[:, :, None] / 255
