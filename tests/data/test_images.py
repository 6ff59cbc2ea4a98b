"""Reading images and masks: every depth and palette met in the field, and an error that names the file for the rest."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.images import checked_labels, read_mask, read_mask_for, read_outlined, read_rgb, size_of
from bench.errors import UserError

LABELS = np.array([[0, 1, 2]], np.uint8)
CLASSES = ("liver", "tumor")
STEPS = np.array([[0, 100, 255]], dtype=np.uint8)


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def palette(path: Path, colors: tuple[int, ...]) -> Path:
    """Two pixels with the palette numbers 0 and 1, whose colors are given one after the other."""
    picture = Image.new("P", (2, 1))
    picture.putpixel((1, 0), 1)
    picture.putpalette(colors)
    picture.save(path)
    return path


def test_gray_comes_as_three_equal_channels(tmp_path: Path) -> None:
    image = read_rgb(save(tmp_path / "a.png", STEPS))
    assert (image.shape, image.dtype) == ((1, 3, 3), np.uint8)
    assert image[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_alpha_is_dropped_without_touching_the_colors(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[[10, 20, 30, 0], [40, 50, 60, 255]]], dtype=np.uint8))
    assert read_rgb(path).tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_palette_is_looked_up(tmp_path: Path) -> None:
    assert read_rgb(palette(tmp_path / "a.png", (0, 0, 0, 10, 200, 30))).tolist() == [[[0, 0, 0], [10, 200, 30]]]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a.{ending}", np.array([[0, 257, 25700, 65535]], dtype=np.uint16))
    assert read_rgb(path)[0].tolist() == [[value] * 3 for value in (0, 1, 100, 255)]


def test_a_scale_nobody_can_know_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[0.0, 0.5]], dtype=np.float32))
    with pytest.raises(UserError, match=r"cannot tell the gray scale of .*a\.tif: its values run from 0\.0 to 0\.5"):
        read_rgb(path)


def test_mask_is_what_lies_above_the_threshold(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.array([[0, 127, 128, 255]], dtype=np.uint8))
    assert read_mask(path).tolist() == [[0, 0, 1, 1]]
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


def test_palette_mask_goes_by_its_colors(tmp_path: Path) -> None:
    assert read_mask(palette(tmp_path / "dark_red.png", (0, 0, 0, 128, 0, 0))).tolist() == [[0, 1]]
    assert read_mask(palette(tmp_path / "reversed.png", (255, 255, 255, 0, 0, 0))).tolist() == [[1, 0]]


def test_jpeg_noise_in_an_empty_mask_stays_background(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.ones((8, 8), dtype=np.uint8), quality=95)
    assert read_rgb(path).max() == 1
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
    for read in (read_rgb, read_mask, size_of):
        with pytest.raises(UserError, match=r"cannot read the image .*a\.png"):
            read(path)


def test_a_file_that_has_gone_is_called_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such image: .*gone\.png; check --data-root"):
        read_rgb(tmp_path / "gone.png")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a Git LFS pointer, not the image "),
        (
            b"/annex/objects/MD5E-s4096--0.png\n",
            "is a git-annex pointer, not the image itself; get its content with",
        ),
        (b"", "(0 bytes): the file is empty; the file is broken or cut off, so get it again, or take it out"),
    ],
)
def test_what_stands_in_the_place_of_an_image_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_rgb(path)
    assert told in str(error.value)
    assert "a.png" in str(error.value)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("../.git/annex/objects/xx/MD5E-s1--0.png", "get its content with datalad get, or git annex get"),
        ("../.dvc/cache/00/11", "get its content with dvc pull"),
        ("elsewhere.png", "mend the link, or take it out"),
    ],
)
def test_a_link_to_nothing_says_where_it_leads(tmp_path: Path, target: str, told: str) -> None:
    path = tmp_path / "a.png"
    path.symlink_to(target)
    with pytest.raises(UserError) as error:
        size_of(path)
    assert str(error.value) == f"the image {path} is a link to {target}, which is not there; {told}"


def test_a_folder_with_the_name_of_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a\.png is a folder with the name of an image; rename it, or move it out"):
        read_rgb(tmp_path / "a.png")


def test_an_image_of_too_many_pixels_is_refused_and_a_large_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", np.zeros((10, 10), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    assert read_rgb(path).shape == (10, 10, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(UserError, match=r"bytes\) has 100 pixels, and at most 80 are read; scale image and mask down"):
        read_rgb(path)


def test_mask_of_another_size_names_both_files_and_sizes(tmp_path: Path) -> None:
    image = save(tmp_path / "image.png", np.zeros((4, 6), dtype=np.uint8))
    mask = save(tmp_path / "mask.png", np.zeros((4, 5), dtype=np.uint8))
    with pytest.raises(UserError, match=r"image and mask differ in size: .*image\.png is 4x6, .*mask\.png is 4x5"):
        read_mask_for(image, mask, ("a",))
    assert read_mask_for(image, image, ("a",)).shape == (4, 6)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (3, 1)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def numbered(values: np.ndarray) -> Image.Image:
    picture = Image.fromarray(values, "P")
    picture.putpalette((255, 255, 255, 128, 0, 0, 0, 128, 0))
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(LABELS), Image.fromarray(LABELS.astype(np.uint16)), numbered(LABELS),
        Image.fromarray(LABELS).convert("RGB"), Image.fromarray(LABELS).convert("RGBA"),
        Image.fromarray(LABELS).convert("LA"),
    ],
    ids=["gray", "16-bit", "palette", "gray as RGB", "gray as RGBA", "gray with alpha"],
)  # fmt: skip
def test_labels_are_taken_as_they_are(image: Path, picture: Image.Image) -> None:
    mask = image.with_name("mask.png")
    picture.save(mask)
    values = read_mask_for(image, mask, CLASSES)
    assert (values.tolist(), values.dtype) == ([[0, 1, 2]], np.uint8)


def test_values_outside_are_named_with_what_is_allowed(image: Path) -> None:
    mask = image.with_name("mask.png")
    Image.fromarray(np.array([[0, 3, 255]], np.uint8)).save(mask)
    with pytest.raises(
        UserError,
        match=r"mask\.png holds the label 3, 255; allowed are 0 \(background\), 1 \(liver\), 2 \(tumor\); correct",
    ):
        read_mask_for(image, mask, CLASSES)


def test_colors_name_no_class(image: Path) -> None:
    mask = image.with_name("mask.png")
    numbered(LABELS).convert("RGB").save(mask)
    with pytest.raises(UserError, match=r"mask\.png is in color \(Pillow mode RGB\).*palette numbers 0 to 2"):
        read_mask_for(image, mask, CLASSES)


def test_another_size_and_a_broken_file_are_named(image: Path) -> None:
    mask = image.with_name("mask.png")
    Image.new("L", (4, 1)).save(mask)
    with pytest.raises(UserError, match=r"image\.png is 1x3, .*mask\.png is 1x4"):
        read_mask_for(image, mask, CLASSES)
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(UserError, match=r"cannot read the image .*mask\.png"):
        read_mask_for(image, mask, CLASSES)


def test_labels_are_class_numbers_and_others_are_named() -> None:
    assert checked_labels(np.array([[0.0, 2.0]]), Path("a.nii.gz"), ("a", "b")).dtype == np.uint8
    with pytest.raises(
        UserError, match=r"a\.nii\.gz holds the label -1, 0\.5, 3; allowed are 0 \(background\), 1 \(a\)"
    ):
        checked_labels(np.array([3, 0.5, -1, 0]), Path("a.nii.gz"), ("a", "b"))
    with pytest.raises(UserError, match="and 12 more"):
        checked_labels(np.arange(1, 21) + 2, Path("a.nii.gz"), ("a", "b"))


def test_outlines_are_filled_with_their_border(tmp_path: Path) -> None:
    image = save(tmp_path / "a.png", np.zeros((100, 100), np.uint8))
    triangle, square = ((0, 0), (99, 0), (0, 99)), ((98, 98), (99, 98), (99, 99), (98, 99))
    assert read_outlined(image, Path("a.xml"), [triangle]).sum() == 100 * 101 / 2
    assert read_outlined(image, Path("a.xml"), [triangle, square]).sum() == 100 * 101 / 2 + 4
