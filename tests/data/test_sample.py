"""Samples and splits: no group on two sides, and a digest that follows what is decoded."""

from functools import partial

import numpy as np
import pytest

from bench.data.sample import DataSet, Sample
from bench.errors import UserError


def sample(name: str, group: str = "", pixel: int = 0, label: int = 0, volume: str = "") -> Sample:
    image, mask = np.full((2, 2, 3), pixel, np.uint8), np.full((2, 2), label, np.uint8)
    return Sample(name, group or name, partial(np.copy, image), partial(np.copy, mask), volume=volume)


def test_a_group_on_two_sides_is_refused_by_name() -> None:
    splits = {"train": (sample("a_1", "a"),), "val": (), "test": (sample("a_2", "a"),)}
    with pytest.raises(
        UserError, match="toy: group 'a' is in both train and test; a patient or case must stay on one side"
    ):
        DataSet("toy", ("lesion",), splits)


def test_a_group_may_have_many_samples_on_one_side() -> None:
    data = DataSet("toy", ("lesion",), {"train": (sample("a_1", "a"), sample("a_2", "a")), "test": (sample("b"),)})
    assert len(data.splits["train"]) == 2


def test_digest_follows_pixels_names_patients_splits_and_recipe() -> None:
    def digest(split: str = "train", recipe: str = "", **facts: object) -> str:
        one = sample(**{"name": "a", **facts})
        return DataSet("toy", ("lesion",), {split: (one,)}, recipe=recipe).digest

    first = digest()
    assert first == digest()
    assert len(first) == 12
    others = [{"pixel": 1}, {"label": 1}, {"name": "b"}, {"group": "p"}, {"volume": "v"}]
    others += [{"split": "test"}, {"recipe": "r"}]
    assert len({first, *(digest(**other) for other in others)}) == 1 + len(others)
