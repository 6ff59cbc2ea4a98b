"""Files of a folder: listed by id, compared byte for byte, and refused where a name leads out."""

from pathlib import Path

import pytest

from bench.data.files import files_in, first_few, left_out, same_bytes, single_files, stay_inside
from bench.errors import UserError


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (list("abcde"), "a, b, c and 2 more")]
)
def test_first_few(names: list[str], text: str) -> None:
    assert first_few(names) == text


def test_what_is_left_out_is_counted() -> None:
    assert left_out("files", []) == []
    assert left_out("files", {"b", "a"}) == ["2 files are left out: a, b"]


def test_names_and_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("")
    (root / "inner").write_text("")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "near").symlink_to(root / "inner")
    for name in ("inner", "near", "not_there"):
        stay_inside(name, root / name, root, Path("a.list"))
    for name in ("../secret", "/etc/passwd", "", "..", "a\\b", "a\0", "link"):
        with pytest.raises(UserError, match=r"a\.list names '.*', which leads out of "):
            stay_inside(name, root / "link", root, Path("a.list"))


def test_listing_takes_any_case_and_skips_what_macos_left(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpg", "._a.jpg", ".DS_Store", "a.txt", "c.jpeg"):
        (tmp_path / name).write_bytes(b"")
    found = single_files(files_in(tmp_path, (".jpg", ".jpeg")), [])
    assert list(found) == ["a", "b", "c"]
    assert found["b"] == tmp_path / "b.JPG"


def test_two_files_with_one_id_are_both_left_out_and_told(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.png"):
        (tmp_path / name).write_bytes(b"")
    problems: list[str] = []
    assert list(single_files(files_in(tmp_path, (".jpg", ".png")), problems)) == ["b"]
    assert problems == [
        f"two files with the id 'a' in {tmp_path}: a.jpg and a.png; "
        "an id names one image, so remove or rename all but one"
    ]


def test_same_bytes_finds_copies_and_nothing_else(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abcde"]
    for path, content in zip(paths, (b"one", b"two", b"one", b"longer", b"one"), strict=True):
        path.write_bytes(content)
    assert same_bytes(paths) == [[paths[0], paths[2], paths[4]]]


def test_a_folder_with_the_name_of_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").write_bytes(b"")
    assert list(files_in(tmp_path, (".jpg",))) == ["b"]


def test_same_bytes_passes_over_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"one")
    (tmp_path / "c").symlink_to("nowhere")
    assert same_bytes([tmp_path / name for name in "abc"]) == [[tmp_path / "a", tmp_path / "b"]]
