"""The error for a folder that holds something else."""

from pathlib import Path

import pytest

from bench.data.layout import first_three, stay_inside, wrong_layout
from bench.errors import UserError


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (list("abcde"), "a, b, c and 2 more")]
)
def test_first_three(names: list[str], text: str) -> None:
    assert first_three(names) == text


def test_an_empty_folder_says_so_and_shows_the_layout(tmp_path: Path) -> None:
    error = wrong_layout("TOY", tmp_path, "no folder x", "x/1.png\n", "x")
    assert str(error) == f"TOY: no folder x in {tmp_path}; found there: nothing\nexpected, as published:\nx/1.png"


def test_a_right_folder_above_or_below_is_offered(tmp_path: Path) -> None:
    (tmp_path / "data" / "x").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for root in (tmp_path, tmp_path / "data" / "x"):
        assert f"did you mean --data-root {tmp_path / 'data'}?" in str(
            wrong_layout("TOY", root, "no folder x", "x/", "x")
        )
    assert "did you mean" not in str(wrong_layout("TOY", tmp_path / "other", "no folder x", "x/", "x"))


def test_names_and_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("")
    (root / "inner").write_text("")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "near").symlink_to(root / "inner")
    for name in ("inner", "near", "not_there"):
        assert stay_inside(name, root / name, root, Path("a.list")) == root / name
    for name in ("../secret", "/etc/passwd", "", "..", "a\\b", "a\0", "link"):
        with pytest.raises(UserError, match=r"a\.list names '.*', which leads out of "):
            stay_inside(name, root / "link", root, Path("a.list"))
