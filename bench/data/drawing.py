"""Draws the synthetic images: thyroid nodules in ultrasound and skin lesions in dermoscopy.

Ultrasound is hard for these reasons: speckle (about 5.6 dB) hides edges that a single pixel could show; what is darkest
(vessels, cysts, shadows, the screen's margin) is not the nodule; every layer changes from image to image.

Dermoscopy is hard for others: lesions run from nearly black to hardly redder than the skin; hair, dark corners, pen
marks and freckles are as dark as they are; the outline is where a hand would draw it, not where a threshold falls.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

DYNAMIC_RANGE_DB = 64.0
SKINS = ["#deb2a0", "#cda082", "#b0866c", "#c4baa6", "#e2c4be", "#d07870", "#967664"]
PIGMENTS = ["#784e32", "#603a28", "#946042", "#46302a", "#b06454", "#a05450"]
HAIRS = ["#3a2a24", "#241c1a", "#6e5038"]
PENS = ["#523482", "#3c468c"]
STICKERS = ["#ee8c28", "#3ca06e", "#3c6ebe"]
RULERS = ["#1e1c1c"]


# ---- tools: smooth noise, irregular outlines, soft edges -------------------------------------------------------------


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
    # Lower frequencies are stronger, which gives lobes with a finer ripple.
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


# ---- ultrasound: tissue in decibels, times speckle, log-compressed ---------------------------------------------------


def draw_ultrasound(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(image, mask): uint8 (size, size, 3) with three equal channels, and uint8 (size, size), 1 on the nodule."""
    rows = np.arange(size, dtype=np.float32)[:, None]
    # The rows of the gland's front and back.
    bow = (np.linspace(-1, 1, size, dtype=np.float32) + rng.uniform(-0.3, 0.3)) ** 2
    top = size * (rng.uniform(0.16, 0.30) + 0.02 * wave(rng, size, 6) + rng.uniform(-0.02, 0.10) * bow)
    bottom = size * (rng.uniform(0.66, 0.86) + 0.025 * wave(rng, size, 6) - rng.uniform(0.0, 0.2) * bow)
    tissue = _layers(rng, size, rows, top, bottom)
    # The nodule lies within the gland, anywhere along it, and covers 4 to 17 percent of the drawing.
    radius = size * math.sqrt(rng.uniform(0.045, 0.17) / math.pi)
    front, back = float(top.mean()), float(bottom.mean())
    y = rng.uniform(front + 0.75 * radius, max(back - 0.75 * radius, front + 0.8 * radius))
    nodule = outline(rng, rng.uniform(0.17, 0.83) * size, y, radius, rng.uniform(1, 1.6), rng.uniform(0.04, 0.16))
    for _ in range(rng.integers(1, 4)):
        tissue += _vessel(rng, size, rows, nodule, bottom)
    depth = nodule.depth(size)
    tissue += _nodule(rng, size, depth)
    tissue += _behind(rng, size, rows, depth)
    # Attenuation that the scanner's gain does not fully compensate.
    tissue -= rng.uniform(2, 12) * rows / size + 1.5 * clouds(rng, size, 5)
    gray = _scan(rng, tissue)
    mask = (depth < 1).astype(np.uint8)
    if rng.random() < 0.5:
        gray, mask = _on_screen(rng, gray, mask)
    return np.repeat(gray[:, :, None], 3, axis=2), mask


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
    depth = outline(rng, x, y, radius, rng.uniform(1, 1.5), 0.02).depth(size)
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
    gray = (tissue + speckle_db + rng.uniform(-18, -9)) * (255 / DYNAMIC_RANGE_DB) + 170
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


# ---- dermoscopy: pigment on skin, under hair, bubbles, a ruler and uneven light --------------------------------------


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
