"""Masks of several classes: palette numbers and grey levels as they are, and an error for what names no class."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.labels import read_labels_for
from bench.errors import UserError

LABELS = np.array([[0, 1, 2]], np.uint8)
CLASSES = ("liver", "tumour")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (3, 1)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def palette(values: np.ndarray) -> Image.Image:
    picture = Image.fromarray(values, "P")
    picture.putpalette((255, 255, 255, 128, 0, 0, 0, 128, 0))
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(LABELS), Image.fromarray(LABELS.astype(np.uint16)), palette(LABELS),
        Image.fromarray(LABELS).convert("RGB"), Image.fromarray(LABELS).convert("RGBA"),
        Image.fromarray(LABELS).convert("LA"),
    ],
    ids=["grey", "16-bit", "palette", "grey as RGB", "grey as RGBA", "grey with alpha"],
)  # fmt: skip
def test_labels_are_taken_as_they_are(image: Path, picture: Image.Image) -> None:
    mask = image.with_name("mask.png")
    picture.save(mask)
    values = read_labels_for(image, mask, CLASSES)
    assert (values.tolist(), values.dtype) == ([[0, 1, 2]], np.uint8)


def test_values_outside_are_named_with_what_is_allowed(image: Path) -> None:
    mask = image.with_name("mask.png")
    Image.fromarray(np.array([[0, 3, 255]], np.uint8)).save(mask)
    with pytest.raises(
        UserError,
        match=r"mask\.png holds the label 3, 255; allowed are 0 \(background\), 1 \(liver\), 2 \(tumour\); mend",
    ):
        read_labels_for(image, mask, CLASSES)


def test_colours_name_no_class(image: Path) -> None:
    mask = image.with_name("mask.png")
    palette(LABELS).convert("RGB").save(mask)
    with pytest.raises(UserError, match=r"mask\.png is in colour \(Pillow mode RGB\).*palette numbers 0 to 2"):
        read_labels_for(image, mask, CLASSES)


def test_another_size_and_a_broken_file_are_named(image: Path) -> None:
    mask = image.with_name("mask.png")
    Image.new("L", (4, 1)).save(mask)
    with pytest.raises(UserError, match=r"image\.png is 1x3, .*mask\.png is 1x4"):
        read_labels_for(image, mask, CLASSES)
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(UserError, match=r"cannot read the image .*mask\.png"):
        read_labels_for(image, mask, CLASSES)
