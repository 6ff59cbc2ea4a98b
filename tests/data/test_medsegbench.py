"""MedSegBench's files: the official split, the labels of one class and of several, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from opened import listed, samples, sizes, sound

from bench.errors import UserError

COUNTS = {"train": 7, "val": 2, "test": 3}
SIZE = (6, 8)


def write(path: Path, greatest: int = 1, gray: bool = True, ending: str = "", **more: np.ndarray) -> None:
    """Images of one level each, 10 times their number; of label n the first n+1 pixels are of the greatest class."""
    arrays = dict(more)
    for side, count in COUNTS.items():
        shape = (count, *SIZE) if gray else (count, *SIZE, 3)
        images = np.zeros(shape, np.uint8)
        labels = np.zeros((count, *SIZE), np.uint8)
        for number in range(count):
            images[number] = 10 * number
            labels[number, 0, : number + 1] = greatest
        arrays |= {f"{side}_images": images, f"{side}_label{ending}": labels}
    np.savez_compressed(path, **arrays)


@pytest.mark.parametrize("gray", [True, False])
def test_the_official_split_is_kept(tmp_path: Path, gray: bool) -> None:
    write(tmp_path / "kvasir_256.npz", gray=gray)
    data = sound("folder", tmp_path)
    assert sizes(data) == [7, 2, 3]
    assert "read as MedSegBench's kvasir_256.npz with its official split" in data.note
    assert "seed" not in data.note
    one = samples(data)["train_00004"]
    assert one.image().shape == (*SIZE, 3)
    assert (one.image() == 40).all()
    assert one.mask()[0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_classes_have_the_names_of_the_authors(tmp_path: Path) -> None:
    write(tmp_path / "wbc_128.npz", greatest=2)
    data = sound("folder", tmp_path)
    assert data.classes == ("cytoplasm", "nucleus")
    assert samples(data)["val_00001"].mask()[0].tolist() == [2, 2, 0, 0, 0, 0, 0, 0]


def test_labels_that_no_class_explains_are_a_fault(tmp_path: Path) -> None:
    write(tmp_path / "other_128.npz", greatest=2)
    _, problems = listed("folder", tmp_path)
    assert len(problems) == 1
    assert (
        "holds the labels 0, 2; a mask of one class holds 0 and 1, or 0 and 255; name them: --classes NAME2"
        in problems[0]
    )
    data = sound("folder", tmp_path, classes=("a", "b"))
    assert samples(data)["val_00001"].mask().max() == 2


def test_objects_that_are_numbered_are_one_class(tmp_path: Path) -> None:
    write(tmp_path / "pandental_128.npz", greatest=9)
    assert samples(sound("folder", tmp_path))["val_00001"].mask().max() == 1


def test_one_of_several_files_is_named(tmp_path: Path) -> None:
    write(tmp_path / "kvasir_256.npz")
    write(tmp_path / "kvasir_128.npz")
    with pytest.raises(UserError, match=r"holds kvasir_128\.npz, kvasir_256\.npz, .*; say which: --images kv"):
        sound("folder", tmp_path)
    assert "kvasir_256.npz" in sound("folder", tmp_path, images="kvasir_256").note


def test_one_of_several_kinds_of_labels_is_named(tmp_path: Path) -> None:
    write(
        tmp_path / "idrib_128.npz",
        ending="_C1",
        **{f"{side}_label_C2": np.ones((n, *SIZE), np.uint8) for side, n in COUNTS.items()},
    )
    with pytest.raises(UserError, match="holds labels of several kinds; say which: --masks C1 or --masks C2"):
        sound("folder", tmp_path)
    assert samples(sound("folder", tmp_path, masks="C1"))["val_00000"].mask().sum() == 1
    assert samples(sound("folder", tmp_path, masks="C2"))["val_00000"].mask().all()


def test_arrays_that_do_not_fit_and_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "kvasir_256.npz"
    np.savez(path, train_images=np.zeros((3, 4, 4), np.uint8), train_label=np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(UserError, match=r"train_images of .* is \(3, 4, 4\) and train_label is \(2, 4, 4\)"):
        sound("folder", tmp_path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"cannot read the file of arrays .*kvasir_256\.npz \(300 bytes\)"):
        sound("folder", tmp_path)


def test_options_without_a_meaning_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "kvasir_256.npz")
    with pytest.raises(UserError, match=r"--patient is for folders of images and masks, and this is MedSeg"):
        sound("folder", tmp_path, patient="(.)")
