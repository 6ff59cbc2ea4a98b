"""What the levels of masks mean: judged over the data set, refused in one sentence that says what to give instead."""

import pickle
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import Options, facts
from bench.data.contents import pixels
from bench.data.levels import Pair, mask_reader, readers, whole
from bench.data.sample import Sample
from bench.errors import UserError

SIDE = 8
LESION = np.zeros((SIDE, SIDE), np.uint8)
LESION[2:6, 2:6] = 1  # 16 of 64 pixels
WHITE = np.full((SIDE, SIDE), 255, np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def laid(folder: Path, *masks: Image.Image | np.ndarray, ending: str = ".png", **options: object) -> list[Pair]:
    """An image for each mask, and their pairs."""
    pairs = []
    for number, mask in enumerate(masks):
        picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
        image, file = folder / f"{number}.bmp", folder / f"{number}_mask{ending}"
        Image.new("RGB", picture.size, (9, 9, 9)).save(image)
        picture.save(file, **options)
        pairs.append((image, (file,)))
    return pairs


def judged(pairs: Sequence[Pair], classes: Sequence[str] = ("lesion",), **options: object) -> list[str]:
    problems: list[str] = []
    mask_reader(pairs, classes, Options(**options), problems, [])
    return problems


def read(pairs: Sequence[Pair], classes: Sequence[str] = ("lesion",), **options: object) -> list[np.ndarray]:
    """The masks of a data set without a fault."""
    problems: list[str] = []
    reader = mask_reader(pairs, classes, Options(**options), problems, [])
    assert problems == []
    return [reader(*pair) for pair in pairs]


# ---- levels ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def numbered(tmp_path: Path) -> list[Pair]:
    """Four masks with liver, 1, two of them with a tumor in it, 2: the first two alone look like masks of one class."""
    tumor = LESION.copy()
    tumor[3:5, 3:5] = 2
    return laid(tmp_path, LESION, LESION, tumor, tumor)


def test_class_numbers_without_classes_are_refused_once_for_the_data_set(numbered: list[Pair]) -> None:
    assert judged(numbered) == [
        "the masks hold the levels 0 (192 pixels in 4 files), 1 (56 in 4), 2 (8 in 2); a mask of one class holds 0 and "
        "1, or 0 and 255; say what they mean: --classes NAME1,NAME2 if each is a class, or --foreground 1,2 if all of "
        "them are the one class"
    ]
    assert len(judged(numbered, ["liver"])) == 1, "a name for one class does not say which levels it has"


def test_what_the_advice_says_reads_them(numbered: list[Pair]) -> None:
    assert [mask.sum() for mask in read(numbered, foreground=("1", "2"))] == [16] * 4
    assert [mask.sum() for mask in read(numbered, foreground=("2",))] == [0, 0, 4, 4]
    assert [np.bincount(mask.ravel()).tolist() for mask in read(numbered, ["liver", "tumor"])] == [
        [48, 16], [48, 16], [48, 12, 4], [48, 12, 4]
    ]  # fmt: skip
    swapped = read(numbered, ["tumor", "liver"], levels=("0", "2", "1"))
    assert np.bincount(swapped[2].ravel()).tolist() == [48, 4, 12]


def test_gray_levels_of_classes_and_a_white_background(tmp_path: Path) -> None:
    pairs = laid(tmp_path, np.repeat(np.array([[0, 127, 255]], np.uint8), 2, 0))
    assert "--classes NAME1,NAME2 --levels 0,127,255 if each is a class, or --foreground 127,255" in judged(pairs)[0]
    assert read(pairs, ["a", "b"], levels=("0", "127", "255"))[0].tolist() == [[0, 1, 2]] * 2
    assert read(pairs, foreground=("0",))[0].tolist() == [[1, 0, 0]] * 2
    assert read(pairs, foreground=("100-255",))[0].tolist() == [[0, 1, 1]] * 2


def test_one_other_level_beside_black_is_asked_for_too(tmp_path: Path) -> None:
    pairs = laid(tmp_path, LESION * 128)
    assert judged(pairs)[0].endswith("say what they mean: --foreground 128 if all of them are the one class")
    assert read(pairs, foreground=("128",))[0].sum() == 16


def test_zero_and_one_in_some_files_and_255_in_others_is_not_guessed(tmp_path: Path) -> None:
    pairs = laid(tmp_path, LESION, LESION * 255)
    assert "0 (96 pixels in 2 files), 1 (16 in 1), 255 (16 in 1)" in judged(pairs)[0]


def test_numbered_objects_and_blurred_edges_have_an_advice_of_their_own(tmp_path: Path) -> None:
    objects = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert "--foreground 1-63 if all of them are the one class (numbered objects)" in judged(laid(tmp_path, objects))[0]
    blurred = laid(tmp_path, np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8))
    assert "--foreground 128-255 if what is brighter than half is the class" in judged(blurred)[0]
    assert read(blurred, foreground=("128-255",))[0].sum() == 32


def test_levels_that_are_no_class_are_named_with_what_is_allowed(numbered: list[Pair]) -> None:
    assert judged(numbered, ["a", "b"], levels=("0", "1", "3")) == [
        "the masks hold the levels 0 (192 pixels in 4 files), 1 (56 in 4), 2 (8 in 2); allowed are 0 (background), 1 "
        "(a), 3 (b); correct the masks, name more classes, or give their levels: --levels 0,127,255"
    ]


@pytest.mark.parametrize(
    ("classes", "options", "told"),
    [
        (["a"], {"foreground": ("1-",)}, "--foreground takes levels by commas, such as 1,2 or 128-255; got '1-'"),
        (["a"], {"foreground": ("9-1",)}, "got '9-1'"),
        (["a", "b"], {"foreground": ("1",)}, "--foreground names the levels of one class, and --classes with several"),
        (["a"], {"foreground": ("1",), "levels": ("0", "1")}, "and --levels those of several; give one of them"),
        (["a"], {"levels": ("0", "x")}, "--levels takes each level once, by commas, such as 0,127,255; got '0,x'"),
        (["a"], {"levels": ("0", "0")}, "got '0,0'"),
        (["a"], {"levels": ("0", "1", "2")}, "gives 2 classes a level, and --classes names 1: a; the first level is"),
    ],
)
def test_options_that_contradict_themselves(
    numbered: list[Pair], classes: list[str], options: dict[str, tuple[str, ...]], told: str
) -> None:
    with pytest.raises(UserError) as error:
        judged(numbered, classes, **options)
    assert told in str(error.value)


@pytest.mark.parametrize(("value", "what"), [(0, "empty: every pixel is background"), (255, "full: every pixel is fo")])
def test_all_empty_or_all_full_is_a_fault(tmp_path: Path, value: int, what: str) -> None:
    pairs = laid(tmp_path, *[WHITE * 0 + np.uint8(value)] * 3)
    assert judged(pairs)[0].startswith(f"all 3 masks are {what}")
    assert judged(pairs, foreground=("0-255",))[0].startswith("all 3 masks are full")
    assert judged(pairs, ["a", "b"], levels=(str(value), "7", "8"))[0].startswith("all 3 masks are empty")


def test_some_empty_and_full_ones_are_fine(tmp_path: Path) -> None:
    masks = read(laid(tmp_path, LESION * 0, WHITE, LESION * 255))
    assert [mask.sum() for mask in masks] == [0, 64, 16]


# ---- kinds of files --------------------------------------------------------------------------------------------------


def gray_png(path: Path, values: np.ndarray, bits: int) -> None:
    """A gray PNG of 2 or 4 bits a pixel, which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    per = 8 // bits
    rows = values.reshape(len(values), -1, per) << (bits * np.arange(per - 1, -1, -1))
    lines = b"".join(b"\0" + bytes(row.sum(axis=1).tolist()) for row in rows)
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def layer(color: Sequence[int], opacity: np.ndarray) -> Image.Image:
    """A color drawn on a transparent layer of the same color."""
    return Image.fromarray(np.dstack([*(np.full((SIDE, SIDE), one, np.uint8) for one in color), opacity]))


def palette(values: np.ndarray, *colors: int) -> Image.Image:
    picture = Image.fromarray(values, "P")
    picture.putpalette(colors)
    return picture


BOTH = LESION * 255
KINDS = {
    "1 bit": Image.fromarray(LESION.astype(bool)),
    "0 and 1": LESION,
    "16 bits, 0 and 1": LESION.astype(np.uint16),
    "16 bits, 0 and 255": BOTH.astype(np.uint16),
    "16 bits, 0 and 65535": LESION.astype(np.uint16) * 65535,
    "RGB": Image.fromarray(BOTH).convert("RGB"),
    "RGBA, opaque": Image.fromarray(BOTH).convert("RGBA"),
    "red": np.dstack([LESION * 128, LESION * 0, LESION * 0]),
    "drawn in white": layer((255, 255, 255), BOTH),
    "drawn in black": layer((0, 0, 0), BOTH),
    "drawn in red": layer((255, 0, 0), BOTH),
    "drawn in black on white": Image.fromarray(np.dstack([255 - BOTH] * 3 + [BOTH])),
    "gray with opacity": Image.fromarray(np.dstack([WHITE, BOTH])),
    "palette, reversed": palette(1 - LESION, 255, 255, 255, 0, 0, 0),
    "palette, dark red": palette(LESION, 0, 0, 0, 128, 0, 0),
    "palette of one color": palette(LESION, 0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_to_write_one_class_is_the_same_mask(tmp_path: Path, kind: str) -> None:
    assert read(laid(tmp_path, *[KINDS[kind]] * 2))[1].tolist() == LESION.tolist()


@pytest.mark.parametrize("factor", [1, 15])
def test_gray_levels_of_four_bits(tmp_path: Path, factor: int) -> None:
    pairs = laid(tmp_path, LESION)
    gray_png(pairs[0][1][0], LESION * factor, 4)
    assert read(pairs)[0].tolist() == LESION.tolist()
    gray_png(pairs[0][1][0], LESION * 2, 2)
    assert "0 (48 pixels in 1 file), 2 (16 in 1)" in judged(pairs)[0]
    assert read(pairs, ["a", "b"])[0].tolist() == (LESION * 2).tolist()


def test_a_transparent_entry_of_a_palette_of_white(tmp_path: Path) -> None:
    pairs = laid(tmp_path, palette(LESION, 255, 255, 255, 255, 255, 255), transparency=b"\0\xff")
    assert read(pairs)[0].tolist() == LESION.tolist()


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_tiff_of_floats_and_of_32_bits(tmp_path: Path, kind: type) -> None:
    assert read(laid(tmp_path, LESION.astype(kind), ending=".tif"))[0].tolist() == LESION.tolist()


def test_probabilities_need_a_threshold(tmp_path: Path) -> None:
    pairs = laid(tmp_path, LESION.astype(np.float32) * 0.9 + 0.05, ending=".tif")
    assert "0.05 (48 pixels in 1 file), 0.95 (16 in 1)" in judged(pairs)[0]
    assert judged(pairs)[0].endswith("if they are probabilities, give those over your threshold: --foreground 0.5-1")
    assert read(pairs, foreground=("0.5-1",))[0].tolist() == LESION.tolist()


def test_gif_and_webp(tmp_path: Path) -> None:
    for ending, options in ((".gif", {}), (".webp", {"lossless": True}), (".webp", {"quality": 60})):
        assert read(laid(tmp_path, BOTH, ending=ending, **options))[0].tolist() == LESION.tolist()


def test_files_of_several_kinds_are_judged_together(tmp_path: Path) -> None:
    """The breast ultrasound images BUSI have masks of one bit, and a few of RGBA."""
    empty = Image.fromarray(LESION * 0)
    masks = read(laid(tmp_path, KINDS["1 bit"], KINDS["RGBA, opaque"], empty, KINDS["16 bits, 0 and 65535"]))
    assert [mask.sum() for mask in masks] == [16, 16, 0, 16]


def test_colors_of_one_class_are_one_color(tmp_path: Path) -> None:
    red, green = (np.dstack([LESION * r, LESION * g, LESION * 0]) for r, g in ((255, 0), (0, 255)))
    told = judged(laid(tmp_path, red, green))[0]
    assert "0 (96 pixels in 2 files), #00ff00 (16 in 1), #ff0000 (16 in 1)" in told
    assert told.endswith("save one class in black and white, and several as gray levels or palette numbers 0, 1, 2 ...")


def test_palette_numbers_are_the_levels_of_several_classes(tmp_path: Path) -> None:
    pairs = laid(tmp_path, palette(LESION + (LESION * np.eye(8, dtype=np.uint8)), 0, 0, 0, 128, 0, 0, 0, 128, 0))
    assert "0 (48 pixels in 1 file), 1 (12 in 1), 2 (4 in 1)" in judged(pairs)[0]
    assert np.bincount(read(pairs, ["a", "b"])[0].ravel()).tolist() == [48, 12, 4]
    assert read(pairs, foreground=("2",))[0].sum() == 4


def test_colors_and_opacity_that_tell_of_other_regions_are_refused(tmp_path: Path) -> None:
    opacity = WHITE.copy()
    opacity[0] = 0
    told = judged(laid(tmp_path, Image.fromarray(np.dstack([BOTH] * 3 + [opacity]))))
    assert told == [
        "1 mask has transparent pixels and several colors in the others: 0_mask.png; color and transparency "
        "show different regions, so save them in black and white, without transparency"
    ]


def test_pages_are_refused_with_a_way_out(tmp_path: Path) -> None:
    pairs = laid(tmp_path, Image.fromarray(BOTH), ending=".tif", save_all=True, append_images=[Image.fromarray(WHITE)])
    problems: list[str] = []
    assert whole(pairs, problems) == []
    assert "0_mask.tif has several pages, and one image is one page; save each page as a file" in problems[0]


# ---- lossy files -----------------------------------------------------------------------------------------------------


def coarse(level: int) -> np.ndarray:
    """A region of 32 by 32 pixels in 64 by 64."""
    return np.kron(LESION, np.ones((8, 8), np.uint8)) * np.uint8(level)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_jpeg_near_black_and_white_is_cut_at_half(tmp_path: Path, ending: str) -> None:
    pairs = laid(tmp_path, coarse(255), coarse(0), ending=ending, format="JPEG", quality=30)
    assert [mask.sum() for mask in read(pairs)] == [32 * 32, 0]


@pytest.mark.parametrize(("level", "told"), [(1, "levels from 0 to 1"), (128, "1024 pixels between 64 and 191")])
def test_jpeg_of_other_levels_is_refused(tmp_path: Path, level: int, told: str) -> None:
    pairs = laid(tmp_path, coarse(level), ending=".jpg", quality=100)
    assert told in judged(pairs)[0]
    assert "JPEG masks should be near 0 or 255, so save them as PNG from the original" in judged(pairs)[0]
    low = "1" if level == 1 else "64"
    assert read(pairs, foreground=(f"{low}-255",))[0].sum() == 32 * 32


def test_jpeg_of_three_levels_is_refused_and_cannot_be_told_by_levels(tmp_path: Path) -> None:
    three = coarse(255)
    three[24:40, 24:40] = 128
    pairs = laid(tmp_path, three, ending=".jpg", quality=90)
    assert "JPEG masks should be near 0 or 255" in judged(pairs)[0]
    told = "1 mask is JPEG, which blurs levels: 0_mask.jpg; save them as PNG from the original"
    assert judged(pairs, ["a", "b"], levels=("0", "128", "255")) == judged(pairs, ["a", "b"]) == [told]
    assert judged(pairs, foreground=("128",)) == [f"{told}, or give a range such as --foreground 128-255"]


# ---- several masks, sizes, edits -------------------------------------------------------------------------------------


def test_several_masks_of_an_image_are_united_and_said(tmp_path: Path) -> None:
    (image, first), (_, second) = laid(tmp_path, BOTH, np.flipud(np.eye(SIDE, dtype=np.uint8)) * 255)
    notes: list[str] = []
    pairs = [(image, (*first, *second))]
    kept, _, reader = readers(pairs, ["lesion"], Options(), [], notes)
    assert kept == pairs
    assert reader(*pairs[0]).sum() == 16 + 8 - 4
    assert notes == ["1 of 1 images have several masks, which are united, instances too"]


def test_several_masks_that_disagree_are_named(tmp_path: Path) -> None:
    (image, first), (_, second) = laid(tmp_path, LESION, LESION * 2)
    reader = mask_reader([(image, (*first, *second))], ["a", "b"], Options(), [], [])
    with pytest.raises(UserError, match=r"0_mask\.png and .*1_mask\.png give the same pixels different classes"):
        reader(image, (*first, *second))


def test_a_mask_of_another_size_is_named_when_it_is_read(tmp_path: Path) -> None:
    pairs = laid(tmp_path, BOTH)
    Image.new("RGB", (9, 8)).save(pairs[0][0])
    with pytest.raises(UserError, match=r"0\.bmp is 8x9, .*0_mask\.png is 8x8 \(height x width\)"):
        read(pairs)


def test_each_mask_is_decoded_once_for_the_judgement_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, seen, decode = laid(tmp_path, LESION, BOTH * 0, LESION), [], facts.decode_mask
    monkeypatch.setattr(facts, "decode_mask", lambda path: seen.append(path) or decode(path))
    assert judged(pairs) == judged(pairs) == []
    assert sorted(seen) == [masks[0] for _, masks in pairs]
    Image.fromarray(LESION * 7).save(pairs[1][1][0])
    assert "7 (16 in 1)" in judged(pairs)[0]
    assert seen[3:] == [pairs[1][1][0]]


def test_a_mask_that_gets_another_level_after_the_judgement_is_refused(tmp_path: Path) -> None:
    pairs = laid(tmp_path, LESION, LESION)
    reader = mask_reader(pairs, ["lesion"], Options(), [], [])
    Image.fromarray(LESION * 2).save(pairs[0][1][0])
    with pytest.raises(UserError, match=r"0_mask\.png holds the levels 2, which the data set's other masks lack"):
        reader(*pairs[0])


def test_readers_can_be_pickled_and_other_meanings_are_other_data(numbered: list[Pair]) -> None:
    image, masks = numbered[2]
    found = []
    for given in (("1", "2"), ("1-2",), ("1",), ("2",)):
        _, *both = readers(numbered, ["liver"], Options(foreground=given), [], [])
        read_image, read_mask = pickle.loads(pickle.dumps(both))
        found += pixels([Sample("a", "a", partial(read_image, image, masks), partial(read_mask, image, masks), masks)])
    assert found[0] == found[1]
    assert len(set(found)) == 3
