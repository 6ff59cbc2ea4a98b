"""Frames found in a patient's folder; what is wrong with them is tested with the whole data set."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from bench.data.acdc_nifti import any_label, patients_in, slices_of


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


def test_patients_are_folders_called_so(tmp_path: Path) -> None:
    for name in ("patient002", "patient001", "other", "._patient003"):
        (tmp_path / name).mkdir()
    (tmp_path / "patient004").write_text("")
    assert list(patients_in(tmp_path)) == ["patient001", "patient002"]
    assert patients_in(tmp_path / "gone") == {}


def test_slices_come_in_order_and_rows_are_y(tmp_path: Path) -> None:
    image = np.zeros((2, 3, 11), np.int16)
    image[1, 0, :] = np.arange(11)  # x = 1, y = 0
    for frame in ("frame12", "frame01"):
        save(tmp_path / "patient001" / f"patient001_{frame}.nii.gz", image)
        save(tmp_path / "patient001" / f"patient001_{frame}_gt.nii", (image > 9).astype(np.uint8))
    patients = patients_in(tmp_path)
    assert any_label(patients)
    problems: list[str] = []
    samples = slices_of(patients, problems)
    assert not problems
    assert [sample.id for sample in samples[9:12]] == [
        "patient001_frame01_slice_10", "patient001_frame01_slice_11", "patient001_frame12_slice_01"
    ]  # fmt: skip
    assert samples[10].image()[:, :, 0].tolist() == [[0, 255], [0, 0], [0, 0]]
    assert samples[10].mask().tolist() == [[0, 1], [0, 0], [0, 0]]
    assert not samples[9].mask().any()


def test_a_frame_in_the_folder_of_another_patient_is_a_line(tmp_path: Path) -> None:
    for name in ("patient002_frame01", "patient002_frame01_gt"):
        save(tmp_path / "patient001" / f"{name}.nii.gz", np.zeros((2, 2, 2), np.int16))
    problems: list[str] = []
    assert slices_of(patients_in(tmp_path), problems) == ()
    assert "patient002_frame01.nii.gz is of another patient than its folder" in problems[0]


def spacing_of(folder: Path, edit: dict[int, bytes]) -> tuple[float, ...]:
    """The spacing of a frame of 1.5 x 2 x 10 whose header has these bytes at these offsets."""
    image, labels = (folder / "patient001" / f"patient001_frame01{end}.nii" for end in ("", "_gt"))
    save(labels, np.zeros((2, 3, 4), np.uint8))
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.diag([1.5, 2, 10, 1])), image)
    content = bytearray(image.read_bytes())
    for at, written in edit.items():
        content[at : at + len(written)] = written
    image.write_bytes(content)
    problems: list[str] = []
    samples = slices_of(patients_in(folder), problems)
    assert not problems
    (spacing,) = {sample.spacing for sample in samples}
    return spacing


# NIfTI keeps the lengths along x, y and z at bytes 80, 84 and 88, and the code of their unit at 123.
@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({}, (10, 2, 1.5)),
        ({80: np.float32(1).tobytes()}, (10, 2, 1)),
        ({123: b"\2"}, (10, 2, 1.5)),
        ({123: b"\1"}, (10000, 2000, 1500)),
        ({123: b"\3"}, (0.01, 0.002, 0.0015)),
        ({123: bytes([2 + 8])}, (10, 2, 1.5)),
        ({123: b"\7"}, (10, 2, 1.5)),
        ({88: np.float32(0).tobytes()}, ()),
        ({88: np.float32(1).tobytes()}, ()),
        ({84: np.float32(np.nan).tobytes()}, ()),
        ({80: np.float32(np.inf).tobytes()}, ()),
    ],
    ids=["no unit", "1 mm", "mm", "m", "micron", "mm and s", "no such unit", "zero", "never set", "nan", "infinite"],
)
def test_spacing_is_in_millimetres_and_in_the_order_of_slices_rows_and_columns(tmp_path, edit, expected):
    assert spacing_of(tmp_path, edit) == pytest.approx(expected)
