"""The error for a folder that holds something else."""

from pathlib import Path

from bench.data import Source

TOY = Source("toy", "A toy", "any", "nowhere", layout="x/1.png", tolerance=3, short="TOY", trace="x")


def test_an_empty_folder_says_so_and_shows_the_layout(tmp_path: Path) -> None:
    error = TOY.wrong_layout(tmp_path, "no folder x")
    assert str(error) == f"TOY: no folder x in {tmp_path}; found there: nothing\nexpected, as published:\nx/1.png"


def test_a_right_folder_above_or_below_is_offered(tmp_path: Path) -> None:
    (tmp_path / "data" / "x").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for root in (tmp_path, tmp_path / "data" / "x"):
        assert f"did you mean --data-root {tmp_path / 'data'}?" in str(TOY.wrong_layout(root, "no folder x"))
    assert "did you mean" not in str(TOY.wrong_layout(tmp_path / "other", "no folder x"))
