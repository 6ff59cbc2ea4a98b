"""What is in a data set: other pixels are other data whatever the files look like, and nothing is decoded twice."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from opened import samples, sound
from PIL import Image

from bench.data import DataSet, contents, images
from bench.data.contents import pixels, reader_code
from bench.data.kept import database
from bench.data.prepared import content, prepare
from bench.data.sample import Sample
from bench.data.volumes import image_slice, label_of_slice_file, label_slice
from bench.errors import UserError

COUNT = 5


def write_mask(root: Path, number: int, wide: int) -> Path:
    """A mask as BMP, whose size in bytes never tells of an edit."""
    mask = np.zeros((16, 16), np.uint8)
    mask[4:12, :wide] = 255
    path = root / "masks" / f"{number}.bmp"
    Image.fromarray(mask).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A plain folder of five images."""
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(COUNT):
        noise = np.random.default_rng(number).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "data" / "images" / f"{number}.png")
        write_mask(tmp_path / "data", number, 8)
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are decoded from now on."""
    found: list[Path] = []
    load = images._load
    monkeypatch.setattr(images, "_load", lambda path: found.append(path) or load(path))
    return found


def plain(root: Path, patient: str = "") -> DataSet:
    """The images of the folder, read one by one."""
    found = []
    for image in sorted((root / "images").iterdir()):
        mask = root / "masks" / f"{image.stem}.bmp"
        readers = partial(images.read_rgb, image), partial(images.read_mask_for, image, mask, ("foreground",))
        found.append(Sample(image.stem, patient + image.stem, *readers, (image, mask)))
    return DataSet("plain", ("foreground",), {"train": tuple(found)}, label=root.name)


def digest(root: Path) -> str:
    return plain(root).digest


def rewritten_in_place(change: Callable[[], Path]) -> None:
    """Change a file, and set its time back."""
    path = change()
    os.utime(path, ns=(1, 1))


# ---- what is other data, and what is not -----------------------------------------------------------------------------


def test_a_mask_mended_in_place_is_other_data_and_another_cache(root: Path, tmp_path: Path) -> None:
    seen, cached = set(), set()
    for wide in range(2, 12):
        rewritten_in_place(partial(write_mask, root, 3, wide))
        data = sound("folder", root)
        sample = samples(data)["3"]
        assert prepare([sample], 16, tmp_path / "prepared").masks.sum() == wide * 8
        seen.add(data.digest)
        cached.add(content([sample]))
    assert len(seen) == len(cached) == 10


def test_edits_in_quick_succession_are_told_apart(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way, for a database takes its time")
    sample = samples(sound("folder", root))["3"]
    seen = set()
    for number in range(50):  # the times of files move in steps that are longer than it takes to write and read one
        rewritten_in_place(partial(write_mask, root, 3, number % 2))
        seen.add((number % 2, *pixels([sample])))
    assert len(seen) == 2


def test_the_same_file_read_in_another_way_is_another_mask(root: Path) -> None:
    for number in range(COUNT):
        Image.fromarray(np.eye(16, dtype=np.uint8) * 2).save(root / "masks" / f"{number}.bmp")
    asked = ({"foreground": ("2",)}, {"classes": ("a", "b")})
    one, several = (samples(sound("folder", root, **options))["0"] for options in asked)
    assert pixels([one]) != pixels([several])


def test_an_image_an_id_a_patient_and_a_class_count(root: Path, tmp_path: Path) -> None:
    found = [sound("folder", root, classes=classes).digest for classes in ((), ("polyp",))]
    table = tmp_path / "who.csv"
    table.write_text("image,patient\n" + "".join(f"{number},P{number}\n" for number in range(COUNT)))
    found.append(sound("folder", root, patient=str(table)).digest)
    Image.new("RGB", (16, 16), (9, 9, 9)).save(root / "images" / "0.png")
    found.append(sound("folder", root).digest)
    for kind, ending in (("images", "png"), ("masks", "bmp")):
        (root / kind / f"1.{ending}").rename(root / kind / f"01.{ending}")
    found.append(sound("folder", root).digest)
    assert len(set(found)) == 5


def test_a_touched_file_and_a_copy_in_another_folder_are_the_same_data(root: Path, tmp_path: Path) -> None:
    first = digest(root)
    for path in root.glob("*/*"):
        os.utime(path, ns=(5, 5))
    assert digest(root) == first
    assert digest(shutil.copytree(root, tmp_path / "elsewhere")) == first
    assert first == digest(root.rename(tmp_path / "moved"))


def test_a_slice_is_other_data_where_another_slice_of_its_volume_stretches_it(tmp_path: Path) -> None:
    files = tuple(tmp_path / f"p_slice_{number}.h5" for number in range(2))

    def write(at: int, gray: float, label: int) -> None:
        with h5py.File(files[at], "w") as file:
            file["image"], file["label"] = np.full((4, 4), gray), np.full((4, 4), label)

    one = Sample(
        "one", "p", partial(image_slice, files, 0), partial(label_of_slice_file, files[0], ("a",)), files[:1], "v"
    )
    write(0, 1.0, 0)
    write(1, 2.0, 0)
    (first,) = pixels([one])
    write(1, 0.0, 0)
    (second,) = pixels([one])
    assert one.image().max() == 255
    assert first != second
    write(0, 1.0, 1)
    assert pixels([one]) not in ([first], [second])


def test_labels_of_a_volume_that_are_mended_in_place_are_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "v.h5"
    sums = []
    for label in (0, 1, 0):
        with h5py.File(path, "w") as file:
            file["label"] = np.full((2, 4, 4), label)
        sums.append(int(label_slice(path, ("a",), 0).sum()))
    assert sums == [0, 16, 0]


def test_drawn_samples_are_known_by_their_recipe() -> None:
    def toy(recipe: str) -> str:
        return DataSet("toy", ("a",), {"test": (Sample("a", "a", None, None),)}, recipe=recipe).digest

    assert toy("seed 1") == toy("seed 1") != toy("seed 2")


# ---- nothing is decoded twice ----------------------------------------------------------------------------------------


def test_each_file_is_decoded_once_until_it_changes(root: Path, decoded: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    first = plain(root)
    assert first.read(lambda *done: told.append(done)) == first.digest == digest(root)
    assert len(decoded) == len(set(decoded)) == 2 * COUNT
    assert told == [(count, COUNT) for count in range(1, COUNT + 1)]
    changed = write_mask(root, 2, 4)
    assert digest(root) != first.digest
    assert decoded[2 * COUNT :] == [root / "images" / "2.png", changed]


def test_other_names_decode_nothing(root: Path, decoded: list[Path]) -> None:
    digest(root)
    decoded.clear()
    plain(root, patient="P").read()
    assert decoded == []


def test_other_code_decodes_anew_and_counts_only_where_it_reads_otherwise(
    root: Path, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digest(root)
    decoded.clear()
    monkeypatch.setattr(contents, "reader_code", lambda module: f"mended {module}")
    assert digest(root) == first
    assert len(decoded) == 2 * COUNT
    monkeypatch.setattr(contents, "reader_code", lambda module: f"inverted {module}")
    monkeypatch.setattr(images, "read_mask", lambda path: 1 - READ_MASK(path))
    assert digest(root) != first


READ_MASK = images.read_mask


def test_the_code_of_a_reader_is_its_statements_and_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "PIL" in reader_code(images.__name__)
    assert "nibabel" not in reader_code(images.__name__)
    assert "nibabel" in reader_code(image_slice.__module__)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "own_reader.py"
    seen = []
    for text in ("x = 1\n", "# why\nx = 1\n", "x = 2\n", "import numpy\nx = 2\n"):
        file.write_text(text)
        __import__("own_reader")
        reader_code.cache_clear()
        seen.append(reader_code("own_reader"))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3
    assert "numpy" in seen[3]


def test_a_function_that_has_no_name_is_asked_each_time(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"")
    values = iter(range(4))
    odd = Sample("a", "a", lambda: np.full(1, next(values)), lambda: np.zeros(1), (file,))
    assert pixels([odd]) != pixels([odd])


def test_what_changes_while_it_is_decoded_is_not_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, link, load = shutil.copytree(root, tmp_path / "other"), tmp_path / "link", images._load
    write_mask(other, 3, 5)
    right = digest(root)

    def lead_to(folder: Path) -> None:
        (tmp_path / "aside").symlink_to(folder)
        (tmp_path / "aside").replace(link)  # at once, for other files are read meanwhile

    def switched(path: Path) -> Image.Image:
        if path.name == "3.png":
            lead_to(other)
        return load(path)

    lead_to(root)
    monkeypatch.setattr(images, "_load", switched)
    assert digest(link) != right
    monkeypatch.setattr(images, "_load", load)
    lead_to(root)
    assert digest(link) == right


def test_a_broken_file_is_named_and_what_was_decoded_is_kept(root: Path, decoded: list[Path]) -> None:
    broken = root / "masks" / "4.bmp"
    broken.write_bytes(b"BM")
    with pytest.raises(UserError, match=r"cannot read the image .*4\.bmp"):
        digest(root)
    write_mask(root, 4, 8)
    decoded.clear()
    digest(root)
    assert len(decoded) < 2 * COUNT


# ---- where digests are kept ------------------------------------------------------------------------------------------


def test_a_damaged_database_is_replaced(root: Path, decoded: list[Path]) -> None:
    first = digest(root)
    for damage in (b"no database", database().read_bytes()[:100] + b"\xff" * 4096):
        database().write_bytes(damage)
        decoded.clear()
        assert digest(root) == digest(root) == first
        assert len(decoded) == 2 * COUNT


@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link to nothing"])
def test_what_is_no_file_in_the_place_of_the_database_is_not_waited_for(
    root: Path, decoded: list[Path], end: str, kind: str
) -> None:
    first = digest(root)
    path = database().with_name(database().name + end)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path.with_name("away"))
    assert digest(root) == first
    decoded.clear()
    assert digest(root) == first
    assert not decoded


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_without_a_place_to_keep_them_they_are_found_all_the_same(
    root: Path, tmp_path: Path, decoded: list[Path], kind: str
) -> None:
    if kind == "file":
        (tmp_path / "cache").write_text("in the way")
    else:
        database().mkdir(parents=True)
    first = digest(root)
    assert len(decoded) == 2 * COUNT
    assert digest(root) == first
    assert len(decoded) == 2 * COUNT, "the process remembers"


def test_two_processes_at_once(root: Path, decoded: list[Path]) -> None:
    opened = f"open_dataset('folder', Path({str(root)!r}))"
    code = f"from pathlib import Path; from bench.data import open_dataset; print({opened}.digest)"
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[0].strip() for process in processes]
    assert told == [sound("folder", root).digest] * 2
    assert decoded == []


def test_a_digest_that_was_damaged_where_it_is_kept_is_found_anew(root: Path, decoded: list[Path]) -> None:
    from bench.data.kept import database

    before = digest(root)
    decoded.clear()
    content = database().read_bytes()
    for _ in range(2):
        database().write_bytes(content.replace(b"a", b"b"))
        assert digest(root) == before
        assert decoded
        decoded.clear()
        assert digest(root) == before
        assert not decoded


def test_all_broken_files_are_named_at_once(tmp_path: Path) -> None:
    def broken(name: str) -> np.ndarray:
        raise UserError(f"cannot read {name}.png: it is cut off")

    samples = tuple(
        Sample(str(n), str(n), partial(broken, str(n)), partial(broken, str(n)), (tmp_path / f"{n}.png",)) for n in "ab"
    )
    with pytest.raises(UserError, match=r"^cannot read a\.png: it is cut off; the same in 1 more: .*b"):
        pixels(samples)
