"""Where a data set lies and how it is read, as arguments in Python."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from bench.api.said import path, texts
from bench.data import Options
from bench.errors import unknown


class DataSource(TypedDict, total=False):
    r"""Where a data set lies, and how it is read: arguments of `bench.run` and `bench.score`.

    `data_root` is the folder with the data set as published. Of a plain folder, `classes` names the foreground classes,
    `foreground` the gray levels in masks that are the one class, `levels` those of the background and of each class,
    `images` and `masks` the folders, `patient` whose each image is: a pattern such as r"(P\d+)_", or a CSV file.
    `split_file` says which image is on which side; `fold` is the number of a published fold; `tolerance` is the
    distance within which outlines agree, in the data set's unit. Each as in `bench run --help`.
    """

    data_root: str | Path
    classes: str | Sequence[str]
    foreground: str | Sequence[str]
    levels: str | Sequence[str]
    images: str
    masks: str
    patient: str
    split_file: str | Path
    fold: int
    tolerance: float


# How those are read that are not taken as they are.
READ: dict[str, Callable[[str, Any], Any]] = {
    "data_root": path, "split_file": path, "classes": texts, "foreground": texts, "levels": texts,
}  # fmt: skip


def data_of(source: Mapping[str, Any]) -> tuple[Path | None, Options]:
    """The folder of a data set, and its options. Raises UserError for an argument that it does not have."""
    for name in source:
        if name not in DataSource.__annotations__:
            raise unknown("argument", name, DataSource.__annotations__)
    given = {name: value for name, value in source.items() if value is not None}
    read = {name: READ[name](name, value) if name in READ else value for name, value in given.items()}
    return read.pop("data_root", None), Options(**read)
