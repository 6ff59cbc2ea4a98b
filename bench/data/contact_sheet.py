"""A contact sheet: images with the outlines of their masks, for finding wrong pairs and shifted masks."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count as count_from
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from bench.data.sample import SPLITS, DataSet, Sample, thin
from bench.files import write_whole

TILE, CAPTION, COLUMNS = 224, 16, 6  # pixels per tile, pixels below it, tiles per row
# One color a class, Okabe and Ito's: told apart by color-blind eyes, and bright enough on dark images.
COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))
GOLDEN = 0.618034  # of the circle of hues lies between one more color and the next, so that none is like another

Named = tuple[str, Sample]  # a sample with its side
Color = tuple[int, int, int]
Heading = list[tuple[str, Color]]


def contact_sheet(data: DataSet, path: Path, count: int = 24, all_classes: bool = False) -> Path:
    """Draw `count` samples, evenly spaced over the splits, into a PNG at `path`; each tile is 224 pixels wide.

    With `all_classes` each class has rows of its own with up to `count` samples that hold it, one row at least, and the
    heading says how many there are; all masks are read for it. Where there are several classes, a heading tells their
    colors. Raises UserError, which names the file, if a sample cannot be read.
    """
    samples = [(split, sample) for split in SPLITS for sample in data.splits.get(split, ())]
    colors = colors_of(len(data.classes))
    legend = [(f"{at} {name}", color) for at, name, color in zip(count_from(1), data.classes, colors, strict=False)]
    if not all_classes:
        return _drawn([(legend if len(legend) > 1 else [], thin(samples, count))], colors, path)
    with ThreadPoolExecutor() as pool:
        held = list(pool.map(lambda one: set(np.unique(one[1].mask()).tolist()), samples))
    parts: list[tuple[Heading, Sequence[Named]]] = []
    for number, (name, color) in enumerate(legend, start=1):
        with_it = [one for one, labels in zip(samples, held, strict=True) if number in labels]
        heading = f"{name}: in {len(with_it)} of {len(samples)} images"
        parts.append(([(heading, color)], thin(with_it, count)))
    return _drawn(parts, colors, path)


def colors_of(classes: int) -> tuple[Color, ...]:
    """A color for each class, each another one."""
    hues = (hsv_to_rgb(at * GOLDEN % 1, 0.55 + 0.45 * (at % 2), 1) for at in range(max(0, classes - len(COLORS))))
    more = tuple((round(red * 255), round(green * 255), round(blue * 255)) for red, green, blue in hues)
    return (*COLORS, *more)[:classes]


def _drawn(parts: list[tuple[Heading, Sequence[Named]]], colors: tuple[Color, ...], path: Path) -> Path:
    """Draw parts below each other, each a heading of names with their colors and tiles."""
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    pen.font = _font()
    headings = [_lines(pen, heading) for heading, _ in parts]
    heights = [len(lines) * CAPTION for lines in headings]
    rows = [-(-len(shown) // COLUMNS) * (TILE + CAPTION) for _, shown in parts]
    sheet = Image.new("RGB", (COLUMNS * TILE, sum(heights) + sum(rows)), "white")
    pen, top = ImageDraw.Draw(sheet), 0
    pen.font = _font()
    for lines, height, row, (_, shown) in zip(headings, heights, rows, parts, strict=True):
        for line, names in enumerate(lines):
            for x, name, color in names:
                y = top + line * CAPTION
                pen.rectangle((x, y + 3, x + 10, y + 13), fill=color, outline="black")
                pen.text((x + 15, y + 1), name, fill="black")
        for number, (split, sample) in enumerate(shown):
            x, y = number % COLUMNS * TILE, top + height + number // COLUMNS * (TILE + CAPTION)
            sheet.paste(tile(sample, colors), (x, y))
            pen.text((x + 3, y + TILE + 1), f"{split} {sample.id}"[:36], fill="black")
        top += height + row
    return write_whole(path, lambda aside: sheet.save(aside, format="PNG"))


def _lines(pen: ImageDraw.ImageDraw, heading: Heading) -> list[list[tuple[float, str, Color]]]:
    """The names of a heading with their places, in as many lines as they need."""
    lines: list[list[tuple[float, str, Color]]] = []
    end = float(COLUMNS * TILE)
    for name, color in heading:
        width = pen.textlength(name) + 30
        if end + width > COLUMNS * TILE:
            lines.append([])
            end = 3.0
        lines[-1].append((end, name, color))
        end += width
    return lines


@cache
def _font() -> ImageFont.FreeTypeFont:
    """A font with the letters of most languages, which Pillow's own lacks."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 11)


def tile(sample: Sample, colors: tuple[Color, ...] = COLORS) -> Image.Image:
    """The sample's image at 224x224 with each class outlined in its color, two pixels wide."""
    image = np.array(Image.fromarray(sample.image()).resize((TILE, TILE), Image.Resampling.BILINEAR))
    mask = np.asarray(Image.fromarray(sample.mask()).resize((TILE, TILE), Image.Resampling.NEAREST))
    for label in np.unique(mask[mask > 0]):
        region = mask == label
        image[region & ~binary_erosion(region, iterations=2)] = colors[label - 1]
    return Image.fromarray(image)
