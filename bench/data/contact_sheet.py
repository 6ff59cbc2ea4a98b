"""A contact sheet: images with the outlines of their masks, for finding wrong pairs and shifted masks."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from bench.data.sample import SPLITS, DataSet, Sample, thin
from bench.files import write_whole

TILE, CAPTION, COLUMNS = 224, 16, 6  # pixels per tile, pixels below it, tiles per row
# One color a class, Okabe and Ito's: told apart by color-blind eyes, and bright enough on dark images.
COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))


def contact_sheet(data: DataSet, path: Path, count: int = 24) -> Path:
    """Draw `count` samples, evenly spaced over the splits, into a PNG at `path`; each tile is 224 pixels wide.

    Raises UserError, which names the file, if a sample cannot be read.
    """
    shown = thin([(split, sample) for split in SPLITS for sample in data.splits.get(split, ())], count)
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + CAPTION)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (split, sample) in enumerate(shown):
        x, y = number % COLUMNS * TILE, number // COLUMNS * (TILE + CAPTION)
        sheet.paste(tile(sample), (x, y))
        pen.text((x + 3, y + TILE + 2), f"{split} {sample.id}"[:36], fill="black")
    return write_whole(path, lambda aside: sheet.save(aside, format="PNG"))


def tile(sample: Sample) -> Image.Image:
    """The sample's image at 224x224 with each class outlined in its color, two pixels wide."""
    image = np.array(Image.fromarray(sample.image()).resize((TILE, TILE), Image.Resampling.BILINEAR))
    mask = np.asarray(Image.fromarray(sample.mask()).resize((TILE, TILE), Image.Resampling.NEAREST))
    for label in np.unique(mask[mask > 0]):
        region = mask == label
        image[region & ~binary_erosion(region, iterations=2)] = COLORS[(label - 1) % len(COLORS)]
    return Image.fromarray(image)
