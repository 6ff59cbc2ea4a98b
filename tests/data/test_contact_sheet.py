"""A contact sheet shows every chosen sample with its outline."""

import numpy as np
from PIL import Image

from bench.data import open_dataset
from bench.data.contact_sheet import CAPTION, COLOURS, COLUMNS, TILE, contact_sheet, outline, tile


def test_an_outline_is_the_rim_of_a_region():
    inside = np.zeros((9, 9), bool)
    inside[1:8, 1:8] = True
    rim = outline(inside)
    assert rim.sum() == 49 - 9
    assert not rim[3:6, 3:6].any()


def test_a_region_at_the_edge_of_the_image_is_closed():
    assert outline(np.ones((6, 6), bool))[0].all()


def test_a_tile_shows_image_and_outline():
    sample = open_dataset("synthetic").splits["test"][0]
    shown = np.asarray(tile(sample))
    assert shown.shape == (TILE, TILE, 3)
    assert (shown == COLOURS[0]).all(axis=2).sum() > 100


def test_a_sheet_has_room_for_all(tmp_path):
    path = contact_sheet(open_dataset("synthetic"), tmp_path / "new" / "sheet.png", count=8)
    with Image.open(path) as sheet:
        assert sheet.size == (COLUMNS * TILE, 2 * (TILE + CAPTION))
    assert [p.name for p in path.parent.iterdir()] == ["sheet.png"]
