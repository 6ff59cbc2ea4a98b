"""Pairing by name: what belongs together, and what stays alone and is named."""

from pathlib import Path

import pytest

from bench.data import Source
from bench.data.pairs import paired_samples, pairs_in

KINDS = (".png", ".jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(root: Path, images: str, masks: str) -> None:
    for folder, names in (("images", images), ("masks", masks)):
        for name in names.split():
            (root / folder / name).write_bytes(name.encode())


def pair(root: Path, *endings: str) -> tuple[dict[str, tuple[str, str]], list[str]]:
    problems: list[str] = []
    found = pairs_in("TOY", (root / "images", root / "masks"), problems, endings, (KINDS, KINDS))
    return {name: (image.name, mask.name) for name, (image, mask) in found.items()}, problems


def test_endings_are_tried_in_turn_in_any_case(root: Path) -> None:
    put(root, "a.png b.jpg c_mask.JPG d.png", "a.png b_MASK.PNG c_mask.png d_seg.png")
    assert pair(root, "", "_mask", "_seg") == (
        {
            "a": ("a.png", "a.png"), "b": ("b.jpg", "b_MASK.PNG"), "c_mask": ("c_mask.JPG", "c_mask.png"),
            "d": ("d.png", "d_seg.png"),
        },
        [],
    )  # fmt: skip


def test_hidden_files_are_nobody(root: Path) -> None:
    put(root, "a.png ._a.png", "a.png ._a.png .DS_Store")
    assert pair(root, "") == ({"a": ("a.png", "a.png")}, [])


def test_whatever_stays_alone_is_a_line(root: Path) -> None:
    put(root, "a.png b.png c.png c.jpg d.png", "a_m.png c_m.png d_m.png d_m.jpg x_m.png")
    found, problems = pair(root, "_m")
    assert list(found) == ["a"]
    assert [problem.partition(";")[0] for problem in problems] == [
        f"TOY: mask {root}/masks/x_m.png has no image",
        f"TOY: image {root}/images/b.png has no mask",
        f"two files with the id 'c' in {root}/images: c.jpg and c.png",
        f"two files with the id 'd' in {root}/masks: d_m.jpg and d_m.png",
    ]
    assert all("\n" not in problem for problem in problems)


def test_two_masks_of_different_endings_are_two_files_with_one_id(root: Path) -> None:
    put(root, "a.png", "a.png a_mask.png")
    assert pair(root, "", "_mask")[1][0].startswith(f"two files with the id 'a' in {root}/masks: a.png and a_mask.png;")


def test_equal_images_are_one_group_where_they_are_joined(root: Path) -> None:
    put(root, "a.png b.png c.png", "a.png b.png c.png")
    (root / "images" / "c.png").write_bytes(b"a.png")
    toy = Source("toy", "A toy", "any", "nowhere", layout="", tolerance=3)
    for join, groups in ((True, ["xa", "xb", "xa"]), (False, ["xa", "xb", "xc"])):
        found = paired_samples(
            toy, root, (root / "images", root / "masks"), [], "x", kinds=(KINDS, KINDS), join_copies=join
        )
        assert [sample.group for sample in found.values()] == groups
        assert [sample.id for sample in found.values()] == ["xa", "xb", "xc"]
