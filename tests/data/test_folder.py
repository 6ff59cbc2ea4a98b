"""Anybody's own folders: names of folders and masks, one class and several, split and not, and what goes wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
from opened import listed, samples, sizes, sound
from PIL import Image

from bench.data import open_dataset
from bench.errors import UserError


def add(
    place: Path, count: int, names: tuple[str, str] = ("images", "masks"), ending: str = "", scale: int = 255
) -> None:
    """Images of one gray each; of mask n, n+1 pixels of the first row are foreground."""
    for name in names:
        (place / name).mkdir(parents=True, exist_ok=True)
    start = sum(place.name.encode())  # other images in every part
    for number in range(count):
        mask = np.zeros((4, 24), np.uint8)
        mask[0, : number + 1] = scale
        picture = np.full((4, 24, 3), (number * 10, start % 256, start // 256), np.uint8)
        Image.fromarray(picture).save(place / names[0] / f"{number:02d}.png")
        Image.fromarray(mask).save(place / names[1] / f"{number:02d}{ending}.png")


@pytest.mark.parametrize("names", [("images", "masks"), ("Image", "GT"), ("imgs", "labels"), ("img", "annotations")])
@pytest.mark.parametrize("ending", ["", "_mask", "_seg", "_segmentation", "_gt", "_label"])
def test_common_names_pair(tmp_path: Path, names: tuple[str, str], ending: str) -> None:
    add(tmp_path, 5, names, ending)
    data = sound("folder", tmp_path)
    assert (data.name, data.classes, sizes(data)) == ("folder", ("foreground",), [3, 1, 1])
    assert samples(data)["03"].mask().sum() == 4
    assert data.label == tmp_path.name


def test_without_a_split_it_is_drawn_and_the_note_says_so(tmp_path: Path) -> None:
    add(tmp_path, 20)
    data = sound("folder", tmp_path)
    assert sizes(data) == [14, 2, 4]
    assert data.note.startswith(
        "split by image with seed 1, test 20%, val 10%, identical files on one side; patients are"
    )
    assert data.digest == sound("folder", tmp_path).digest


def test_equal_images_stay_on_one_side(tmp_path: Path) -> None:
    add(tmp_path, 10)
    (tmp_path / "images" / "07.png").write_bytes((tmp_path / "images" / "02.png").read_bytes())
    assert samples(sound("folder", tmp_path))["07"].group == "02"


def test_folders_train_val_test_stand(tmp_path: Path) -> None:
    for part, count in {"train": 4, "Validation": 2, "test": 3}.items():
        add(tmp_path / part, count)
    data, problems = listed("folder", tmp_path)
    # Every part was numbered from 00 here: one id on two sides is a leak until it is renamed.
    assert len(problems) == 3
    assert problems[0].startswith("folder: '00' is in train (")
    for part in ("Validation", "test"):
        for path in list((tmp_path / part).glob("*/*.png")):
            path.rename(path.with_name(f"{part}{path.name}"))
    data = sound("folder", tmp_path)
    assert sizes(data) == [4, 2, 3]
    assert "seed" not in data.note


def test_without_val_a_tenth_of_train_is_drawn(tmp_path: Path) -> None:
    add(tmp_path / "train", 20)
    add(tmp_path / "test", 3)
    for path in list((tmp_path / "test").glob("*/*.png")):
        path.rename(path.with_name(f"t{path.name}"))
    data = sound("folder", tmp_path)
    assert sizes(data) == [18, 2, 3]
    assert "no folder val: val is 10% of train, by image with seed 1" in data.note


def test_one_named_class_and_masks_of_zeros_and_ones(tmp_path: Path) -> None:
    add(tmp_path, 5, scale=1)
    data = sound("folder", tmp_path, classes=("polyp",))
    assert (data.classes, data.maps) == (("polyp",), 1)
    assert samples(data)["02"].mask().sum() == 3


def test_several_classes_are_read_from_the_values(tmp_path: Path) -> None:
    add(tmp_path, 5, scale=2)
    data = sound("folder", tmp_path, classes=("liver", "tumor"))
    assert (data.classes, data.maps) == (("liver", "tumor"), 3)
    assert set(np.unique(samples(data)["02"].mask())) == {0, 2}
    assert data.digest != sound("folder", tmp_path, classes=("cyst", "tumor")).digest
    add(tmp_path, 5, scale=255)
    _, problems = listed("folder", tmp_path, classes=("liver", "tumor"))
    assert len(problems) == 1
    assert "255" in problems[0]
    assert "allowed are 0 (background), 1 (liver), 2 (tumor)" in problems[0]


@pytest.mark.parametrize("classes", [("a", "a"), ("a", " "), ("",)])
def test_classes_need_a_name_each(tmp_path: Path, classes: tuple[str, ...]) -> None:
    add(tmp_path, 5)
    with pytest.raises(UserError, match="has an empty name or one twice; name each class once"):
        sound("folder", tmp_path, classes=classes)


def test_what_has_no_partner_is_a_line_and_other_files_are_counted(tmp_path: Path) -> None:
    add(tmp_path, 10)
    (tmp_path / "masks" / "03.png").unlink()
    (tmp_path / "images" / "04.png").unlink()
    (tmp_path / "images" / "scan.dcm").write_bytes(b"")
    (tmp_path / "images" / "._05.png").write_bytes(b"")
    data, problems = listed("folder", tmp_path)
    assert [problem.partition(";")[0].rpartition("/")[2] for problem in problems] == [
        "04.png has no image", "03.png has no mask"
    ]  # fmt: skip
    assert sum(sizes(data)) == 8
    assert f"left out in {tmp_path}/images, not images: scan.dcm" in data.note


def test_too_few_images_to_split_are_told_unless_a_file_splits_them(tmp_path: Path) -> None:
    add(tmp_path, 4)
    with pytest.raises(UserError, match=r"4 images in .* are too few to split: val would be empty"):
        sound("folder", tmp_path)
    (tmp_path / "split.json").write_text("")
    assert sum(sizes(sound("folder", tmp_path, split_file=tmp_path / "split.json"))) == 4


def test_folders_that_are_missing_or_could_both_be_meant(tmp_path: Path) -> None:
    add(tmp_path, 5, ("images", "elsewhere"))
    with pytest.raises(UserError, match="folder: no folder masks in "):
        sound("folder", tmp_path)
    for name in ("masks", "labels"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"labels and masks in .* could both be meant; one folder of masks is read"):
        sound("folder", tmp_path)


def test_train_without_test_shows_the_layout(tmp_path: Path) -> None:
    add(tmp_path / "train", 5)
    with pytest.raises(UserError, match="folder: no folder test beside train in "):
        sound("folder", tmp_path)


class TestBrokenPixels:
    """What can only be seen by decoding is told when the sample is read."""

    def test_a_truncated_jpeg(self, tmp_path: Path) -> None:
        add(tmp_path, 5)
        (tmp_path / "images" / "02.png").unlink()
        path = tmp_path / "images" / "02.jpg"
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(UserError, match=r"cannot read the image .*02\.jpg \(1000 bytes\)"):
            samples(sound("folder", tmp_path))["02"].image()

    def test_sizes_that_differ(self, tmp_path: Path) -> None:
        add(tmp_path, 5)
        Image.new("L", (9, 9)).save(tmp_path / "masks" / "02.png")
        with pytest.raises(UserError, match=r"image and mask differ in size: .*02\.png is 4x24, .*02\.png is 9x9"):
            samples(sound("folder", tmp_path))["02"].mask()

    def test_gray_16_bit_and_palette_images_become_color(self, tmp_path: Path) -> None:
        add(tmp_path, 5)
        Image.new("L", (24, 4), 7).save(tmp_path / "images" / "01.png")
        deep = np.full((4, 24), 65535, np.uint16)
        deep[3] = 0
        Image.fromarray(deep).save(tmp_path / "images" / "02.png")
        Image.new("RGB", (24, 4), (9, 8, 7)).quantize().save(tmp_path / "images" / "03.png")
        found = samples(sound("folder", tmp_path))
        assert [found[name].image()[0, 0].tolist() for name in ("01", "02", "03")] == [[7] * 3, [255] * 3, [9, 8, 7]]


def test_a_name_that_is_no_utf_8_is_told_in_one_line(tmp_path: Path) -> None:
    add(tmp_path, 12)
    for name in ("images", "masks"):
        path = tmp_path / name / "03.png"
        try:
            path.rename(path.with_name(os.fsdecode(b"p\xff.png")))
        except OSError:
            pytest.skip("a file system that refuses such names")
    with pytest.raises(UserError, match=r"^a name in .* is no UTF-8, so no record can hold it: 'p\\udcff'; rename"):
        open_dataset("folder", tmp_path)


@pytest.mark.parametrize("side", ["val", "test"])
@pytest.mark.parametrize("parts", [("images", "masks"), ("images",), ()])
def test_an_empty_side_of_the_users_own_split_is_not_drawn(tmp_path: Path, side: str, parts: tuple[str, ...]) -> None:
    for part, count in {"train": 8, "val": 2, "test": 3}.items():
        if part != side:
            add(tmp_path / part, count)
    (tmp_path / side).mkdir()
    for part in parts:
        (tmp_path / side / part).mkdir()
    with pytest.raises(UserError, match=rf"{side}.* holds no image, so {side} would be empty") as caught:
        open_dataset("folder", tmp_path)
    assert "\n" not in str(caught.value)


def test_more_classes_than_bytes_have_numbers_are_refused(tmp_path: Path) -> None:
    add(tmp_path, 5)
    with pytest.raises(UserError, match="300 classes are named, and at most 255 are read"):
        sound("folder", tmp_path, classes=tuple(f"c{number}" for number in range(300)))
