"""The ISIC2017 reader on small trees in the published layout, and on the real files where they are."""

from pathlib import Path

import numpy as np
import pytest
from opened import listed, samples, sizes, sound
from PIL import Image

from bench.data import DATASETS
from bench.errors import UserError

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ISIC2017"


def add(root: Path, part: str, numbers: range, size: tuple[int, int] = (6, 8)) -> None:
    """Images of one color each, with a mask that covers as many pixels of the first row as the number's last digit."""
    data, truth = root / f"ISIC-2017_{part}_Data", root / f"ISIC-2017_{part}_Part1_GroundTruth"
    for folder in (data, truth):
        folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        mask = np.zeros((6, 8), dtype=np.uint8)
        mask[0, : number % 10] = 255
        Image.new("RGB", size[::-1], (number, 0, 0)).save(data / f"ISIC_{number:07d}.jpg", quality=100)
        Image.fromarray(mask).save(truth / f"ISIC_{number:07d}_segmentation.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty training and three validation images, no test: the form most copies have."""
    add(tmp_path, "Training", range(20))
    add(tmp_path, "Validation", range(30, 33))
    return tmp_path


def test_without_test_masks_validation_is_the_test(root: Path) -> None:
    data = sound("isic2017", root)
    assert sizes(data) == [18, 2, 3]
    assert not data.patients
    assert data.differs.startswith("3 validation images as the test instead of the 600 test images, 20 Training pairs")
    assert [sample.id for sample in data.splits["test"]] == ["ISIC_0000030", "ISIC_0000031", "ISIC_0000032"]
    assert data.note.startswith(
        "no test masks here: test is the official validation set, val 10% of training, seed 2017"
    )
    assert "20 of the 2000 published Training images are here" in data.note
    assert (data.classes, data.protocol) == (("lesion",), "per_image")
    assert data.known_twins == {frozenset({"ISIC_0012970", "ISIC_0012127"})}
    assert [(tally.what, tally.found, tally.published) for tally in data.tallies] == [
        ("Training pairs", 20, 2000), ("Validation pairs", 3, 150)
    ]  # fmt: skip


def test_test_images_without_masks_change_nothing(root: Path) -> None:
    (root / "ISIC-2017_Test_v2_Data").mkdir()
    assert len(sound("isic2017", root).splits["test"]) == 3


def test_with_test_masks_the_official_splits_stand(root: Path) -> None:
    add(root, "Test_v2", range(40, 45))
    data = sound("isic2017", root)
    assert sizes(data) == [20, 3, 5]
    assert "validation images as the test" not in data.differs
    assert "seed" not in data.note


def test_the_drawn_validation_is_the_same_every_time(root: Path) -> None:
    first, second = sound("isic2017", root), sound("isic2017", root)
    assert [s.id for s in first.splits["val"]] == [s.id for s in second.splits["val"]]
    assert first.digest == second.digest


def test_a_sample_reads_its_pair(root: Path) -> None:
    sample = sound("isic2017", root).splits["test"][2]
    assert (sample.image().shape, sample.image().dtype) == ((6, 8, 3), np.uint8)
    assert sample.mask().sum() == 2
    assert [file.name for file in sample.files] == ["ISIC_0000032.jpg", "ISIC_0000032_segmentation.png"]


def test_what_lies_beside_the_images_is_left_out(root: Path) -> None:
    data = root / "ISIC-2017_Training_Data"
    for name in ("ISIC_0000001_superpixels.png", "._ISIC_0000001.jpg", "ISIC-2017_Training_Data_metadata.csv"):
        (data / name).write_bytes(b"")
    (data / "ISIC_0000001.jpg").rename(data / "ISIC_0000001.JPG")
    splits = sound("isic2017", root).splits
    assert len(splits["train"]) + len(splits["val"]) == 20


def test_each_image_without_a_mask_and_mask_without_an_image_is_a_line(root: Path) -> None:
    for number in (3, 5):
        (root / f"ISIC-2017_Training_Part1_GroundTruth/ISIC_{number:07d}_segmentation.png").unlink()
    (root / "ISIC-2017_Validation_Data/ISIC_0000031.jpg").unlink()
    data, problems = listed("isic2017", root)
    assert sizes(data) == [16, 2, 2]
    assert len(problems) == 3
    assert "ISIC2017: image " in problems[0]
    assert "ISIC_0000003.jpg has no mask; expected ISIC_0000003_segmentation.png in " in problems[0]
    assert "ISIC_0000031_segmentation.png has no image; expected one in " in problems[2]
    assert "18 of the 2000 published Training images are here" in data.note


def test_two_files_with_one_id_are_left_out(root: Path) -> None:
    data, truth = root / "ISIC-2017_Training_Data", root / "ISIC-2017_Training_Part1_GroundTruth"
    (data / "ISIC_0000004.jpeg").write_bytes((data / "ISIC_0000004.jpg").read_bytes())
    (truth / "ISIC_0000006_segmentation.PNG").write_bytes((truth / "ISIC_0000006_segmentation.png").read_bytes())
    data, problems = listed("isic2017", root)
    assert {"ISIC_0000004", "ISIC_0000006"}.isdisjoint(samples(data))
    assert [problem.startswith("two files with the id 'ISIC_000000") for problem in problems] == [True, True]


def test_an_image_in_two_parts_is_told_and_left_out(root: Path) -> None:
    add(root, "Validation", range(2, 3))
    data, problems = listed("isic2017", root)
    assert "ISIC_0000002" not in samples(data)
    assert len(problems) == 1
    assert problems[0].startswith("ISIC2017: 'ISIC_0000002' is in ")
    assert "must stay on one side of a split" in problems[0]


def test_a_missing_folder_shows_the_layout_and_what_is_there(root: Path) -> None:
    (root / "ISIC-2017_Validation_Part1_GroundTruth").rename(root / "masks")
    with pytest.raises(UserError) as caught:
        sound("isic2017", root)
    assert f"no folder ISIC-2017_Validation_Part1_GroundTruth in {root}; found there: ISIC-2017_Training_Data" in str(
        caught.value
    )
    assert DATASETS["isic2017"].layout in str(caught.value)
    assert "looks like" not in str(caught.value)


def test_an_empty_data_folder_is_told(root: Path) -> None:
    for path in (root / "ISIC-2017_Validation_Data").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"no image \(\.jpg, \.jpeg\) in ISIC-2017_Validation_Data"):
        sound("isic2017", root)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("ISIC2018_Task1-2_Training_Input/", "ISIC2018"),
        ("7.xml", "the original release of DDTI"),
        ("trainval-image/", "TN3K"),
    ],
)
def test_another_data_set_is_recognized(tmp_path: Path, name: str, guess: str) -> None:
    (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=f"this looks like {guess}"):
        sound("isic2017", tmp_path)


def test_the_folder_one_too_high_is_recognized(root: Path) -> None:
    inner = root / "deep" / "ISIC2017"
    inner.mkdir(parents=True)
    for part in list(root.glob("ISIC-2017_*")):
        part.rename(inner / part.name)
    with pytest.raises(UserError, match=f"did you mean --data-root {inner}\\?"):
        sound("isic2017", root / "deep")


def test_sizes_that_differ_are_told_when_the_mask_is_read(root: Path) -> None:
    add(root, "Validation", range(30, 31), size=(6, 9))
    sample = sound("isic2017", root).splits["test"][0]
    with pytest.raises(UserError, match=r"ISIC_0000030\.jpg is 6x9, .*ISIC_0000030_segmentation\.png is 6x8"):
        sample.mask()


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
def test_the_real_files() -> None:
    data = sound("isic2017", REAL)
    assert data.digest == "857ad7e096bd", "stored records name this digest"
    assert [(tally.found, tally.published) for tally in data.tallies] == [(2000, 2000), (150, 150)]
    assert sizes(data) == [1800, 200, 150]
    assert data.differs == "150 validation images as the test instead of the 600 test images"
    for sample in data.splits["test"][:5]:
        assert sample.image().shape[:2] == sample.mask().shape
        assert set(np.unique(sample.mask())) == {0, 1}
