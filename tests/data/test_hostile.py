"""Files that are damaged, or made to harm: each is one line that names it, before memory or time is taken."""

import gzip
import os
import struct
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import h5py
import nibabel
import numpy as np
import pytest
from opened import refused

from bench.data import limits
from bench.data import recent as keeping
from bench.data.arrays import read_npz
from bench.data.ddti import read_case
from bench.data.facts import levels_in
from bench.data.files import read_json, same_bytes, stay_inside
from bench.data.images import read_rgb
from bench.data.recent import recent
from bench.data.scans import look_at_labels
from bench.data.synapse import slice_label
from bench.data.volumes import image_slice, read_array, shape_and_spacing, stretched
from bench.errors import UserError


@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "system"])
@pytest.mark.parametrize("name", ["a.png", "a.nii.gz", "a.h5", "a.npz", "a.json"])
def test_pipes_devices_and_links_in_a_circle_are_named(tmp_path, kind, name):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"device": "/dev/zero", "loop": path, "system": "/proc/kmsg"}[kind])
    readers = {
        "a.png": read_rgb, "a.npz": lambda p: read_npz(p, "image"), "a.json": lambda p: read_json(p, "split file"),
    }  # fmt: skip
    told = refused(readers.get(name, lambda p: image_slice((p,), 0)), path)
    assert {"pipe": "is a pipe", "device": "is a device", "loop": "link", "system": "file is empty"}[kind] in told
    assert same_bytes([path, path]) == []


def nifti(path: Path, dims: tuple[int, ...] = (4, 5, 6), **facts: float) -> Path:
    """A file of zeros whose header says something else."""
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), path)
    content = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    struct.pack_into("<8h", content, 40, len(dims), *dims, *[1] * (7 - len(dims)))
    if "offset" in facts:
        struct.pack_into("<f", content, 108, facts["offset"])
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    ("dims", "facts", "told"),
    [
        ((30_000, 30_000, 1000), {}, "at most 16.0 GiB are read"), ((30_000, 1000, 100), {}, "cannot hold"),
        ((4, -5, 6), {}, ""), ((4, 5, 6), {"offset": 3e9}, "at most 16.0 MiB are skipped"),
        ((4, 5, 6), {"offset": -8.0}, "too low"), ((4, 5, 6), {"offset": float("nan")}, ""), ((0, 0, 0), {}, ""),
        ((32_767,) * 7, {}, "at most 16.0 GiB are read"),
    ],
)  # fmt: skip
def test_volumes_that_declare_what_they_do_not_hold_are_refused(tmp_path, name, dims, facts, told):
    path = nifti(tmp_path / name, dims, **facts)
    assert told in refused(lambda p: image_slice((p,), 0), path)


def test_a_volume_packed_in_many_parts_is_refused_and_as_bgzip_packs_it_is_read(tmp_path):
    path, plain = tmp_path / "a.nii.gz", nifti(tmp_path / "b.nii").read_bytes()
    path.write_bytes(gzip.compress(plain) + gzip.compress(b"") * 60_000)
    assert "packed in over 1000 parts" in refused(lambda p: read_array(p, "image"), path)
    values = np.random.default_rng(0).integers(0, 2**15, (100, 100, 100), np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "b.nii")
    plain = (tmp_path / "b.nii").read_bytes()
    path.write_bytes(b"".join(gzip.compress(plain[at : at + 1024]) for at in range(0, len(plain), 1024)))
    assert (read_array(path, "image") == values.T).all()


def test_extensions_of_a_volume_are_not_read(tmp_path):
    """One of them says that it is 2 GB long, and the file is packed zeros."""
    path = nifti(tmp_path / "a.nii.gz")
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[348:352] = b"\1\0\0\0"
    content[352:352] = struct.pack("<ii", 2**31 - 16, 6) + bytes(24)
    struct.pack_into("<f", content, 108, 384.0)
    path.write_bytes(gzip.compress(content))
    assert read_array(path, "image").shape == (6, 5, 4)


def npz(path: Path, header: str, stored: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    packed = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("image.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(packed)) + packed + stored)
    return path


@pytest.mark.parametrize(
    ("shape", "kind", "told"),
    [
        ("(100000, 100000, 100)", "|u1", "at most 16.0 GiB are read"), ("(40000, 40000)", "|u1", "cannot hold"),
        ("(-4, 5)", "|u1", "no shape"), ("(9999999999999999999999, 9)", "<f8", "at most 16.0 GiB are read"),
        ("()", "|V2000000000", "cannot hold"), ("(2, 2)", "|O", ""), ("(2, 'a')", "|u1", ""), ("(1e9,)", "|u1", ""),
    ],
)  # fmt: skip
def test_arrays_that_declare_what_they_do_not_hold_are_refused(tmp_path, shape, kind, told):
    path = npz(tmp_path / "a.npz", f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}", bytes(16))
    assert told in refused(lambda p: read_npz(p, "image"), path)


def test_arrays_packed_as_numpy_does_not_and_lying_sizes_are_refused(tmp_path):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (16,), }"
    told = refused(lambda p: read_npz(p, "image"), npz(tmp_path / "a.npz", header, bytes(16), zipfile.ZIP_LZMA))
    assert "packed as numpy packs nothing" in told
    path = npz(tmp_path / "b.npz", header.replace("16", "1 << 40"), bytes(16))
    refused(lambda p: read_npz(p, "image"), path)
    path = npz(tmp_path / "c.npz", header.replace("16", "4000"), bytes(16))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    struct.pack_into("<II", content, at + 20, 2**31, 2**31)  # in the list of the parts
    path.write_bytes(content)
    refused(lambda p: read_npz(p, "image"), path)


def hdf5(path: Path, make) -> Path:
    with h5py.File(path, "w") as file:
        make(file)
    return path


def linked(file: h5py.File) -> None:
    file["image"] = h5py.ExternalLink("other.h5", "image")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((2, 3, 3), "f4")
    layout[0] = h5py.VirtualSource("other.h5", "image", (3, 3))
    file.create_virtual_dataset("image", layout)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda file: file.create_dataset("image", (10**6, 10**6, 100), "f4", chunks=(1, 8, 8)), "at most 16.0 GiB"),
        (lambda file: file.create_dataset("image", (1000, 1000, 1000), "f8", chunks=(1, 8, 8)), "cannot hold"),
        (lambda file: file.create_dataset("image", (10**4, 10**4, 10), "f8"), "cannot hold"),
        (linked, "links are not followed"), (virtual, "links are not followed"),
        (lambda file: file.create_dataset("image", (2, 2), "f4", external=[("raw", 0, 99)]), "links are not followed"),
        (lambda file: file.create_dataset("image", (2,), h5py.string_dtype()), "in place of numbers"),
        (lambda file: file.create_dataset("image", data=h5py.Empty("f4")), "in place of numbers"),
        (lambda file: file.create_group("image"), "no array 'image' of its own"),
    ],
)  # fmt: skip
def test_hdf5_that_declares_too_much_or_leads_elsewhere_is_refused(tmp_path, make, told):
    path = hdf5(tmp_path / "a.h5", make)
    assert told in refused(lambda p: image_slice((p,), 0), path)


def test_a_part_of_hdf5_that_swells_ends_its_reader_and_no_more(tmp_path):
    """A part says that it holds 64 KiB; unpacked, it is 640 MB of zeros. After it, others are read."""
    swelling, middle = zlib.compressobj(1), bytes(1 << 24)
    packed = b"".join(swelling.compress(middle) for _ in range(40)) + swelling.flush()

    def bomb(file: h5py.File) -> None:
        stored = file.create_dataset("image", (32, 32, 64), "u1", chunks=(32, 32, 64), compression="gzip")
        stored.id.write_direct_chunk((0, 0, 0), packed)

    told = refused(lambda p: read_array(p, "image"), hdf5(tmp_path / "a.h5", bomb))
    assert "cannot read the volume" in told
    good = hdf5(tmp_path / "b.h5", lambda file: file.create_dataset("image", data=np.arange(8.0).reshape(2, 2, 2)))
    assert read_array(good, "image").sum() == 28


def test_a_reader_of_hdf5_that_takes_too_long_is_named(tmp_path, monkeypatch):
    """Its time is over at once: the reader is a process of its own, so that the limit holds in the library too."""
    from bench.data import hdf5 as reader

    path = hdf5(tmp_path / "a.h5", lambda file: file.create_dataset("image", data=np.zeros((2, 2, 2))))
    script = "import os, signal, sys; sys.stdin.readline(); os.kill(os.getpid(), signal.SIGALRM)"
    real = reader.subprocess.Popen
    monkeypatch.setattr(reader, "_READERS", {})
    monkeypatch.setattr(reader.subprocess, "Popen", lambda command, **more: real([command[0], "-c", script], **more))
    assert "took too long" in refused(lambda p: shape_and_spacing(p, "image"), path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '["\\ud800"]', "9" * 5000, "\xff", "{"])
def test_json_that_is_no_json_is_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    assert "cannot read the split file" in refused(lambda p: read_json(p, "split file"), path)


def test_text_of_many_bytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(limits.TEXT + 1)
    assert "at most 16.0 MiB are read" in refused(lambda p: read_json(p, "split file"), path)


def test_more_than_the_memory_that_is_free_is_refused(tmp_path, monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=3 << 30))
    with pytest.raises(UserError, match=r"2\.0 GiB, and 3\.0 GiB of memory are free"):
        limits.refuse_large("volume", tmp_path, (1 << 31,), 1, 1 << 31, packed=False)


def test_a_link_in_a_circle_leads_nowhere_out(tmp_path):
    (tmp_path / "a").symlink_to("a")
    stay_inside("a", tmp_path / "a", tmp_path, tmp_path / "list")


def test_labels_that_are_no_real_numbers_are_told(tmp_path):
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 2), np.complex64), np.eye(4)), path)
    assert look_at_labels(path).fault.startswith(f"{path} holds complex64 in place of one number for each voxel")


def test_levels_are_counted_as_they_are_whatever_their_kind():
    values = np.random.default_rng(0).integers(0, 5, (3, 40, 50))
    wanted = tuple((level, int((values == level).sum())) for level in range(5))
    for kind in (np.uint8, np.int16, np.uint32, np.float32):
        assert levels_in(values.astype(kind)) == wanted
        assert levels_in(np.asfortranarray(values.astype(kind))) == wanted
    vast = np.array([0, 2**32 - 1, 0], np.uint32)  # a place for each level in between would take 32 GB
    assert levels_in(vast) == ((0, 2), (2**32 - 1, 1))
    assert levels_in(np.array([-1, 3], np.int16)) == ((-1, 1), (3, 1))
    assert levels_in(np.empty((0, 3), np.uint8)) == ()


def test_a_volume_is_stretched_as_its_slices_are():
    values = np.random.default_rng(0).normal(size=(3, 5, 4))
    assert (stretched(values, -1, 1) == np.stack([stretched(one, -1, 1) for one in values])).all()


def test_of_large_arrays_only_the_last_is_kept(monkeypatch):
    asked = []

    @recent(3)
    def array(size):
        asked.append(size)
        return np.zeros(size, np.uint8)

    for size in (10, 20, 10, 30, 40, 10, 20):
        array(size)
    assert asked == [10, 20, 30, 40, 20]
    monkeypatch.setattr(keeping, "MOST", 100)
    for size in (200, 200, 50, 200):
        array(size)
    assert asked[5:] == [200, 50, 200]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<case>" + b"<a/>" * 300_000 + b"</case>", "at most 1.0 MiB are read"),
        (b"<case><mark><image>" + b"9" * 5000 + b"</image></mark></case>", "expected a number such as 1"),
    ],
)
def test_case_files_of_ddti_that_are_made_to_swell_are_refused(tmp_path, content, told):
    (tmp_path / "1.xml").write_bytes(content)
    assert told in refused(read_case, tmp_path / "1.xml")


def test_labels_of_a_slice_that_have_no_sides_are_told(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, image=np.zeros((4, 4)), label=np.array(1))
    assert "expected (height, width)" in refused(lambda p: slice_label(p, ("organ",), ()), path)
