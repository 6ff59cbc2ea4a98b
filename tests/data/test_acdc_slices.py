"""The slice form of ACDC on small trees: slices to train on, volumes to validate and test on, lists that name them."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from opened import listed, sizes, sound

from bench.errors import UserError

SHAPE = (3, 5, 4)  # slices, height, width


def save(path: Path, image: np.ndarray, label: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["image"], file["label"] = image, label


def add_volume(root: Path, volume: str) -> None:
    image = np.zeros(SHAPE, np.float32) + np.arange(3, dtype=np.float32)[:, None, None] / 2
    label = np.zeros(SHAPE, np.uint8)
    label[1, 0, :] = range(4)
    save(root / "data" / f"{volume}.h5", image, label)
    for at in range(3):
        save(root / "data" / f"{volume}_slice_{at + 1}.h5", image[at], label[at])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two patients to train on, one to validate on, one to test on; two frames each."""
    for patient in range(1, 5):
        for frame in (1, 2):
            add_volume(tmp_path, f"patient{patient:03d}_frame{frame:02d}")
    frames = {patient: [f"patient{patient:03d}_frame{frame:02d}" for frame in (1, 2)] for patient in range(1, 5)}
    write(tmp_path, "train_slices", [f"{name}_slice_{at}" for at in (1, 2, 3) for name in frames[1] + frames[2]])
    write(tmp_path, "val", frames[3])
    write(tmp_path, "test", frames[4])
    return tmp_path


def write(root: Path, name: str, lines: list[str]) -> None:
    (root / f"{name}.list").write_text("\n".join(lines) + "\n\n")


def test_lists_say_what_is_where(root: Path) -> None:
    data = sound("acdc", root)
    assert sizes(data) == [12, 6, 6]
    assert data.note == "slices and volumes on the sides of the lists"
    assert data.protocol == "per_volume"
    assert data.recipe == "h5 slices, min-max per volume"


@pytest.mark.parametrize(("side", "name"), [("train", "patient002_frame01"), ("test", "patient004_frame02")])
def test_slices_read_alike_from_their_files_and_from_volumes(root: Path, side: str, name: str) -> None:
    sample = next(sample for sample in sound("acdc", root).splits[side] if sample.id == f"{name}_slice_02")
    assert (sample.group, sample.volume) == (name[:10], name)
    assert sample.image().shape == (5, 4, 3)
    assert (sample.image() == 128).all()
    assert sample.mask()[0].tolist() == [0, 1, 2, 3]
    assert len(sample.files) == 1


def test_slices_may_lie_in_a_folder_of_their_own(root: Path) -> None:
    (root / "data" / "slices").mkdir()
    for path in list((root / "data").glob("*_slice_*.h5")):
        path.rename(root / "data" / "slices" / path.name)
    assert sizes(sound("acdc", root)) == [12, 6, 6]


def test_files_that_no_list_names_are_counted(root: Path) -> None:
    write(root, "test", ["patient004_frame01"])
    lines = (root / "train_slices.list").read_text().split()
    write(root, "train_slices", [line for line in lines if line != "patient001_frame01_slice_2"])
    data = sound("acdc", root)
    assert sizes(data) == [11, 6, 3]
    # One slice to train on; the second frame of patient004, whole and as three slices.
    assert "; 5 files that no list names are left out: patient001_frame01_slice_2, patient004_frame02, " in data.note


def test_a_line_without_its_file_is_a_problem(root: Path) -> None:
    (root / "data" / "patient001_frame01_slice_2.h5").unlink()
    write(root, "val", ["patient003_frame01", "patient003_frame02", "patient033_frame01", "elsewhere"])
    data, problems = listed("acdc", root)
    assert sizes(data) == [11, 6, 6]
    assert [problem.partition(",")[0].rpartition("/")[2] for problem in problems] == [
        "train_slices.list names 'patient001_frame01_slice_2'",
        "val.list names 'patient033_frame01'",
        "val.list names 'elsewhere'",
    ]


@pytest.mark.parametrize("name", ["../patient001_frame01", "/etc/passwd", ".."])
def test_names_that_lead_out_are_refused(root: Path, name: str) -> None:
    write(root, "test", [name])
    with pytest.raises(UserError, match=r"test\.list names '.*', which leads out of "):
        listed("acdc", root)


def test_a_file_that_is_a_link_out_of_the_folder_is_refused(root: Path, tmp_path_factory: pytest.TempPathFactory):
    path = root / "data" / "patient004_frame01.h5"
    path.symlink_to(path.rename(tmp_path_factory.mktemp("outside") / "a.h5"))
    with pytest.raises(UserError, match=r"test\.list names 'patient004_frame01', which leads out of "):
        listed("acdc", root)


def test_a_patient_in_two_lists_is_told_and_left_out(root: Path) -> None:
    write(root, "val", ["patient003_frame01", "patient004_frame01"])
    write(root, "test", ["patient004_frame02"])
    data, problems = listed("acdc", root)
    assert sizes(data) == [12, 3, 0]
    assert problems[0].startswith("ACDC: 'patient004' is in val (")


def test_a_list_that_is_not_there_shows_the_layout(root: Path) -> None:
    (root / "val.list").unlink()
    with pytest.raises(UserError, match=r"ACDC: no file val\.list in "):
        listed("acdc", root)


def test_without_any_list_it_is_drawn_by_patient(root: Path) -> None:
    for path in root.glob("*.list"):
        path.unlink()
    data = sound("acdc", root)
    assert sum(sizes(data)) == 24
    assert data.note.startswith("no split.json: by patient with seed 2018")
    assert data.differs == "4 patients instead of 100"


def test_strange_names_and_two_files_with_one_number_are_lines(root: Path) -> None:
    content = (root / "data" / "patient001_frame01_slice_2.h5").read_bytes()
    for name in ("patient001_frame01_slice_02.h5", "patient1-ED.h5"):
        (root / "data" / name).write_bytes(content)
    data, problems = listed("acdc", root)
    assert sizes(data) == [11, 6, 6]
    assert "patient1-ED.h5 is named after no slice and no volume" in problems[0]
    assert problems[1].startswith("two files with the id 'patient001_frame01_slice_02' in ")
    assert len(problems) == 2


def test_a_broken_volume_is_a_line_and_a_broken_slice_is_told_when_read(root: Path) -> None:
    for name in ("patient004_frame01", "patient001_frame01_slice_1"):
        path = root / "data" / f"{name}.h5"
        path.write_bytes(path.read_bytes()[:900])
    data, problems = listed("acdc", root)
    assert sizes(data) == [12, 6, 3]
    assert len(problems) == 1
    assert "patient004_frame01.h5" in problems[0]
    assert "no list names" not in data.note
    with pytest.raises(UserError, match=r"cannot read .*patient001_frame01_slice_1\.h5"):
        data.splits["train"][0].mask()


def test_sizes_and_labels_that_do_not_fit_are_told(root: Path) -> None:
    save(root / "data" / "patient004_frame01.h5", np.zeros(SHAPE), np.zeros((3, 5, 5)))
    save(root / "data" / "patient001_frame01_slice_1.h5", np.zeros((5, 4)), np.zeros((5, 5)))
    save(root / "data" / "patient004_frame02.h5", np.zeros(SHAPE), np.full(SHAPE, 7))
    data, problems = listed("acdc", root)
    assert "patient004_frame01.h5 is (3, 5, 4) and the labels in " in problems[0]
    with pytest.raises(UserError, match=r"frame01_slice_1\.h5 is \(5, 4\) and the labels in .* are \(5, 5\)"):
        data.splits["train"][0].mask()
    with pytest.raises(UserError, match=r"frame02\.h5 holds the label 7; allowed are 0"):
        data.splits["test"][0].mask()
