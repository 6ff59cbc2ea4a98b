"""Synapse as TransUNet prepared it: slices of cases to train on, volumes to test on, eight organs of nine labels."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from opened import listed, samples, sound

from bench.errors import UserError

SIZE = (5, 6)


def slice_file(path: Path, label: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full(SIZE, 0.5, np.float32)
    image[0, 0] = 1
    np.savez(path, image=image, label=np.full(SIZE, label, np.float32))


def volume_file(path: Path, labels: list[int], top: float = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["image"] = np.linspace(0, top, len(labels) * 30, dtype=np.float32).reshape(-1, *SIZE)
        file["label"] = np.repeat(np.float32(labels), 30).reshape(-1, *SIZE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return prepared(tmp_path, "")


def prepared(root: Path, new: str) -> Path:
    for case in range(1, 7):
        for at in range(3):
            slice_file(root / f"train_npz{new}" / f"case{case:04d}_slice{at:03d}.npz", at)
    volume_file(root / f"test_vol_h5{new}" / "case0008.npy.h5", [0, 5, 8])
    return root


def test_slices_and_volumes_are_of_cases(root: Path) -> None:
    data = sound("folder", root)
    assert (data.protocol, data.patients, len(data.classes), data.maps) == ("per_volume", True, 8, 9)
    assert data.classes[4] == "liver"
    assert {one.group for one in data.splits["test"]} == {"case0008"}
    assert len({one.group for one in data.splits["val"]}) == 1
    assert len(data.splits["train"]) + len(data.splits["val"]) == 18
    assert "no folder val: val is 10% of train, by case with seed 1; patients are the cases" in data.note
    one = samples(data)["case0002_slice002"]
    assert (one.group, one.volume) == ("case0002", "case0002")
    assert one.image()[0, :2, 0].tolist() == [255, 128]
    assert (one.mask() == 2).all()
    assert [int(one.mask().max()) for one in data.splits["test"]] == [0, 5, 8]
    assert data.splits["test"][2].image().max() == 255


def test_lists_name_what_is_read(root: Path) -> None:
    lists = root / "lists" / "lists_Synapse"
    lists.mkdir(parents=True)
    names = [f"case{case:04d}_slice{at:03d}" for case in range(1, 6) for at in range(3)]
    (lists / "train.txt").write_text("\n".join(names) + "\n")
    (lists / "test_vol.txt").write_text("case0008\n")
    data = sound("folder", root)
    assert "case0006" not in {one.group for one in samples(data).values()}
    assert "3 files that train.txt does not name are left out: case0006_slice000" in data.note
    (lists / "test_vol.txt").write_text("case0008\ncase0009\n")
    assert "1 names in " in listed("folder", root)[1][0]


def test_the_later_form_has_thirteen_labels_of_which_eight_are_scored(tmp_path: Path) -> None:
    root = prepared(tmp_path, "_new")
    volume_file(root / "test_vol_h5_new" / "case0008.npy.h5", [5, 11, 8, 13])
    data = sound("folder", root)
    assert data.classes[4] == "pancreas"
    assert [int(one.mask().max()) for one in data.splits["test"]] == [0, 5, 8, 0]


def test_what_does_not_fit_is_told(root: Path) -> None:
    volume_file(root / "test_vol_h5" / "case0009.npy.h5", [9], top=3)
    data = sound("folder", root)
    one = samples(data)["case0009_slice000"]
    with pytest.raises(UserError, match=r"case0009\.npy\.h5 holds the label 9; allowed are 0 \(background\), 1 \(sp"):
        one.mask()
    with pytest.raises(UserError, match=r"holds float32 from 0 to 3; expected numbers from 0 to 1"):
        one.image()
    (root / "test_vol_h5").rename(root / "elsewhere")
    with pytest.raises(UserError, match="no folder test_vol_h5 beside train_npz"):
        sound("folder", root)
