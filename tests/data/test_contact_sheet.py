"""A contact sheet shows every chosen sample with its outline."""

from functools import partial

import numpy as np
from PIL import Image

from bench.data import open_dataset
from bench.data.contact_sheet import CAPTION, COLORS, COLUMNS, TILE, contact_sheet, tile
from bench.data.sample import Sample


def test_an_outline_is_two_pixels_deep_and_closed_at_the_edge_of_the_image():
    mask = np.zeros((TILE, TILE), np.uint8)
    mask[:20, 10:30] = 1
    sample = Sample("a", "a", partial(np.zeros, (TILE, TILE, 3), np.uint8), partial(np.copy, mask))
    rim = (np.asarray(tile(sample)) == COLORS[0]).all(axis=2)
    assert rim.sum() == 20 * 20 - 16 * 16
    assert rim[:2, 10:30].all()
    assert not rim[2:18, 12:28].any()


def test_a_tile_shows_image_and_outline():
    sample = open_dataset("synthetic").splits["test"][0]
    shown = np.asarray(tile(sample))
    assert shown.shape == (TILE, TILE, 3)
    assert (shown == COLORS[0]).all(axis=2).sum() > 100


def test_a_sheet_has_room_for_all(tmp_path):
    path = contact_sheet(open_dataset("synthetic"), tmp_path / "new" / "sheet.png", count=8)
    with Image.open(path) as sheet:
        assert sheet.size == (COLUMNS * TILE, 2 * (TILE + CAPTION))
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]
