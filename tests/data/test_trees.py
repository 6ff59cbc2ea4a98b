"""Where images and masks lie: common layouts are found by the names of folders, and nothing is guessed."""

import unicodedata
from pathlib import Path

import pytest
from opened import listed, samples, sizes, sound
from trees import mask, pairs, picture

from bench.data.truths import holds_truths_alone
from bench.errors import UserError

NAMES = [f"a{number:02d}" for number in range(10)]
PARTS = {"train": NAMES[:5], "val": NAMES[5:7], "test": NAMES[7:]}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("{side}/images", "{side}/masks"),
        ("images/{side}", "masks/{side}"),
        ("images/{side}", "labels/{side}"),
        ("images/{side}", "annotations/{side}"),
        ("img_dir/{side}", "ann_dir/{side}"),
        ("{side}_images", "{side}_masks"),
        ("{side}/Original", "{side}/Ground Truth"),
        ("data/{side}/imgs", "data/{side}/masks/0"),
        ("{side}/image", "{side}/1st_manual"),
    ],
)
def test_sides_are_told_by_folders_in_any_order(tmp_path: Path, images: str, masks: str) -> None:
    for side, names in PARTS.items():
        pairs(
            f"{tmp_path}/{images.format(side=side)}/{{}}.png", f"{tmp_path}/{masks.format(side=side)}/{{}}.png", names
        )
    data = sound("folder", tmp_path)
    assert sizes(data) == [5, 2, 3]
    assert [one.id for one in data.splits["test"]] == NAMES[7:]
    assert samples(data)["a04"].mask().sum() == 5
    assert "seed" not in data.note


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.png", "masks/{}_mask_1.png"), ("images/{}.PNG", "masks/{}-mask.png"),
        ("images/{}.jpg", "masks/{} mask.png"), ("images/{}.tif", "masks/mask_{}.gif"),
        ("images/{}.png", "masks/{}_lesion.png"), ("images/{}_training.tif", "1st_manual/{}_manual1.gif"),
        ("images/img_{}.png", "masks/mask_{}.png"), ("images/bus_{}-l.png", "masks/mask_{}-l.png"),
        ("images/Image_{}L.jpg", "masks/Image_{}L_1stHO.png"), ("images/{}.png", "masks/GT_{}.png"),
        ("images/{}.png", "masks/{}_anno.bmp"), ("images/{}.png", "masks/{}.png"), ("{}.jpg", "{}_segmentation.png"),
        ("all/{}.png", "all/{}_mask.png"), ("images/{}.png", "images/{}_mask.png"), ("x/{}_image.png", "x/{}_gt.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"), ("imagesTr/{}_0000.png", "labelsTr/{}.png"),
    ],
)  # fmt: skip
def test_masks_are_found_by_common_names(tmp_path: Path, image: str, mask: str) -> None:
    pairs(f"{tmp_path}/{image}", f"{tmp_path}/{mask}", [name[1:] for name in NAMES])
    data = sound("folder", tmp_path)
    assert sizes(data) == [7, 1, 2]
    for one in samples(data).values():
        number = int("".join(filter(str.isdigit, one.id.removesuffix("_0000"))))
        assert one.mask().sum() == number + 1


def test_neither_case_nor_the_form_of_accents_counts(tmp_path: Path) -> None:
    for number in range(10):
        picture(tmp_path / "images" / unicodedata.normalize("NFC", f"Müller_{number}.png"))
        mask(tmp_path / "masks" / unicodedata.normalize("NFD", f"MÜLLER_{number}_mask.PNG"), number + 1)
    data = sound("folder", tmp_path)
    assert sorted(samples(data)) == [f"Müller_{number}" for number in range(10)]
    assert samples(data)["Müller_7"].mask().sum() == 8


def test_busi_as_published_and_one_class_of_it(tmp_path: Path) -> None:
    for kind in ("benign", "malignant", "normal"):
        pairs(f"{tmp_path}/{kind}/{kind} ({{}}).png", f"{tmp_path}/{kind}/{kind} ({{}})_mask.png", list("1234567"))
    mask(tmp_path / "benign" / "benign (4)_mask_1.png", 3, at=2)
    data = sound("folder", tmp_path)
    assert sum(sizes(data)) == 21
    assert "1 of 21 images have several masks, which are united" in data.note
    assert samples(data)["benign (4)"].mask().sum() == 4 + 3
    alone = sound("folder", tmp_path / "benign")
    assert sizes(alone) == [5, 1, 1]
    assert samples(alone)["benign (4)"].mask().sum() == 7


@pytest.mark.parametrize("name", ["{id}", "image"])
def test_one_folder_an_image(tmp_path: Path, name: str) -> None:
    for number in range(6):
        folder = tmp_path / f"id{number}"
        picture(folder / "images" / f"{name.format(id=folder.name)}.png", number)
        for cell in range(3):
            mask(folder / "masks" / f"{'0123'[cell] * 8}.png", number + 1, at=cell)
    data = sound("folder", tmp_path)
    assert sum(sizes(data)) == 6
    assert "6 of 6 images have several masks, which are united" in data.note
    found = samples(data)
    assert all("id3" in "".join(found) for _ in found)
    assert next(one for name, one in found.items() if "id3" in name).mask().sum() == 3 * 4


def test_a_field_of_view_beside_the_masks_is_never_taken_silently(tmp_path: Path) -> None:
    for side, names in (("training", ["21", "22", "23", "24", "25"]), ("test", ["01", "02"])):
        place = f"{tmp_path}/{side}"
        pairs(f"{place}/images/{{}}_{side}.tif", f"{place}/1st_manual/{{}}_manual1.gif", names)
        for name in names:
            mask(Path(f"{place}/mask/{name}_{side}_mask.gif"), 24)
    with pytest.raises(UserError, match=r"1st_manual and mask in .* could both be meant; .* say which: --masks '1st_m"):
        sound("folder", tmp_path)
    data = sound("folder", tmp_path, masks="1st_manual")
    assert sizes(data) == [4, 1, 2]
    assert samples(data)["23_training"].mask().sum() == 3
    assert "folders not read, though they hold as many files: test/mask (2 files), training/mask (5 files)" in data.note
    view = sound("folder", tmp_path, masks="mask")
    assert samples(view)["23_training"].mask().sum() == 24


def test_masks_of_several_folders_are_united_where_the_user_names_them(tmp_path: Path) -> None:
    for number in range(6):
        picture(tmp_path / "images" / f"{number}.png")
        mask(tmp_path / "masks" / "left lung" / f"{number}.gif", 2)
        mask(tmp_path / "masks" / "right lung" / f"{number}.gif", 3, at=3)
    with pytest.raises(
        UserError, match=r"left lung and right lung in .*/masks could both be meant; .*by commas are united"
    ):
        sound("folder", tmp_path)
    data = sound("folder", tmp_path, masks="left lung,right lung")
    assert samples(data)["2"].mask().sum() == 5
    assert samples(sound("folder", tmp_path, masks="masks/Right lung"))["2"].mask().sum() == 3
    with pytest.raises(UserError, match=r"--masks heart is no folder of such files in .*; there are images, "):
        sound("folder", tmp_path, masks="heart")


def test_a_folder_that_could_be_the_masks_is_offered(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/images/{{}}.png", f"{tmp_path}/outlined/{{}}.png", NAMES)
    with pytest.raises(UserError, match=r"outlined holds as many files as images; .* give --masks 'outlined'"):
        sound("folder", tmp_path)
    assert sizes(sound("folder", tmp_path, masks="outlined")) == [7, 1, 2]


def test_images_that_are_their_own_masks(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/images/{{}}.png", f"{tmp_path}/other/{{}}.png", NAMES)
    (tmp_path / "masks").symlink_to("images")
    _, problems = listed("folder", tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith("folder: 10 images are their own masks, such as ")


def test_where_nothing_pairs_one_fault_says_what_the_names_lack(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/images/{{}}.png", f"{tmp_path}/masks/{{}}_outline.png", NAMES)
    _, problems = listed("folder", tmp_path)
    assert len(problems) == 1
    assert "10 of 10 images have no mask in " in problems[0]
    assert "10 of 10 images would pair if the masks were called without '_outline' after the name" in problems[0]


def test_names_that_have_nothing_in_common_are_shown(tmp_path: Path) -> None:
    for number in range(6):
        picture(tmp_path / "images" / f"{chr(97 + number)}.png")
        mask(tmp_path / "masks" / f"{number}.png")
    _, problems = listed("folder", tmp_path)
    assert len(problems) == 1
    assert "the names have nothing in common: images a, b, c and 3 more; masks 0, 1, 2 and 3 more" in problems[0]


def test_masks_of_two_people_are_not_united(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/images/Image_{{}}L.jpg", f"{tmp_path}/masks/Image_{{}}L_1stHO.png", NAMES)
    for name in NAMES:
        mask(tmp_path / "masks" / f"Image_{name}L_2ndHO.png")
    _, problems = listed("folder", tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith("folder: 10 images have masks by several people, such as 'Image_a00L': ")


def test_lists_beside_the_images_are_the_sides(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/images/{{}}.png", f"{tmp_path}/masks/0/{{}}.png", NAMES)
    (tmp_path / "train.txt").write_text("\n".join(NAMES[:7]) + "\n")
    (tmp_path / "val.txt").write_text("\n".join(f"images/{name}.png" for name in NAMES[7:9]))
    data = sound("folder", tmp_path)
    assert [one.id for one in data.splits["test"]] == NAMES[7:9]
    assert len(data.splits["val"]) == 1
    assert "val.txt is the test set, since there is no test.txt" in data.note
    assert "1 images that no list names are left out: a09" in data.note
    (tmp_path / "test.txt").write_text("a09\nzz\n")
    data, problems = listed("folder", tmp_path)
    assert sizes(data) == [7, 2, 1]
    assert problems == [
        "folder: 1 names in the lists have no image: 'zz' of test.txt; get the images again, or take the lines out"
    ]


def test_a_test_without_masks_is_left_out_and_told(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/train/images/{{}}.png", f"{tmp_path}/train/masks/{{}}.png", NAMES)
    picture(tmp_path / "test" / "images" / "x.png")
    data = sound("folder", tmp_path)
    assert sizes(data) == [7, 1, 2]
    assert "test has no masks here and is left out" in data.note
    assert data.note.startswith("test and val are drawn from train by image with seed 1, test 20%, val 10%")


def test_both_with_and_without_sides_is_refused(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/images/{{}}.png", f"{tmp_path}/masks/{{}}.png", NAMES)
    pairs(f"{tmp_path}/train/images/{{}}.png", f"{tmp_path}/train/masks/{{}}.png", NAMES)
    with pytest.raises(UserError, match=r"images and train/images in .* could both be meant; give the folder of one"):
        sound("folder", tmp_path)


def test_images_beside_their_masks_are_no_masks_alone(tmp_path: Path) -> None:
    pairs(f"{tmp_path}/{{}}.png", f"{tmp_path}/{{}}_mask.png", NAMES)
    assert not holds_truths_alone(tmp_path)
    for name in NAMES:
        (tmp_path / f"{name}.png").unlink()
    assert holds_truths_alone(tmp_path)


def test_the_choices_that_are_offered_are_what_the_options_take(tmp_path: Path) -> None:
    for kind in ("PNG", "TIF"):
        pairs(f"{tmp_path}/{kind}/Original/{{}}.png", f"{tmp_path}/{kind}/Ground Truth/{{}}.png", NAMES)
    with pytest.raises(UserError, match=r"could both be meant; .* --images 'PNG/Original'"):
        sound("folder", tmp_path)
    with pytest.raises(UserError, match=r"could both be meant; .* --masks 'PNG/Ground Truth'"):
        sound("folder", tmp_path, images="PNG/Original")
    data = sound("folder", tmp_path, images="PNG/Original", masks="PNG/Ground Truth")
    assert [one.files[0].parts[-3] for one in data.splits["test"]] == ["PNG", "PNG"]


@pytest.mark.parametrize("images", ["CXR_png", "."])
def test_a_folder_that_could_be_the_images_is_offered(tmp_path: Path, images: str) -> None:
    pairs(f"{tmp_path}/{images}/{{}}.png", f"{tmp_path}/masks/{{}}.png", NAMES)
    with pytest.raises(UserError, match=rf"as many files as masks; if these are the images, give --images '{images}'"):
        sound("folder", tmp_path)
    assert sizes(sound("folder", tmp_path, images=images)) == [7, 1, 2]
