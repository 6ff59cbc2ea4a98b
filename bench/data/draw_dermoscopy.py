"""Draws a skin lesion as a dermatoscope shows one: pigment on skin, under hair, bubbles, a ruler and uneven light.

What makes it a fair stand-in: lesions run from nearly black to hardly redder than the skin; hair, dark corners, pen
marks and freckles are as dark as they are; the outline is where a hand would draw it, not where a threshold falls.
"""

import math

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from bench.data.drawing import Outline, canvas, clouds, cover, inside, outline

SKINS = ["#deb2a0", "#cda082", "#b0866c", "#c4baa6", "#e2c4be", "#d07870", "#967664"]
PIGMENTS = ["#784e32", "#603a28", "#946042", "#46302a", "#b06454", "#a05450"]
HAIRS = ["#3a2a24", "#241c1a", "#6e5038"]
PENS = ["#523482", "#3c468c"]
STICKERS = ["#ee8c28", "#3ca06e", "#3c6ebe"]
RULERS = ["#1e1c1c"]


def draw_dermoscopy(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(image, mask): uint8 (size, size, 3) in color, and uint8 (size, size), 1 on the lesion."""
    radius = size * math.sqrt(rng.uniform(0.035, 0.22) / math.pi)
    x, y = rng.uniform(0.24, 0.76, 2) * size
    lesion = outline(rng, x, y, radius, rng.uniform(1, 1.7), rng.uniform(0.05, 0.2))
    depth = lesion.depth(size)
    picture = _pigment(rng, _freckles(rng, _skin(rng, size), lesion), depth)
    for layer, color in (_marks(rng, size, lesion), _hair(rng, size)):
        picture = picture + (color - picture) * cover(layer)
    picture = _light(rng, _bubbles(rng, picture))
    picture += 2 * rng.standard_normal((size, size, 1), dtype=np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8), (depth < 1).astype(np.uint8)


def _color(rng: np.random.Generator, palette: list[str], spread: float) -> np.ndarray:
    """One of the colors, made lighter or darker and shifted a little: float32 (3,)."""
    color = np.array(ImageColor.getrgb(palette[rng.integers(len(palette))]))
    return (color * rng.uniform(0.85, 1.1) + rng.normal(0, spread, 3)).astype(np.float32)


def _skin(rng: np.random.Generator, size: int) -> np.ndarray:
    """float32 (size, size, 3): a skin tone, blotchy and finely lined."""
    tone = _color(rng, SKINS, 6)
    lines = -np.abs(clouds(rng, size, int(rng.integers(24, 60)))) + 0.8
    shade = rng.uniform(2, 5) * clouds(rng, size, 5) + rng.uniform(1, 5) * lines + 1.5 * clouds(rng, size, 100)
    flush = np.array((0.3, -1.0, -0.8), np.float32) * rng.uniform(1, 7)
    return tone + shade[:, :, None] + clouds(rng, size, 7)[:, :, None] * flush


def _pigment(rng: np.random.Generator, skin: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The lesion painted over the skin: two tones in patches, dots or a net in them, an edge from sharp to fading."""
    size = len(skin)
    patch = inside(1 + 0.6 * clouds(rng, size, int(rng.integers(4, 9))), 1.5)[:, :, None]
    body = _color(rng, PIGMENTS, 8) * patch + _color(rng, PIGMENTS, 8) * (1 - patch)
    fine = clouds(rng, size, int(rng.integers(28, 60)))
    texture = (8 * fine, np.where(fine > 1, np.float32(-26), 0), 14 * (np.abs(fine) - 0.8))[rng.integers(3)]
    body = body + (texture + 5 * clouds(rng, size, 16))[:, :, None]
    if rng.random() < 0.3:  # a bluish-white veil, or a patch where the pigment has gone
        veil = inside(1.6 - 0.8 * clouds(rng, size, 5), 1.0)[:, :, None]
        body = body * (1 - 0.5 * veil) + np.array((150, 150, 165), np.float32) * 0.5 * veil
    # The pigment thins towards the border and frays there; the hand-drawn outline runs through the fringe.
    frayed = depth + 0.05 * clouds(rng, size, 26) + 0.03 * clouds(rng, size, 70)
    opacity = inside(frayed, rng.uniform(0.08, 0.4)) * np.clip(1.15 - 0.35 * depth, 0, 1) * rng.uniform(0.5, 1)
    return skin + (body - skin) * opacity[:, :, None]


def _freckles(rng: np.random.Generator, skin: np.ndarray, lesion: Outline) -> np.ndarray:
    """Small brown spots away from the lesion: pigment, yet not the lesion."""
    size = len(skin)
    layer, draw = canvas(size)
    for _ in range(rng.integers(0, 14)):
        (x, y), radius = rng.uniform(0, size, 2), size * rng.uniform(0.004, 0.03)
        if np.hypot(x - lesion.x, y - lesion.y) > 1.6 * lesion.radius + radius:
            draw.ellipse((x - radius, y - radius * 0.8, x + radius, y + radius * 0.8), fill=int(rng.integers(60, 220)))
    return skin + (_color(rng, PIGMENTS, 5) - skin) * cover(layer, blur=1.5)


def _hair(rng: np.random.Generator, size: int) -> tuple[Image.Image, np.ndarray]:
    """(cover, color) of hairs: bent strokes, mostly in one direction, drawn at twice the size to come out fine."""
    layer, draw = canvas(2 * size)
    many = int(rng.integers(8, 34)) if rng.random() < 0.5 else int(rng.integers(0, 5))
    comb = rng.uniform(0, np.pi)
    t = np.linspace(0, 1, 14)[:, None]
    for _ in range(many):
        start, angle = rng.uniform(0, 2 * size, 2), comb + rng.normal(0, 0.4)
        along = rng.uniform(0.3, 1.6) * size * np.array((np.cos(angle), np.sin(angle)))
        bend = np.array((-along[1], along[0])) * rng.normal(0, 0.25)
        line = start + along * t + bend * t * (1 - t)
        draw.line(list(map(tuple, line)), fill=int(rng.integers(130, 256)), width=int(rng.integers(1, 5)))
    return layer.resize((size, size), Image.Resampling.BOX), _color(rng, HAIRS, 5)


def _marks(rng: np.random.Generator, size: int, lesion: Outline) -> tuple[Image.Image, np.ndarray]:
    """(cover, color) of one thing laid or drawn on the skin beside the lesion: ruler, pen, sticker, or nothing."""
    layer, draw = canvas(size)
    kind = rng.choice(("nothing", "ruler", "pen", "sticker"), p=(0.45, 0.3, 0.15, 0.1))
    if kind == "ruler":
        _ruler(rng, draw, size)
        return layer, _color(rng, RULERS, 4)
    # On the far side of the image from the lesion.
    side = np.array((lesion.x, lesion.y)) < size / 2
    x, y = np.where(side, size * rng.uniform(0.8, 1.0, 2), size * rng.uniform(0.0, 0.2, 2))
    if kind == "pen":
        scrawl = np.array((x, y)) + np.cumsum(rng.normal(0, size * 0.05, (24, 2)), axis=0) * 0.5
        draw.line(list(map(tuple, scrawl)), fill=215, width=int(rng.integers(2, 5)))
        return layer, _color(rng, PENS, 8)
    if kind == "sticker":
        radius = size * rng.uniform(0.12, 0.24)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return layer, _color(rng, STICKERS, 8)


def _ruler(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: int) -> None:
    """A scale near the lower or the upper edge, slightly turned: a line with ticks, every fifth longer."""
    angle, length = rng.normal(0, 0.15), size * rng.uniform(0.35, 0.7)
    start = np.array((rng.uniform(0.05, 0.3), rng.choice((0.08, 0.9)))) * size
    along, up = np.array((np.cos(angle), np.sin(angle))), np.array((np.sin(angle), -np.cos(angle)))
    if rng.random() < 0.7:
        draw.line([tuple(start), tuple(start + along * length)], fill=220)
    for number, at in enumerate(np.arange(0, length, length / 20)):
        foot = start + along * at
        draw.line([tuple(foot), tuple(foot + up * (9 if number % 5 == 0 else 5))], fill=200)


def _bubbles(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Bubbles in the gel: pale rings, each with a glint; on some images only."""
    if rng.random() > 0.4:
        return picture
    size = len(picture)
    layer, draw = canvas(size)
    for _ in range(rng.integers(2, 18)):
        (x, y), radius = rng.uniform(0, size, 2), rng.uniform(1.5, 9)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=int(rng.integers(50, 150)))
        draw.point((x - radius / 2, y - radius / 2), fill=255)
    return picture + 130 * cover(layer, blur=0.6)


def _light(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Light that falls off to one side and to the corners, at times the black rim of the instrument's round view."""
    size = len(picture)
    rows, columns = np.ogrid[:size, :size]
    x, y = rng.uniform(0.4, 0.6, 2) * size
    distance = np.sqrt(((columns - x) ** 2 + (rows - y) ** 2).astype(np.float32)) / (size / 2)
    tilt = rng.normal(0, 0.06) * (columns / size - 0.5) + rng.normal(0, 0.06) * (rows / size - 0.5)
    light = 1 - rng.uniform(0, 0.35) * distance**2 + tilt.astype(np.float32)
    if rng.random() < 0.3:
        light = light * inside(distance / rng.uniform(1.05, 1.35), 0.05)
    return picture * np.clip(light, 0.02, 1.2)[:, :, None].astype(np.float32)
