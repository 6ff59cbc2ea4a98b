"""The TN3K reader on a small tree in the published layout: folds are index lists, masks are JPEG."""

import json
from pathlib import Path

import numpy as np
import pytest
from opened import listed, sizes, sound
from PIL import Image

from bench.errors import UserError


def add(root: Path, part: str, count: int) -> None:
    for kind in ("image", "mask"):
        (root / f"{part}-{kind}").mkdir()
    for number in range(count):
        mask = np.zeros((16, 24), np.uint8)
        mask[:8, :8] = 255
        Image.new("L", (24, 16), number * 10).save(root / f"{part}-image" / f"{number:04d}.jpg")
        Image.fromarray(mask).save(root / f"{part}-mask" / f"{number:04d}.jpg", quality=70)


def write_fold(root: Path, fold: int, train: list[object], val: list[object]) -> None:
    (root / f"tn3k-trainval-fold{fold}.json").write_text(json.dumps({"train": train, "val": val}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add(tmp_path, "trainval", 10)
    add(tmp_path, "test", 3)
    for fold in range(5):
        write_fold(tmp_path, fold, [n for n in range(10) if n % 5 != fold], [n for n in range(10) if n % 5 == fold])
    return tmp_path


def test_folds_are_as_published(root: Path) -> None:
    for fold in range(5):
        data = sound("tn3k", root, fold=fold)
        assert sizes(data) == [8, 2, 3]
        assert data.fold == fold
        assert [sample.id for sample in data.splits["val"]] == [f"trainval-{fold:04d}", f"trainval-{fold + 5:04d}"]
    assert len({sound("tn3k", root, fold=fold).digest for fold in range(5)}) == 5


def test_the_published_counts(root: Path) -> None:
    assert [tally.published for tally in sound("tn3k", root, fold=0).tallies] == [2879, 614, 2303, 576]
    assert [tally.published for tally in sound("tn3k", root, fold=4).tallies] == [2879, 614, 2304, 575]


def test_other_images_laid_out_as_tn3k_are_told(root: Path) -> None:
    assert sound("tn3k", root).differs == (
        "10 trainval pairs instead of 2879, 3 test pairs instead of 614, 8 train of fold 0 instead of 2303, "
        "2 val of fold 0 instead of 576"
    )


def test_gray_images_become_color_and_jpeg_masks_are_cut_above_127(root: Path) -> None:
    sample = sound("tn3k", root).splits["test"][1]
    assert (sample.id, sample.group) == ("test-0001", "test-0001")
    assert not sound("tn3k", root).patients
    assert sample.image().shape == (16, 24, 3)
    assert set(np.unique(np.asarray(Image.open(sample.files[1])))) != {0, 255}
    assert sample.mask().sum() == 64


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_that_is_not_published_is_refused(root: Path, fold: int) -> None:
    with pytest.raises(UserError, match=rf"--fold {fold} is no fold of TN3K; the published folds are 0 to 4"):
        sound("tn3k", root, fold=fold)


def test_a_fold_file_that_is_not_there_shows_the_layout(root: Path) -> None:
    (root / "tn3k-trainval-fold3.json").unlink()
    with pytest.raises(UserError, match=r"TN3K: no file tn3k-trainval-fold3\.json in "):
        sound("tn3k", root, fold=3)


@pytest.mark.parametrize(
    ("train", "val", "told"),
    [
        ([*range(1, 10)], [0, 10], "trainval-image holds images 0 to 9, and it names 10"),
        ([*range(1, 10)], [0, -1], "trainval-image holds images 0 to 9, and it names -1"),
        ([*range(1, 10), 9], [0], "twice on one side are the images 9"),
        ([*range(10)], [0, 5], "on both sides are the images 0, 5"),
        ([*range(2, 10)], [0], "on neither side are the images 1"),
        ([*range(1, 10)], [False], "it does not hold"),
        (["../../x"], [0], "it does not hold"),
    ],
)
def test_a_fold_file_that_does_not_fit_is_told(root: Path, train: list[object], val: list[object], told: str) -> None:
    write_fold(root, 0, train, val)
    with pytest.raises(UserError) as caught:
        sound("tn3k", root)
    assert f"tn3k-trainval-fold0.json does not fit: {told}" in str(caught.value)


def test_a_damaged_fold_file_is_named(root: Path) -> None:
    (root / "tn3k-trainval-fold0.json").write_text('{"train": [1, 2')
    with pytest.raises(
        UserError, match=r"cannot read the fold file .*-fold0\.json \(15 bytes\): .*; the file is broken"
    ):
        sound("tn3k", root)


def test_an_image_left_out_does_not_shift_the_others(root: Path) -> None:
    (root / "trainval-mask" / "0003.jpg").unlink()
    (root / "trainval-image" / "0004.jpg").unlink()
    data, problems = listed("tn3k", root)
    assert [sample.id[-1] for sample in data.splits["train"]] == list("126789")
    assert [sample.id[-1] for sample in data.splits["val"]] == list("05")
    assert len(problems) == 2
