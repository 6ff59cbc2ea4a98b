"""What people's folders hold beside what is expected: each is read rightly, or refused with what to do."""

import gzip
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from opened import listed, samples, sound
from PIL import Image
from trees import mask, pairs, picture, save

from bench.data import Options
from bench.data.check import check
from bench.data.predicted import find_masks
from bench.errors import UserError

NAMES = [f"a{number}" for number in range(6)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / f"{tmp_path.name}-cache"))


def usual(root: Path, names: list[str] = NAMES) -> None:
    pairs(f"{root}/images/{{}}.png", f"{root}/masks/{{}}.png", names)


def volumes(root: Path, shape: tuple[int, ...] = (6, 5, 2), lengths: tuple[float, ...] = (1, 1, 5)) -> None:
    for kind in ("images", "labels"):
        (root / kind).mkdir()
        for number in range(5):
            values = np.zeros(shape, np.int16)
            values[1:3, 1] = 1 if kind == "labels" else number + 2
            image = nibabel.Nifti1Image(values, np.eye(4))
            image.header["pixdim"][1:4] = lengths
            image.header["xyzt_units"] = 2
            nibabel.save(image, root / kind / f"{number}.nii.gz")


def four_bits(path: Path, values: np.ndarray) -> None:
    """A gray PNG of 4 bits a pixel, which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    lines = b"".join(b"\0" + bytes((row[::2] * 16 + row[1::2]).tolist()) for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), 4, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        listed("folder", root, **options)
    return str(caught.value)


# ---- which masks -----------------------------------------------------------------------------------------------------


def test_masks_beside_the_images_are_not_taken_where_others_were_named(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/{{}}.png", f"{tmp_path}/{{}}_2ndHO.png", NAMES)
    for name in NAMES:
        mask(tmp_path / "first" / f"{name}_1stHO.png", 9)
    assert "no folder images" in refusal(tmp_path, masks="first")
    assert "folders not read, though they hold as many files: first (6 files)" in sound("folder", tmp_path).note


def test_masks_of_two_people_can_be_parted_as_the_fault_says(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/{{}}L.png", f"{tmp_path}/{{}}L_1stHO.png", NAMES)
    for name in NAMES:
        mask(tmp_path / f"{name}L_2ndHO.png", 9)
    assert f"keep those of one person, and move the others out of {tmp_path}" in listed("folder", tmp_path)[1][0]
    for name in NAMES:
        (tmp_path / f"{name}L_2ndHO.png").unlink()
    assert samples(sound("folder", tmp_path))["a3L"].mask().sum() == 4


def test_masks_that_are_copies_of_their_images_are_a_fault(tmp_path: Path) -> None:
    for name in NAMES:
        mask(tmp_path / "images" / f"{name}.png", 3)
        mask(tmp_path / "masks" / f"{name}.png", 3)
    assert listed("folder", tmp_path)[1] == [
        "6 masks are copies of the image, byte for byte: a0.png, a1.png, a2.png and 3 more; get the masks, or give "
        "their folder with --masks"
    ]


def test_a_black_image_with_an_empty_mask_is_no_copy(tmp_path: Path) -> None:
    usual(tmp_path)
    for kind in ("images", "masks"):
        mask(tmp_path / kind / "a2.png", 0)
    assert samples(sound("folder", tmp_path))["a2"].mask().sum() == 0


def test_one_folder_named_for_both_holds_no_pairs(tmp_path: Path) -> None:
    for name in NAMES:
        picture(tmp_path / "pictures" / f"{name}.png")
    told = refusal(tmp_path, images="pictures", masks="pictures")
    assert told.startswith("--images and --masks both name 'pictures', and no file in it is called as a mask; give two")


# ---- layouts that are not known --------------------------------------------------------------------------------------


def test_two_folders_of_other_names_are_offered_and_then_taken(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/stare-pictures/{{}}.ppm", f"{tmp_path}/labels-ah/{{}}.ppm", NAMES)
    assert "hold 6 files each; if these are images and masks, give --images 'stare-pictures' --masks 'labels-ah'" in (
        refusal(tmp_path)
    )
    data = sound("folder", tmp_path, images="stare-pictures", masks="labels-ah")
    assert samples(data)["a4"].mask().sum() == 5


def test_files_that_have_to_be_converted_first_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert "a.json: outlines are not read, so draw them as masks" in refusal(tmp_path)
    (tmp_path / "a.json").unlink()
    (tmp_path / "a.ppm.gz").write_bytes(gzip.compress(b"P6"))
    assert "a.ppm.gz: unpack these files first" in refusal(tmp_path)
    page = Image.new("L", (4, 4))
    page.save(tmp_path / "train-volume.tif", save_all=True, append_images=[page, page])
    assert "train-volume.tif has several pages, and one image is one page; write each page as a file" in refusal(
        tmp_path
    )


def test_what_to_do_without_a_folder_test(tmp_path: Path) -> None:
    for side in ("train", "val"):
        pairs(f"{tmp_path}/img_dir/{side}/{{}}.png", f"{tmp_path}/ann_dir/{side}/{{}}.png", [side, f"{side}2"])
    told = refusal(tmp_path)
    assert "no folder test beside img_dir" in told
    assert "if val is what you test on, call it test: then a tenth of train is drawn as val" in told


def test_a_published_data_set_is_named_by_its_reader(tmp_path: Path) -> None:
    (tmp_path / "ISIC2018_Task1-2_Training_Input").mkdir()
    assert "this looks like ISIC2018; read it with --dataset isic2018" in refusal(tmp_path)


# ---- levels ----------------------------------------------------------------------------------------------------------


def leveled(root: Path, *levels: int) -> None:
    usual(root)
    for name in NAMES:
        values = np.zeros((4, 24), np.uint8)
        values[0, : len(levels)] = levels
        save(root / "masks" / f"{name}.png", values)


def test_a_level_to_ignore_is_explained(tmp_path: Path) -> None:
    leveled(tmp_path, 1, 15, 255)
    advice = "if 255 marks pixels to ignore: every pixel is scored here, so write 0 for them, or make it a class"
    assert listed("folder", tmp_path)[1][0].endswith(advice)
    _, problems = listed("folder", tmp_path, classes=("plane", "person"), levels=("0", "1", "15"))
    assert problems[0].endswith(advice)


def test_three_gray_levels_are_no_sign_of_ignored_pixels(tmp_path: Path) -> None:
    leveled(tmp_path, 128, 255)
    assert "ignore" not in listed("folder", tmp_path)[1][0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"classes": ("a", "b", "c", "d")}, "no mask holds 3 (c): is that level meant?"),
        ({"foreground": ("1", "4", "7-9")}, "no mask holds 7-9: is that level meant?"),
        ({"classes": ("a", "b", "c"), "levels": ("0", "1", "2", "4")}, ""),
    ],
)
def test_levels_that_no_mask_holds_are_said(tmp_path: Path, options: dict[str, object], told: str) -> None:
    leveled(tmp_path, 1, 2, 4)
    note = sound("folder", tmp_path, **options).note
    assert told in note
    assert ("no mask holds" in note) == bool(told)


def test_levels_below_zero_are_refused_without_an_option_that_cannot_name_them(tmp_path: Path) -> None:
    usual(tmp_path)
    for name in NAMES:
        (tmp_path / "masks" / f"{name}.png").unlink()
        values = np.full((4, 24), -1, np.int32)
        values[0, 0] = 0
        Image.fromarray(values).save(tmp_path / "masks" / f"{name}.tif")
    fault = listed("folder", tmp_path)[1][0]
    assert "levels below 0 name no class, so write the masks again" in fault
    assert "--foreground" not in fault


def test_predicted_classes_in_gray_of_four_bits(tmp_path: Path) -> None:
    leveled(tmp_path / "data", 1, 2)
    own = sound("folder", tmp_path / "data", classes=("a", "b")).splits["train"]
    (tmp_path / "predicted").mkdir()
    for sample in own:
        four_bits(tmp_path / "predicted" / f"{sample.id}.png", sample.mask())
    problems: list[str] = []
    predicted = find_masks(tmp_path / "predicted", own, ("a", "b"), problems)
    assert problems == []
    assert all((predicted.read(sample) == sample.mask()).all() for sample in own)


# ---- images and volumes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("highest", "is_faint"), [(12, True), (13, False)])
def test_images_that_use_little_of_their_range_are_said(tmp_path: Path, highest: int, is_faint: bool) -> None:
    usual(tmp_path)
    for number, name in enumerate(NAMES):
        save(tmp_path / "images" / f"{name}.png", np.full((4, 24), highest - number, np.uint8))
    remarks = check("folder", tmp_path, Options()).remarks
    told = "the images use under 5 % of their range: no value is above 12 of 255; if the files hold little more, "
    assert any(told in remark for remark in remarks) == is_faint


OPENS = """
import sys
from pathlib import Path
from PIL import Image
from bench.data import open_dataset
Image.MAX_IMAGE_PIXELS = int(sys.argv[2])
for sample in open_dataset("folder", Path(sys.argv[1])).splits["train"]:
    print(sample.image().shape)
"""


@pytest.mark.parametrize(("limit", "told"), [(60, ""), (40, "has 96 pixels, and at most 80 are read; scale image and")])
def test_images_above_the_usual_size_are_read_without_a_warning(tmp_path: Path, limit: int, told: str) -> None:
    usual(tmp_path)  # of 96 pixels; more than twice the limit are refused
    run = subprocess.run(
        [sys.executable, "-c", OPENS, tmp_path, str(limit)], capture_output=True, text=True, check=False
    )
    assert run.stdout.count("(4, 24, 3)") == (0 if told else 4)
    assert told in run.stderr
    assert "Warning" not in run.stderr


def test_a_spacing_of_zero_is_not_known(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    volumes(tmp_path, lengths=(0, 1, 5))
    data = sound("folder", tmp_path)
    assert samples(data)["1_slice_001"].spacing == ()
    assert "no spacing is known of 5 volumes, so distances are in pixels" in data.note
    assert "pixdim" not in "".join(capfd.readouterr())  # nibabel's own lines


def test_a_picture_in_nifti_is_told_what_to_be(tmp_path: Path) -> None:
    volumes(tmp_path, shape=(6, 5))
    assert listed("folder", tmp_path)[1][0].endswith("write image and labels as PNG, or as volumes of one slice")


def test_colors_in_nifti_are_named(tmp_path: Path) -> None:
    volumes(tmp_path)
    values = np.zeros((6, 5, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for path in (tmp_path / "images").iterdir():
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    faults = check("folder", tmp_path, Options()).faults
    assert "holds colors in place of one number for each voxel; write gray levels; the same in 4 more" in faults[0]
