"""Reading images and masks: every depth and palette met in the field, and an error that names the file for the rest."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.images import images_in, read_grey, read_mask, read_mask_for, read_rgb, same_bytes, size_of
from bench.errors import UserError

STEPS = np.array([[0, 100, 255]], dtype=np.uint8)


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def palette(path: Path, colours: tuple[int, ...]) -> Path:
    """Two pixels with the palette numbers 0 and 1, whose colours are given one after the other."""
    picture = Image.new("P", (2, 1))
    picture.putpixel((1, 0), 1)
    picture.putpalette(colours)
    picture.save(path)
    return path


def test_grey_comes_as_three_equal_channels(tmp_path: Path) -> None:
    image = read_rgb(save(tmp_path / "a.png", STEPS))
    assert (image.shape, image.dtype) == ((1, 3, 3), np.uint8)
    assert image[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_alpha_is_dropped_without_touching_the_colours(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], dtype=np.uint8))
    assert read_rgb(path).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_palette_is_looked_up(tmp_path: Path) -> None:
    assert read_rgb(palette(tmp_path / "a.png", (0, 0, 0, 10, 200, 30))).tolist() == [[[0, 0, 0], [10, 200, 30]]]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", np.array([[0, 257, 25700, 65535]], dtype=np.uint16))
    assert read_grey(path).tolist() == [[0, 1, 100, 255]]
    assert read_rgb(path)[0, :, 2].tolist() == [0, 1, 100, 255]


def test_a_scale_nobody_can_know_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[0.0, 0.5]], dtype=np.float32))
    with pytest.raises(UserError, match=r"cannot tell the grey scale of .*a\.tif: its values run from 0\.0 to 0\.5"):
        read_rgb(path)


def test_grey_of_a_colour_image_is_its_luma(tmp_path: Path) -> None:
    assert read_grey(save(tmp_path / "a.png", np.array([[[255, 0, 0]]], dtype=np.uint8))).tolist() == [[76]]


def test_mask_is_what_lies_above_the_threshold(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 127, 128, 255]], dtype=np.uint8))
    assert read_mask(path).tolist() == [[0, 0, 1, 1]]
    assert read_mask(path, threshold=200).tolist() == [[0, 0, 0, 1]]
    assert read_mask(path).dtype == np.uint8


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0, 1]], dtype=np.uint8),
        np.array([[0, 1]], dtype=np.uint16),
        np.array([[0, 255]], dtype=np.uint16),
        np.array([[0, 65535]], dtype=np.uint16),
        np.array([[False, True]]),
        np.array([[[0, 0, 0], [128, 0, 0]]], dtype=np.uint8),
    ],
    ids=["0/1", "16-bit 0/1", "16-bit 0/255", "16-bit 0/65535", "1-bit", "dark red"],
)
def test_every_way_to_write_foreground_is_foreground(tmp_path: Path, values: np.ndarray) -> None:
    assert read_mask(save(tmp_path / "a.png", values)).tolist() == [[0, 1]]


def test_palette_mask_goes_by_its_colours(tmp_path: Path) -> None:
    assert read_mask(palette(tmp_path / "dark_red.png", (0, 0, 0, 128, 0, 0))).tolist() == [[0, 1]]
    assert read_mask(palette(tmp_path / "reversed.png", (255, 255, 255, 0, 0, 0))).tolist() == [[1, 0]]


def test_jpeg_noise_in_an_empty_mask_stays_background(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.ones((8, 8), dtype=np.uint8), quality=95)
    assert read_grey(path).max() == 1
    assert read_mask(path).sum() == 0


def test_truncated_jpeg_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "cut.jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        UserError, match=r"cannot read the image .*cut\.jpg \(1000 bytes\): .*; the file is broken or cut off"
    ):
        read_rgb(path)
    assert size_of(path) == (64, 64)


@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (read_rgb, read_grey, read_mask, size_of):
        with pytest.raises(UserError, match=r"cannot read the image .*a\.png"):
            read(path)


def test_a_file_that_has_gone_is_called_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such image file: .*gone\.png; check --data-root"):
        read_rgb(tmp_path / "gone.png")


def test_mask_of_another_size_names_both_files_and_sizes(tmp_path: Path) -> None:
    image = save(tmp_path / "image.png", np.zeros((4, 6), dtype=np.uint8))
    mask = save(tmp_path / "mask.png", np.zeros((4, 5), dtype=np.uint8))
    with pytest.raises(UserError, match=r"image and mask differ in size: .*image\.png is 4x6, .*mask\.png is 4x5"):
        read_mask_for(image, mask)
    assert read_mask_for(image, image).shape == (4, 6)


def test_listing_takes_any_case_and_skips_what_macos_left(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpg", "._a.jpg", ".DS_Store", "a.txt", "c.jpeg"):
        (tmp_path / name).write_bytes(b"")
    found = images_in(tmp_path, (".jpg", ".jpeg"), [])
    assert list(found) == ["a", "b", "c"]
    assert found["b"] == tmp_path / "b.JPG"


def test_two_files_with_one_id_are_both_left_out_and_told(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.png"):
        (tmp_path / name).write_bytes(b"")
    problems: list[str] = []
    assert list(images_in(tmp_path, (".jpg", ".png"), problems)) == ["b"]
    assert problems == [
        f"two files with the id 'a' in {tmp_path}: a.jpg and a.png; "
        "an id names one image, so remove or rename all but one"
    ]


def test_same_bytes_finds_copies_and_nothing_else(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abcde"]
    for path, content in zip(paths, (b"one", b"two", b"one", b"longer", b"one"), strict=True):
        path.write_bytes(content)
    assert same_bytes(paths) == [[paths[0], paths[2], paths[4]]]
