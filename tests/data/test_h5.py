"""HDF5 arrays: from the file itself, never through it from another one."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from bench.data.h5 import read_array, shape_of
from bench.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = np.arange(6.0).reshape(2, 3)
        file.create_group("group")
    return tmp_path / "a.h5"


def test_an_array_and_its_shape(path: Path) -> None:
    assert read_array(path, "image").sum() == 15
    assert shape_of(path, "image") == (2, 3)


@pytest.mark.parametrize("key", ["label", "group"])
def test_an_array_that_is_not_there_is_told_with_what_is(path: Path, key: str) -> None:
    with pytest.raises(UserError, match=rf"a\.h5 has no array '{key}' of its own, it holds group, image; get"):
        read_array(path, key)


@pytest.mark.parametrize("size", [0, 20, 1500])
def test_a_file_cut_short_is_named(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"cannot read .*a\.h5: .*; the file is broken or cut off"):
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
        with pytest.raises(UserError, match=rf"b\.h5 keeps its array '{key}' in other files"):
            read_array(other, key)
