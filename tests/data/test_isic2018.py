"""The ISIC2018 reader on a small tree in the published layout; what it shares with ISIC2017 is tested there."""

from pathlib import Path

import numpy as np
import pytest
from opened import listed, sizes, sound
from PIL import Image

from bench.errors import UserError


def add(root: Path, part: str, numbers: range) -> None:
    data, truth = root / f"ISIC2018_Task1-2_{part}_Input", root / f"ISIC2018_Task1_{part}_GroundTruth"
    for folder in (data, truth):
        folder.mkdir()
        (folder / "LICENSE.txt").write_text("CC-0")
    for number in numbers:
        mask = np.zeros((6, 8), np.uint8)
        mask[0, : number % 10] = 255
        Image.new("RGB", (8, 6), (number, 0, 0)).save(data / f"ISIC_{number:07d}.jpg")
        Image.fromarray(mask).save(truth / f"ISIC_{number:07d}_segmentation.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, numbers in {"Training": range(20), "Validation": range(30, 33), "Test": range(40, 45)}.items():
        add(tmp_path, part, numbers)
    return tmp_path


def test_the_official_splits_stand_and_are_counted(root: Path) -> None:
    data = sound("isic2018", root)
    assert (data.name, sizes(data)) == ("isic2018", [20, 3, 5])
    assert [tally.published for tally in data.tallies] == [2594, 100, 1000]
    assert "seed" not in data.note
    sample = data.splits["test"][3]
    assert (sample.id, sample.image().shape, sample.mask().sum()) == ("ISIC_0000043", (6, 8, 3), 3)


def test_without_test_masks_validation_is_the_test(root: Path) -> None:
    for path in (root / "ISIC2018_Task1_Test_GroundTruth").iterdir():
        path.unlink()
    (root / "ISIC2018_Task1_Test_GroundTruth").rmdir()
    data = sound("isic2018", root)
    assert sizes(data) == [18, 2, 3]
    assert data.note.startswith(
        "no test masks here: test is the official validation set, val 10% of training, seed 2018"
    )


def test_the_other_edition_is_recognized(tmp_path: Path) -> None:
    (tmp_path / "ISIC-2017_Training_Data").mkdir()
    with pytest.raises(UserError, match=r"no folder ISIC2018_Task1-2_Training_Input in .*\nthis looks like ISIC2017"):
        listed("isic2018", tmp_path)
