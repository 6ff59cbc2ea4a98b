"""Samples and splits: no group on two sides, and a digest that follows the files."""

from pathlib import Path

import pytest

from bench.data.sample import DataSet, Sample
from bench.errors import UserError


def sample(name: str, group: str = "", files: tuple[Path, ...] = ()) -> Sample:
    return Sample(name, group or name, lambda: None, lambda: None, files)


def test_a_group_on_two_sides_is_refused_by_name() -> None:
    splits = {"train": (sample("a_1", "a"),), "val": (), "test": (sample("a_2", "a"),)}
    with pytest.raises(
        UserError, match="toy: group 'a' is in both train and test; a patient or case must stay on one side"
    ):
        DataSet("toy", ("lesion",), splits)


def test_a_group_may_have_many_samples_on_one_side() -> None:
    data = DataSet("toy", ("lesion",), {"train": (sample("a_1", "a"), sample("a_2", "a")), "test": (sample("b"),)})
    assert len(data.splits["train"]) == 2


def test_digest_follows_names_sizes_splits_and_recipe(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"1234")

    def digest(split: str = "train", name: str = "a", recipe: str = "") -> str:
        return DataSet("toy", ("lesion",), {split: (sample(name, files=(file,)),)}, recipe=recipe).digest

    first = digest()
    assert first == digest()
    assert len(first) == 12
    others = {digest(split="test"), digest(name="b"), digest(recipe="seed 2")}
    file.write_bytes(b"12345")
    assert len({first, digest(), *others}) == 5
