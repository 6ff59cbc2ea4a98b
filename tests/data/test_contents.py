"""What is decoded decides which data they are, and nothing is decoded twice."""

import os
import shutil
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import contents, open_dataset
from bench.data.contents import database, sample_digests
from bench.data.prepared import prepare
from bench.data.sample import Sample
from bench.errors import UserError

COUNT = 10
READ: list[Path] = []


def read(path: Path, add: int = 0) -> np.ndarray:
    READ.append(path)
    return np.asarray(Image.open(path)) + np.uint8(add)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget(monkeypatch)
    READ.clear()


def forget(monkeypatch) -> None:
    """As a new process would begin: with what is in the database alone."""
    monkeypatch.setattr(contents, "_KEPT", {})


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder of images and masks; BMP files do not change their size with what is in them."""
    folder = tmp_path / "data"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(COUNT):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:02d}.png")
        draw(folder / "masks" / f"{number:02d}.bmp", 2)
    return folder


def draw(path: Path, left: int) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, left:6] = 255
    Image.fromarray(mask).save(path)


def digest(root: Path) -> str:
    return open_dataset("folder", root).digest


def samples(root: Path, add: int = 0) -> list[Sample]:
    pairs = zip(sorted((root / "images").iterdir()), sorted((root / "masks").iterdir()), strict=True)
    return [
        Sample(image.stem, image.stem, partial(read, image, add), partial(read, mask), (image, mask))
        for image, mask in pairs
    ]


def test_a_mask_mended_in_place_is_other_data_in_results_and_in_the_cache(root, tmp_path):
    before, prepared = digest(root), prepare(samples(root), 8, tmp_path / "resized")
    path = root / "masks" / "03.bmp"
    facts = path.stat()
    draw(path, 4)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    assert digest(root) != before
    assert (prepare(samples(root), 8, tmp_path / "resized").masks[3] != prepared.masks[3]).any()
    draw(path, 2)
    assert digest(root) == before


def test_a_copy_elsewhere_and_a_touched_file_are_the_same_data(root, tmp_path):
    before = digest(root)
    shutil.copytree(root, tmp_path / "other" / "name")
    assert digest(tmp_path / "other" / "name") == before
    (root / "masks" / "03.bmp").touch()
    assert digest(root) == before


def test_nothing_is_decoded_twice_by_later_processes_either(root, monkeypatch):
    first = sample_digests(samples(root))
    assert len(READ) == 2 * COUNT
    forget(monkeypatch)
    assert sample_digests(samples(root)) == first
    assert len(READ) == 2 * COUNT
    draw(root / "masks" / "03.bmp", 4)
    assert sum(a != b for a, b in zip(sample_digests(samples(root)), first, strict=True)) == 1
    assert len(READ) == 2 * COUNT + 2


def test_a_reader_that_decodes_otherwise_gives_other_data(root, monkeypatch):
    first = sample_digests(samples(root))
    assert set(first).isdisjoint(sample_digests(samples(root, add=1)))  # its arguments
    READ.clear()
    monkeypatch.setattr(contents, "_code", lambda module: "edited")
    assert sample_digests(samples(root)) == first  # an edit without consequences
    assert len(READ) == 2 * COUNT
    monkeypatch.setattr(contents, "_versions", lambda: ["pillow 99"])
    sample_digests(samples(root))
    assert len(READ) == 4 * COUNT


def test_what_cannot_tell_how_it_reads_is_decoded_each_time(root):
    one = samples(root)[0]
    for _ in range(2):
        sample_digests([Sample("a", "a", lambda: read(one.files[0]), one.mask, one.files)])
    assert len(READ) == 4


def test_drawn_images_are_known_by_what_draws_them(monkeypatch):
    def never(sample: Sample) -> str:
        raise AssertionError(sample.id)

    monkeypatch.setattr(contents, "_decoded", never)
    data = open_dataset("synthetic")
    assert len(set(sample_digests(data.splits["val"]))) == 40
    before = data.digest
    monkeypatch.setattr(contents, "_code", lambda module: "edited")
    assert open_dataset("synthetic").digest != before


def test_progress_counts_all_samples(root):
    heard: list[int] = []
    sample_digests(samples(root), heard.append)
    assert heard == list(range(COUNT + 1))
    heard.clear()
    sample_digests(samples(root), heard.append)
    assert heard == [COUNT]


def test_an_unreadable_file_is_named_and_the_rest_need_not_be_read(root):
    (root / "images" / "04.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"04\.png"):
        _ = open_dataset("folder", root).digest


@pytest.mark.parametrize("damage", ["no database", "a folder", "unwritable"])
def test_a_cache_that_is_of_no_use_changes_nothing(root, damage, tmp_path, monkeypatch):
    before = digest(root)
    forget(monkeypatch)
    if damage == "no database":
        database().write_bytes(b"not a database" * 999)
    elif damage == "a folder":
        database().unlink()
        database().mkdir()
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert digest(root) == before
    if damage == "no database":  # it is replaced
        with sqlite3.connect(database()) as kept:
            assert kept.execute("SELECT count(*) FROM samples").fetchone() == (COUNT,)


def test_two_processes_at_once(root):
    code = (
        "import sys, pathlib, bench.data as data; print(data.open_dataset('folder', pathlib.Path(sys.argv[1])).digest)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert {child.communicate()[0].strip() for child in both} == {digest(root)}
