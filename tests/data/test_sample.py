"""Samples and splits: no group on two sides, and a digest that follows names, splits and the recipe."""

import pytest

from bench.data.sample import DataSet, Sample
from bench.errors import UserError


def sample(name: str, group: str = "") -> Sample:
    return Sample(name, group or name, lambda: None, lambda: None)


def test_a_group_on_two_sides_is_refused_by_name() -> None:
    splits = {"train": (sample("a_1", "a"),), "val": (), "test": (sample("a_2", "a"),)}
    with pytest.raises(
        UserError, match="toy: group 'a' is in both train and test; a patient or case must stay on one side"
    ):
        DataSet("toy", ("lesion",), splits)


def test_a_group_may_have_many_samples_on_one_side() -> None:
    data = DataSet("toy", ("lesion",), {"train": (sample("a_1", "a"), sample("a_2", "a")), "test": (sample("b"),)})
    assert len(data.splits["train"]) == 2


def test_digest_follows_names_groups_splits_and_recipe() -> None:
    def digest(split: str = "train", name: str = "a", recipe: str = "", group: str = "g") -> str:
        return DataSet("toy", ("lesion",), {split: (sample(name, group),)}, recipe=recipe).digest

    first = digest()
    assert first == digest()
    assert len(first) == 12
    others = {digest(split="test"), digest(name="b"), digest(recipe="seed 2"), digest(group="h")}
    assert len({first, *others}) == 5
