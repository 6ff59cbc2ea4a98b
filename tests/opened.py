"""Data sets and files opened for a test."""

from pathlib import Path

import pytest

from bench.data import DATASETS, DataSet, Options
from bench.data.sample import Sample
from bench.errors import UserError


def listed(name: str, root: Path | None, **options: object) -> tuple[DataSet, list[str]]:
    """A data set and what is wrong with its files."""
    problems: list[str] = []
    return DATASETS[name].open(root, Options(**options), problems), problems


def sound(name: str, root: Path | None, **options: object) -> DataSet:
    """A data set with nothing wrong with its files."""
    data, problems = listed(name, root, **options)
    assert problems == []
    return data


def sizes(data: DataSet) -> list[int]:
    return [len(data.splits[side]) for side in ("train", "val", "test")]


def samples(data: DataSet) -> dict[str, Sample]:
    return {sample.id: sample for side in data.splits.values() for sample in side}


def refused(read, path: Path) -> str:
    """The one line by which `read` refuses a file, which it names."""
    with pytest.raises(UserError) as caught:
        read(path)
    told = str(caught.value)
    assert str(path) in told
    assert "\n" not in told
    return told
