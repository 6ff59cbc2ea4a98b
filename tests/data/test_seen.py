"""Test images that another data set trains on are found across two folders, and what only looks like a hint is one."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.data import DataAt, Options
from bench.data import seen as module
from bench.data.check import check
from bench.data.seen import seen_by

PATIENTS = Options(patient=r"(p\d+)_")


def picture(number: int, size: int = 64) -> np.ndarray:
    """A picture with structure, another for each number."""
    smooth = gaussian_filter(np.random.default_rng(number).normal(size=(size, size, 3)), (size / 16, size / 16, 1))
    smooth -= smooth.min()
    return (smooth / smooth.max() * 255).astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def jpeg_again(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def folder(root: Path, **sides: dict[str, bytes]) -> DataAt:
    """A folder of images and masks that is split as given."""
    for side in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (root / side / kind).mkdir(parents=True)
        for name, content in sides.get(side, {}).items():
            mask = np.zeros((64, 64), np.uint8)
            mask[10:20, 10:30] = 255
            (root / side / "images" / f"{name}.png").write_bytes(content)
            Image.fromarray(mask).save(root / side / "masks" / f"{name}.png")
    return DataAt("folder", root, PATIENTS)


@pytest.fixture
def two(tmp_path):
    """One to train on, and one to test on: of its four test images one is a copy, one looks like one, two are new.

    Its sides train and val hold copies too, which no network is tested on, and so does the other's side test.
    """
    same, alike, elsewhere = picture(1), picture(2), picture(3)
    one = folder(
        tmp_path / "one",
        train={"p1_a": png(same), "p2_b": png(picture(11)), "p3_c": png(elsewhere)},
        val={"p4_d": png(alike)}, test={"p5_e": png(picture(12))},
    )  # fmt: skip
    other = folder(
        tmp_path / "other",
        train={"p9_k": png(elsewhere)}, val={"p8_k": png(picture(20))},
        test={"p1_x": png(same), "p6_y": png(jpeg_again(alike)), "p7_z": png(picture(21)), "p5_w": png(picture(12))},
    )  # fmt: skip
    return one, other


def test_copies_and_near_copies_of_what_is_trained_on_are_found_among_the_test_images_alone(two):
    found = seen_by(two[0].open(), two[1].open())
    assert [(one.id, other.id) for one, other in found.copies] == [("p1_a", "p1_x")]
    assert [tuple(sample.id for sample in near.samples) for near in found.near] == [("p4_d", "p6_y")]
    assert (found.tested, found.copied, found.near_copied) == (4, 1, 1)
    assert found.patients == ("p1",), "p5 is tested on both, and trained on none"
    copies, near = found.told("one", "other")
    assert copies.startswith("1 of 4 test images of other are copies of images of one that are trained on: p1_x (p1_a")
    assert near.startswith("1 of 4 test images of other look like images of one that are trained on: p6_y; look")


def test_data_sets_without_common_images_say_nothing(two, tmp_path):
    names = {side: {f"p{n + 30}_{n}": png(picture(50 + n))} for n, side in enumerate(("train", "val", "test"))}
    found = seen_by(two[0].open(), folder(tmp_path / "third", **names).open())
    assert (found.copies, found.near, found.patients, found.told("one", "third")) == ((), (), (), [])


def test_a_file_is_read_once_and_again_when_it_was_changed(two, monkeypatch):
    decoded, hashed = [], []
    make, read = module._made, module._bytes_of
    monkeypatch.setattr(module, "_bytes_of", lambda path: hashed.append(path.name) or read(path))
    monkeypatch.setattr(module, "_made", lambda samples, at: decoded.append(samples[at].id) or make(samples, at))
    for _ in range(2):
        seen_by(two[0].open(), two[1].open())
    assert len(decoded) == len(set(decoded)) == 8, "four that are trained on, four that are tested"
    assert {"p1_a.png", "p1_x.png"} <= set(hashed)
    assert len(hashed) == len(set(hashed))
    path = two[1].root / "test" / "images" / "p1_x.png"
    path.write_bytes(png(picture(77)))
    assert seen_by(two[0].open(), two[1].open()).copied == 0
    assert decoded[8:] == ["p1_x"]


def test_drawn_images_are_no_copies():
    data = DataAt("synthetic").open()
    assert (seen_by(data, data).copied, seen_by(data, data).tested) == (0, 80)


def test_a_check_has_copies_as_faults_and_the_rest_as_remarks(two):
    alone = check("folder", two[1].root, PATIENTS)
    found = check("folder", two[1].root, PATIENTS, trained=two[0].open())
    assert [fault for fault in found.faults if fault not in alone.faults] == [
        "1 of 4 test images of folder are copies of images of folder that are trained on: p1_x (p1_a there); a network "
        "is scored on what it learned, so nothing is decided by it; leave them out: put them on the side train of "
        "folder with a split file"
    ]
    more = [remark for remark in found.remarks if remark not in alone.remarks]
    assert more[0].startswith("1 of 4 test images of folder look like images of folder that are trained on: p6_y")
    assert more[1].startswith("near copies: p4_d (trained on) and p6_y (tested on): ")
    assert more[2:] == [
        "in both data sets are the names of 1 patient: p1; whether they are the same patients only you can tell"
    ]
