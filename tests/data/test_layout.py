"""The error for a folder that holds something else."""

from pathlib import Path

import pytest

from bench.data.layout import first_three, wrong_layout


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
