"""Images of a user: one gray scale for a data set, and EXIF's orientation used for image and masks alike."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bench.data import Options
from bench.data.levels import Pair, readers
from bench.data.scales import image_reader
from bench.data.turns import turned


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# ---- gray scales -----------------------------------------------------------------------------------------------------


def saved(folder: Path, *images: np.ndarray, ending: str = ".tif") -> list[Pair]:
    pairs = []
    for number, values in enumerate(images):
        path = folder / f"{number}{ending}"
        Image.fromarray(values).save(path)
        pairs.append((path, ()))
    return pairs


def grays(pairs: Sequence[Pair]) -> tuple[list[list[int]], list[str], list[str]]:
    """The first row of each image, problems and notes."""
    problems, notes = list[str](), list[str]()
    reader = image_reader(pairs, problems, notes)
    images = [reader(*pair) for pair in pairs]
    assert all(image.dtype == np.uint8 and (image == image[:, :, :1]).all() for image in images)
    return [image[0, :, 0].tolist() for image in images], problems, notes


@pytest.mark.parametrize(
    ("kind", "high", "top"),
    [
        (np.uint16, 65535, 65535), (np.uint16, 4095, 4095), (np.uint16, 3000, 4095), (np.uint16, 1023, 1023),
        (np.uint16, 16000, 16383), (np.uint16, 200, 255), (np.int32, 4095, 4095), (np.float32, 1, 1),
        (np.float32, 255, 255), (np.float32, 0.5, 1),
    ],
)  # fmt: skip
def test_the_scale_is_that_of_the_bits_which_the_data_set_uses(
    tmp_path: Path, kind: type, high: float, top: int
) -> None:
    pairs = saved(tmp_path, np.array([[0, high / 2, high]]).astype(kind), np.array([[0, 0, high / 4]]).astype(kind))
    shown, problems, notes = grays(pairs)
    expected = [[0, high / 2, high], [0, 0, high / 4]]
    assert shown == [[int(np.rint(float(kind(value)) * 255 / top)) for value in row] for row in expected]
    assert problems == []
    assert notes == [
        f"2 images of more than 8 bits are scaled alike, 0 to {top} (their values end at {high:g})"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(np.uint16, 32000, 34000), (np.int32, -1000, 3000), (np.float32, -1, 1), (np.float32, 0, 0.01)],
    ids=["little of the range", "Hounsfield units", "negative", "tiny"],
)
def test_little_of_the_range_and_negative_values_are_stretched(
    tmp_path: Path, kind: type, low: float, high: float
) -> None:
    pairs = saved(tmp_path, np.array([[low, high]]).astype(kind), np.array([[low, (low + high) / 2]]).astype(kind))
    shown, problems, notes = grays(pairs)
    assert (shown[0], shown[1][0], problems) == ([0, 255], 0, [])
    assert shown[1][1] in (127, 128)
    assert notes[0].endswith(f"{low:g} to {high:g} (the least and the greatest value of the data set)")


def test_images_of_8_bits_stay_as_they_are_beside_deep_ones(tmp_path: Path) -> None:
    shown, _, notes = grays(saved(tmp_path, np.array([[0, 9]], np.uint8), np.array([[0, 4095]], np.uint16)))
    assert shown == [[0, 9], [0, 255]]
    assert notes[0].startswith("1 image of more than 8 bits")


def test_values_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    pairs = saved(tmp_path, np.array([[0, np.nan]], np.float32))
    problems: list[str] = []
    assert readers(pairs, ["a"], Options(), problems, [])[0] == []
    assert "0.tif (" in problems[0]
    assert "it holds values that are not finite numbers" in problems[0]


def rgb16(path: Path, values: np.ndarray) -> Pair:
    """An uncompressed TIFF of three channels of 16 bits, which Pillow does not write."""
    height, width, _ = values.shape
    data = values.astype("<u2").tobytes()
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8 + len(data)), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip
    words = [np.array([16, 16, 16, len(tags)], "<u2").tobytes()]
    words += [np.array([tag[:2]], "<u2").tobytes() + np.array(tag[2:], "<u4").tobytes() for tag in tags]
    start = np.array([8 + len(data) + 6], "<u4").tobytes()
    path.write_bytes(b"II*\0" + start + data + b"".join(words) + bytes(4))
    return path, ()


def test_colors_of_16_bits_are_read_by_their_upper_half_or_refused(tmp_path: Path) -> None:
    full = rgb16(tmp_path / "a.tif", np.full((2, 2, 3), 200 * 257))
    assert grays([full]) == ([[200, 200]], [], [])
    twelve = rgb16(tmp_path / "b.tif", np.full((2, 2, 3), 4095))
    assert grays([twelve])[1] == [
        "1 images of 16 bits a color use at most 4096 of 65536 levels: b.tif; only the upper 8 bits of colors are "
        "read, so scale all to 8 bits by one factor"
    ]


def test_transparent_pixels_of_images_are_said(tmp_path: Path) -> None:
    opaque, holes = np.full((2, 2, 4), 255, np.uint8), np.full((2, 2, 4), 7, np.uint8)
    pairs = saved(tmp_path, opaque, holes, ending=".png")
    shown, problems, notes = grays(pairs)
    assert (shown, problems) == ([[255, 255], [7, 7]], [])
    assert notes == ["opacity is left out of 1 image with transparent pixels: 1.png"]


def test_cmyk_is_converted(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (200, 200, 200)).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert abs(grays([(tmp_path / "a.jpg", ())])[0][0][0] - 200) <= 1


# ---- EXIF ------------------------------------------------------------------------------------------------------------


def photograph(path: Path, turn: int, size: tuple[int, int]) -> np.ndarray:
    """A photograph with an orientation and a bright lesion in the top left as stored; the lesion as seen upright."""
    stored = np.zeros((*size, 3), np.uint8)
    stored[2:6, 2:10] = 255
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(stored).save(path, quality=95, exif=exif)
    with Image.open(path) as again:
        return np.asarray(ImageOps.exif_transpose(again)).max(axis=2) > 128


@pytest.mark.parametrize("turn", range(1, 9))
def test_an_array_is_turned_as_pillow_turns_a_picture(tmp_path: Path, turn: int) -> None:
    upright = photograph(tmp_path / "a.png", turn, (12, 16))
    with Image.open(tmp_path / "a.png") as stored:
        assert (turned(np.asarray(stored).max(axis=2) > 128, turn) == upright).all()


def photographs(
    folder: Path, drawn: Sequence[tuple[int, tuple[int, int], str]], ending: str = ".jpg"
) -> tuple[list[np.ndarray], list[np.ndarray], list[str], list[str]]:
    """Bright pixels of the images and their masks as they are read, of photographs with masks drawn in some way."""
    pairs = []
    for number, (turn, size, way) in enumerate(drawn):
        image, mask = folder / f"{number}{ending}", folder / f"{number}_mask.png"
        upright = photograph(image, turn, size)
        with Image.open(image) as again:
            stored = np.asarray(again).max(axis=2) > 128
        Image.fromarray(upright if way == "upright" else stored).save(mask)
        if way == "tagged":
            photograph(mask, turn, size)
        pairs.append((image, (mask,)))
    problems, notes = list[str](), list[str]()
    kept, read_image, read_mask = readers(pairs, ["a"], Options(), problems, notes)
    bright = [(read_image(*pair).max(axis=2) > 128).astype(np.uint8) for pair in kept]
    return bright, [read_mask(*pair) for pair in kept], problems, notes


WIDE, SQUARE = (24, 40), (24, 24)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(("turn", "size"), [(3, SQUARE), (6, SQUARE), (6, WIDE), (8, WIDE), (3, WIDE), (5, WIDE)])
def test_masks_drawn_on_the_upright_picture_fit(tmp_path: Path, turn: int, size: tuple[int, int], ending: str) -> None:
    images, masks, problems, notes = photographs(tmp_path, [(turn, size, "upright")] * 2, ending)
    assert all((image == mask).all() and mask.sum() == 32 for image, mask in zip(images, masks, strict=True))
    assert problems == []
    assert notes[0].startswith("EXIF turns 2 of 2 images: taken upright, and their masks with them")


def test_masks_drawn_on_the_stored_pixels_are_found_by_their_size_and_decide_for_squares(tmp_path: Path) -> None:
    images, masks, problems, notes = photographs(tmp_path, [(6, WIDE, "stored"), (3, SQUARE, "stored")])
    assert [mask.shape for mask in masks] == [WIDE, SQUARE]
    assert all((image == mask).all() for image, mask in zip(images, masks, strict=True))
    assert (problems, notes) == (
        [],
        [
            "EXIF turns 2 of 2 images: taken as stored, since their masks were drawn so; of 1 the masks fit both ways, "
            "so look at them with `bench data show`"
        ],
    )


def test_masks_with_an_orientation_of_their_own_are_turned_with_their_image(tmp_path: Path) -> None:
    images, masks, problems, _ = photographs(tmp_path, [(6, SQUARE, "tagged"), (6, WIDE, "stored")])
    assert problems == []
    assert all((image == mask).all() for image, mask in zip(images, masks, strict=True))


def test_both_ways_of_drawing_and_images_that_do_not_tell_are_a_fault(tmp_path: Path) -> None:
    drawn = [(6, WIDE, "stored"), (6, WIDE, "upright"), (6, SQUARE, "upright")]
    assert photographs(tmp_path, drawn)[2] == [
        "EXIF turns 3 of 3 images; 1 of their masks fit them upright, 1 of their masks fit them stored, and 1 both "
        "ways (2.jpg); turn the pixels of images and masks upright, and remove the orientation"
    ]
    assert photographs(tmp_path, drawn[:2])[2] == []


def test_an_image_of_many_rows_is_scaled_as_a_whole(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (600, 5)).astype(np.uint16)
    values[0, 0] = 4095
    pairs = saved(tmp_path, values)
    found = image_reader(pairs, [], [])(*pairs[0])[..., 0]
    assert (found == np.rint(values * (255 / 4095))).all()
