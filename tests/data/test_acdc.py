"""The ACDC reader on small NIfTI trees in the published layout, and on the real files."""

import json
import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
from opened import listed, samples, sound

from bench.data import DataSet, open_dataset
from bench.errors import UserError

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ACDC"
SLICES = 3


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


def add_frame(folder: Path, frame: int, size: tuple[int, ...] = (6, 8, SLICES)) -> Path:
    """x runs to 6, y to 8: a picture is 8 high and 6 wide. Values grow with the slice, labels 0 to 3 lie at y = 0."""
    image = np.zeros(size, np.int16)
    image += np.arange(size[2], dtype=np.int16) * 100
    label = np.zeros(size, np.int16)
    label[:4, 0, 1] = range(4)
    stem = f"{folder.name}_frame{frame:02d}"
    save(folder / f"{stem}.nii.gz", image)
    save(folder / f"{stem}_gt.nii.gz", label)
    return folder / f"{stem}.nii.gz"


def add_patients(part: Path, numbers: range) -> None:
    for number in numbers:
        folder = part / f"patient{number:03d}"
        for frame in (1, 12):
            add_frame(folder, frame)
        (folder / f"{folder.name}_4d.nii.gz").write_bytes(b"")
        (folder / "Info.cfg").write_text("ED: 1\nES: 12\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add_patients(tmp_path / "training", range(1, 11))
    return tmp_path


def the_problem(root: Path) -> str:
    """The one problem of a data set whose patient003 has a broken first frame."""
    data, problems = listed("acdc", root)
    assert len(problems) == 1
    assert "\n" not in problems[0]
    volumes = {sample.volume for sample in samples(data).values()}
    assert "patient003_frame01" not in volumes
    assert "patient003_frame12" in volumes
    return problems[0]


def patients(data: DataSet) -> dict[str, int]:
    return {side: len({sample.group for sample in samples}) for side, samples in data.splits.items()}


def test_a_sample_is_a_slice_of_a_volume(root: Path) -> None:
    data = sound("acdc", root)
    assert (data.protocol, data.classes) == ("per_volume", ("right ventricle", "myocardium", "left ventricle"))
    assert data.maps == 4
    assert data.patients
    assert sum(len(side) for side in data.splits.values()) == 10 * 2 * SLICES
    sample = samples(data)["patient004_frame12_slice_02"]
    assert (sample.group, sample.volume) == ("patient004", "patient004_frame12")
    assert [file.name for file in sample.files] == ["patient004_frame12.nii.gz", "patient004_frame12_gt.nii.gz"]
    assert (sample.image().shape, sample.image().dtype) == ((8, 6, 3), np.uint8)
    assert (sample.image() == 128).all()  # the middle of the volume's range, though the slice has one value
    assert sample.mask()[0].tolist() == [0, 1, 2, 3, 0, 0]
    sample.mask()[:] = 9
    assert pickle.loads(pickle.dumps(sample)).mask().max() == 3


def test_without_a_split_it_is_drawn_by_patient(root: Path) -> None:
    data = sound("acdc", root)
    assert patients(data) == {"train": 7, "val": 1, "test": 2}
    assert data.note == "no split.json: by patient with seed 2018, test 20%, val 10%"
    assert data.digest == sound("acdc", root).digest


def test_split_json_says_who_is_where(root: Path) -> None:
    sides = {"train": ["patient003", "patient001"], "val": ["patient002"], "test": ["patient010"]}
    (root / "split.json").write_text(json.dumps(sides))
    data = sound("acdc", root)
    assert {side: {s.group for s in samples} for side, samples in data.splits.items()} == {
        side: set(names) for side, names in sides.items()
    }
    assert "6 patients that it does not name are left out: patient004, patient005, patient006 and 3 more" in data.note
    assert {tally.what: (tally.found, tally.published) for tally in data.tallies} == {
        "patients in training": (10, 100), "patients in train": (2, 70), "patients in val": (1, 10),
        "patients in test": (1, 20), "slices in train": (12, 1312),
    }  # fmt: skip


def test_a_patient_of_split_json_that_is_not_there_is_told(root: Path) -> None:
    sides = {"train": ["patient003", "patient077"], "val": ["patient002"], "test": ["patient010"]}
    (root / "split.json").write_text(json.dumps(sides))
    assert "split.json names patient077, which is not in " in listed("acdc", root)[1][0]


@pytest.mark.parametrize("name", ["../secret", "/etc", "..", "a\\b", ""])
def test_names_that_lead_out_are_refused(root: Path, name: str) -> None:
    (root / "split.json").write_text(json.dumps({"train": [name], "val": [], "test": []}))
    with pytest.raises(UserError, match=r"split\.json names '.*', which leads out of "):
        listed("acdc", root)


def test_a_patient_that_is_a_link_out_of_the_folder_is_refused(root: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside")
    (root / "training" / "patient099").symlink_to(outside)
    (root / "split.json").write_text(json.dumps({"train": ["patient099"], "val": [], "test": []}))
    with pytest.raises(UserError, match=r"split\.json names 'patient099', which leads out of "):
        listed("acdc", root)


def test_testing_with_labels_is_the_test(root: Path) -> None:
    add_patients(root / "testing", range(101, 104))
    data = sound("acdc", root)
    assert patients(data) == {"train": 9, "val": 1, "test": 3}
    assert data.note == "test is the official testing set, val 10% of training, by patient with seed 2018"


def test_testing_without_labels_is_left_out_and_told(root: Path) -> None:
    add_patients(root / "testing", range(101, 104))
    for path in (root / "testing").glob("*/*_gt.nii.gz"):
        path.unlink()
    data = sound("acdc", root)
    assert patients(data) == {"train": 7, "val": 1, "test": 2}
    assert "testing holds no labels: its 3 patients are left out" in data.note


def test_what_has_no_partner_is_a_line(root: Path) -> None:
    folder = root / "training" / "patient003"
    label = folder / "patient003_frame01_gt.nii.gz"
    kept = label.read_bytes()
    label.unlink()
    assert "patient003_frame01.nii.gz has no mask; expected patient003_frame01_gt.nii.gz" in the_problem(root)
    label.write_bytes(kept)
    (folder / "patient003_frame01.nii.gz").unlink()
    assert "patient003_frame01_gt.nii.gz has no image; expected one in " in the_problem(root)


def test_two_files_for_one_frame_are_a_line(root: Path) -> None:
    save(root / "training" / "patient003" / "patient003_frame01.nii", np.zeros((6, 8, SLICES), np.int16))
    assert the_problem(root).startswith("two files with the id 'patient003_frame01' in ")


def test_sizes_that_differ_are_a_line(root: Path) -> None:
    save(root / "training" / "patient003" / "patient003_frame01_gt.nii.gz", np.zeros((6, 8, 2), np.int16))
    assert "frame01.nii.gz is (3, 8, 6) and " in the_problem(root)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x1f\x8b\x08\0broken"])
def test_a_broken_header_is_a_line(root: Path, content: bytes) -> None:
    (root / "training" / "patient003" / "patient003_frame01.nii.gz").write_bytes(content)
    assert "cannot read the volume " in the_problem(root)


def test_an_empty_patient_is_a_line(root: Path) -> None:
    (root / "training" / "patient050").mkdir()
    assert "patient050 has no frame; expected patient050_frame01.nii.gz" in listed("acdc", root)[1][0]


def test_upper_case_endings_and_macos_leftovers(root: Path) -> None:
    folder = root / "training" / "patient003"
    (folder / "._patient003_frame01.nii.gz").write_bytes(b"\0\5\x16\7")
    (folder / "patient003_frame01.nii.gz").rename(folder / "patient003_frame01.NII.GZ")
    sample = samples(sound("acdc", root))["patient003_frame01_slice_01"]
    assert sample.image().shape == (8, 6, 3)


def test_voxels_cut_off_are_told_when_read(root: Path) -> None:
    path = root / "training" / "patient003" / "patient003_frame01.nii.gz"
    save(path, np.random.default_rng(0).integers(0, 999, (60, 80, SLICES)).astype(np.int16))
    save(path.with_name("patient003_frame01_gt.nii.gz"), np.zeros((60, 80, SLICES), np.int16))
    path.write_bytes(path.read_bytes()[:-1000])
    sample = samples(sound("acdc", root))["patient003_frame01_slice_01"]
    with pytest.raises(UserError, match=r"cannot read the volume .*patient003_frame01\.nii\.gz"):
        sample.image()


def test_a_label_outside_the_set_is_told_when_read(root: Path) -> None:
    save(root / "training" / "patient003" / "patient003_frame01_gt.nii.gz", np.full((6, 8, SLICES), 4, np.int16))
    sample = samples(sound("acdc", root))["patient003_frame01_slice_01"]
    with pytest.raises(UserError, match=r"frame01_gt\.nii\.gz holds the label 4; allowed are 0 .*3 \(left ventricle\)"):
        sample.mask()


def test_another_folder_shows_the_layout(root: Path) -> None:
    with pytest.raises(UserError, match=rf"ACDC: no folder training.*\n(.*\n)*did you mean --data-root {root}\?"):
        listed("acdc", root / "training")


def test_slices_come_in_order_and_rows_are_y(tmp_path: Path) -> None:
    image = np.zeros((2, 3, 11), np.int16)
    image[1, 0, :] = np.arange(11)  # x = 1, y = 0
    for frame in ("frame12", "frame01"):
        save(tmp_path / "training" / "patient001" / f"patient001_{frame}.nii.gz", image)
        save(tmp_path / "training" / "patient001" / f"patient001_{frame}_gt.nii", (image > 9).astype(np.uint8))
    found = list(samples(sound("acdc", tmp_path)).values())
    assert [sample.id for sample in found[9:12]] == [
        "patient001_frame01_slice_10", "patient001_frame01_slice_11", "patient001_frame12_slice_01"
    ]  # fmt: skip
    assert found[10].image()[:, :, 0].tolist() == [[0, 255], [0, 0], [0, 0]]
    assert found[10].mask().tolist() == [[0, 1], [0, 0], [0, 0]]
    assert not found[9].mask().any()


def test_only_folders_named_after_patients_are_patients(root: Path) -> None:
    (root / "training" / "other").mkdir()
    (root / "training" / "._patient012").mkdir()
    (root / "training" / "patient013").write_text("")
    assert sum(patients(sound("acdc", root)).values()) == 10


def test_a_frame_in_the_folder_of_another_patient_is_a_line(root: Path) -> None:
    folder = root / "training" / "patient003"
    for end in ("", "_gt"):
        (folder / f"patient003_frame01{end}.nii.gz").rename(folder / f"patient002_frame01{end}.nii.gz")
    assert "patient002_frame01.nii.gz is of another patient than its folder" in the_problem(root)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
def test_the_real_files() -> None:
    data = open_dataset("acdc", REAL)
    assert patients(data) == {"train": 70, "val": 10, "test": 20}
    assert len(data.splits["train"]) == 1312
    assert all(tally.found == tally.published for tally in data.tallies)
    volume = [sample for sample in data.splits["test"] if sample.volume == "patient001_frame01"]
    assert [sample.id[-2:] for sample in volume] == [f"{number:02d}" for number in range(1, 11)]
    pixels = np.stack([sample.image() for sample in volume])
    assert (pixels.shape, pixels.min(), pixels.max()) == ((10, 256, 216, 3), 0, 255)
    assert set(np.unique(np.stack([sample.mask() for sample in volume]))) == {0, 1, 2, 3}
