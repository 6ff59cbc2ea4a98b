"""A contact sheet shows every chosen sample with its outline."""

from functools import partial

import numpy as np
from PIL import Image

from bench.data import DataSet, open_dataset
from bench.data.contact_sheet import CAPTION, COLORS, COLUMNS, TILE, colors_of, contact_sheet, tile
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


def striped(*labels: int) -> Sample:
    """A gray image whose mask has a stripe of each label."""
    mask = np.zeros((TILE, TILE), np.uint8)
    for label in labels:
        mask[label * 20 : label * 20 + 10] = label
    name = f"a & {labels}"
    return Sample(name, name, partial(np.full, (TILE, TILE, 3), 50, np.uint8), partial(np.copy, mask))


def test_each_class_has_rows_of_the_images_that_hold_it_in_its_color(tmp_path):
    names = ("liver", "b & <c>", "absent", *"defgh")
    rare = striped(8)
    data = DataSet("x", names, {"train": (*[striped(1)] * 7, striped(1, 2)), "val": (rare,), "test": (striped(),)})
    with Image.open(contact_sheet(data, tmp_path / "all.png", count=7, all_classes=True)) as sheet:
        shown = np.asarray(sheet.convert("RGB"))
    row = TILE + CAPTION
    assert shown.shape == (8 * CAPTION + 4 * row, COLUMNS * TILE, 3)  # two rows of liver, one of b, one of h
    last = shown[-row:]
    assert (last[8 * 20 : 8 * 20 + 2, :TILE] == colors_of(8)[7]).all()
    assert (last[:TILE, TILE:] == 255).all(), "one image holds the last class"


def test_many_classes_have_a_color_each_and_a_legend(tmp_path):
    assert len(set(colors_of(40))) == 40
    names = tuple(f"a class with a long name {number}" for number in range(40))
    data = DataSet("x", names, {"train": (striped(1),)})
    with Image.open(contact_sheet(data, tmp_path / "plain.png")) as sheet:
        lines = sheet.height - (TILE + CAPTION)
    assert lines % CAPTION == 0
    assert lines >= 5 * CAPTION
