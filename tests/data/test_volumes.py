"""Volumes: gray levels stretched to bytes, arrays of NIfTI and HDF5 files, spacing."""

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from bench.data.volumes import bounds, read_array, shape_and_spacing, stretched
from bench.errors import UserError

FILE = Path("a.nii.gz")


def test_the_ends_become_0_and_255() -> None:
    values = np.array([[[-100, 0, 100]], [[300, 299, 300]]], np.int16)
    low, high = bounds(values, FILE)
    assert (low, high) == (-100, 300)
    assert stretched(values, low, high).tolist() == [[[0, 64, 128]], [[255, 254, 255]]]


def test_a_volume_of_one_value_is_black() -> None:
    assert stretched(np.full((2, 2), 7), 7, 7).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(UserError, match=r"a\.nii\.gz holds values that are not finite numbers"):
        bounds(np.array([0, value]), FILE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = np.arange(6.0).reshape(2, 3)
        file.create_group("group")
    return tmp_path / "a.h5"


def test_an_array_and_its_shape(path: Path) -> None:
    assert read_array(path, "image").sum() == 15
    assert shape_and_spacing(path, "image") == ((2, 3), ())


@pytest.mark.parametrize("key", ["label", "group"])
def test_an_array_that_is_not_there_is_told_with_what_is(path: Path, key: str) -> None:
    with pytest.raises(UserError, match=rf"a\.h5 has no array '{key}' of its own, it holds group, image; links are"):
        read_array(path, key)


@pytest.mark.parametrize("size", [0, 20, 1500])
def test_a_file_cut_short_is_named(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"cannot read the volume .*a\.h5 \(.*; the file is broken or cut off"):
        read_array(path, "image")


def test_arrays_kept_in_other_files_are_refused(path: Path) -> None:
    other = path.with_name("b.h5")
    with h5py.File(other, "w") as file:
        file["linked"] = h5py.ExternalLink(str(path), "image")
        layout = h5py.VirtualLayout((2, 3), "f8")
        layout[:] = h5py.VirtualSource(str(path), "image", (2, 3))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("outside", (2,), "u1", external=[("/etc/hostname", 0, 2)])
    with pytest.raises(UserError, match=r"b\.h5 has no array 'linked' of its own"):
        read_array(other, "linked")
    for key in ("virtual", "outside"):
        with pytest.raises(UserError, match=rf"b\.h5 has no array '{key}' of its own"):
            read_array(other, key)


def spacing_of(folder: Path, edit: dict[int, bytes]) -> tuple[float, ...]:
    """The spacing of a frame of 1.5 x 2 x 10 whose header has these bytes at these offsets."""
    path = folder / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.diag([1.5, 2, 10, 1])), path)
    content = bytearray(path.read_bytes())
    for at, written in edit.items():
        content[at : at + len(written)] = written
    path.write_bytes(content)
    shape, spacing = shape_and_spacing(path, "image")
    assert shape == (4, 3, 2)
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
def test_spacing_is_in_millimeters_and_in_the_order_of_slices_rows_and_columns(tmp_path, edit, expected):
    assert spacing_of(tmp_path, edit) == pytest.approx(expected)


def test_what_stands_in_the_place_of_a_volume_is_named(tmp_path: Path) -> None:
    link, pointer = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    link.symlink_to(".git/annex/objects/x.nii.gz")
    with pytest.raises(UserError, match=r"a\.nii\.gz is a link to \.git/annex/objects/x\.nii\.gz, which is not there"):
        shape_and_spacing(link, "image")
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(UserError, match=r"b\.nii\.gz is a Git LFS pointer, not the volume itself; .*git lfs pull"):
        shape_and_spacing(pointer, "image")
