"""`check` lists all that is wrong at once, and is silent about what is right."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import Options, synthetic
from bench.data.check import check


def lesion(number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:20, 10:30] = 255
    return rng.integers(0, 255, (40, 50, 3), np.uint8), mask


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    """A small ISIC2017 without test masks: 20 training and 4 validation pairs."""
    number = 0
    for part, count in (("Training", 20), ("Validation", 4)):
        images, masks = tmp_path / f"ISIC-2017_{part}_Data", tmp_path / f"ISIC-2017_{part}_Part1_GroundTruth"
        images.mkdir()
        masks.mkdir()
        for _ in range(count):
            image, mask = lesion(number)
            Image.fromarray(image).save(images / f"ISIC_{number:07d}.jpg")
            Image.fromarray(mask).save(masks / f"ISIC_{number:07d}_segmentation.png")
            number += 1
    return tmp_path


def faults(root: Path) -> list[str]:
    """All but the counts, which are never the published ones in a small tree."""
    return [fault for fault in check("isic2017", root, Options()).faults if "published are" not in fault]


def test_a_sound_tree_has_no_fault_but_its_counts(isic):
    found = check("isic2017", isic, Options())
    assert faults(isic) == []
    assert any("published are" in fault for fault in found.faults)
    assert any(told.startswith("differs from the published data set: 4 validation images") for told in found.remarks)
    assert {split: len(samples) for split, samples in found.data.splits.items()} == {"train": 18, "val": 2, "test": 4}


def test_progress_is_told(isic):
    heard = []
    check("isic2017", isic, Options(), lambda count, total: heard.append((count, total)))
    assert heard[-1] == (24, 24)


def test_every_fault_is_listed_at_once(isic):
    images, masks = isic / "ISIC-2017_Training_Data", isic / "ISIC-2017_Training_Part1_GroundTruth"
    (masks / "ISIC_0000001_segmentation.png").unlink()
    truncated = images / "ISIC_0000002.jpg"
    truncated.write_bytes(truncated.read_bytes()[:300])
    Image.new("L", (10, 10)).save(masks / "ISIC_0000003_segmentation.png")
    twin = isic / "ISIC-2017_Validation_Data" / "ISIC_0000020.jpg"
    twin.write_bytes((images / "ISIC_0000004.jpg").read_bytes())
    (images / "._ISIC_0000005.jpg").write_bytes(b"macOS")
    found = "\n".join(faults(isic))
    assert len(faults(isic)) == 4
    assert "ISIC_0000001" in found
    assert "ISIC_0000002.jpg" in found
    assert "10x10" in found
    assert "the same image is in" in found
    assert "ISIC_0000004, ISIC_0000020" in found


def test_many_files_with_one_fault_are_one_line(isic):
    images, masks = isic / "ISIC-2017_Training_Data", isic / "ISIC-2017_Training_Part1_GroundTruth"
    for number in range(5):
        (masks / f"ISIC_{number:07d}_segmentation.png").unlink()
    for number in range(5, 8):
        Image.new("L", (10, 10 + number)).save(masks / f"ISIC_{number:07d}_segmentation.png")
    for number in (10, 11):
        (images / f"ISIC_{number:07d}.jpg").write_bytes(b"")
    found = faults(isic)
    assert len(found) == 3
    assert found[0].endswith("; the same in 4 more: ISIC-2017_Training_Data/ISIC_0000001.jpg, "
        "ISIC-2017_Training_Data/ISIC_0000002.jpg, ISIC-2017_Training_Data/ISIC_0000003.jpg and 1 more")  # fmt: skip
    ends = sorted(line.rpartition("; ")[2] for line in found[1:])
    assert all(end.startswith("the same in ") for end in ends)
    assert [end.split()[3] for end in ends] == ["1", "2"]


def test_all_masks_empty_is_a_fault(isic):
    for path in isic.glob("*GroundTruth/*.png"):
        Image.new("L", (50, 40)).save(path)
    assert faults(isic) == ["all 24 masks are empty, so there is nothing to learn; get the masks again"]
    for name in ("a", "b", "c", "d", "e"):
        for kind in ("images", "masks"):
            (isic / kind).mkdir(exist_ok=True)
            picture = np.full((4, 4, 3), ord(name) if kind == "images" else 0, np.uint8)
            Image.fromarray(picture).save(isic / kind / f"{name}.png")
    told = check("folder", isic, Options()).faults
    assert [fault.partition(":")[0] for fault in told] == ["all 5 masks are empty"]


def test_empty_masks_are_counted_and_no_fault(isic):
    Image.new("L", (50, 40)).save(isic / "ISIC-2017_Validation_Part1_GroundTruth" / "ISIC_0000021_segmentation.png")
    assert faults(isic) == []
    assert any("1 of 24 masks are empty" in remark for remark in check("isic2017", isic, Options()).remarks)


def test_synthetic_images_need_no_files(monkeypatch):
    monkeypatch.setattr(synthetic, "COUNTS", {"train": 8, "val": 2, "test": 2})  # drawing all 520 takes half a minute
    found = check("synthetic", None, Options())
    assert found.faults == ()


REAL = Path(__file__).parent.parent.parent.parent / "shared" / "data"


@pytest.mark.skipif(not REAL.exists(), reason="the real images are not beside this checkout")
def test_the_copies_that_isic2017_was_published_with_are_remarks():
    found = check("isic2017", REAL / "ISIC2017", Options())
    assert found.faults == ()
    twin = found.remarks.index("the same image is in test and val: ISIC_0012127, ISIC_0012970; it was published so")
    # Each pair was looked at: one lesion, stored twice, some in other colors.
    assert found.remarks[twin + 1].startswith("5 pairs of images on two sides of the split look alike; a network may")
    assert [line.partition(": ")[2].partition(":")[0] for line in found.remarks[twin + 2 :]] == [
        "ISIC_0012756 (train) and ISIC_0013184 (val)", "ISIC_0000171 (train) and ISIC_0015124 (test)",
        "ISIC_0012673 (train) and ISIC_0012672 (val)", "ISIC_0000215 (train) and ISIC_0015313 (test)",
        "ISIC_0000157 (train) and ISIC_0014946 (test)",
    ]  # fmt: skip
