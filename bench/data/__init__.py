"""The data sets, in one table. Adding one is one file that turns a folder into a `DataSet`, and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.data import ddti, isic2017, synthetic
from bench.data.sample import SPLITS, DataSet, Sample
from bench.errors import UserError, unknown

__all__ = ["DATASETS", "SPLITS", "DataSet", "Sample", "Source", "open_dataset"]


@dataclass(frozen=True)
class Source:
    """Facts of a data set that can be told without opening it.

    `open(root)` reads the folder listing and returns the DataSet; without `needs_root` it takes None as well. `layout`
    shows the folder as published. `published` names the paper and the counts.
    """

    name: str
    title: str
    modality: str
    open: Callable[..., DataSet]
    needs_root: bool
    layout: str
    published: str


# The modules below import neither numpy nor Pillow until they decode or draw, so that this table costs nothing.
DATASETS: dict[str, Source] = {
    "ddti": Source(
        "ddti", "DDTI, thyroid nodules", "ultrasound", ddti.open, True, ddti.LAYOUT,
        "Pedraza et al., SPIE 9287, 2015; 389 cases, 474 images, 470 outlined, no official split",
    ),
    "isic2017": Source(
        "isic2017", "ISIC2017 Part 1, skin lesions", "dermoscopy", isic2017.open, True, isic2017.LAYOUT,
        "Codella et al., arXiv:1710.05006; 2000 training, 150 validation, 600 test images",
    ),
    "synthetic": Source(
        "synthetic", "Drawn nodules and lesions", "ultrasound and dermoscopy", synthetic.open, False, synthetic.LAYOUT,
        "drawn by this program; 400 train, 40 val, 80 test images",
    ),
}  # fmt: skip


def open_dataset(name: str, root: Path | None = None) -> DataSet:
    """Open a data set of the table; `root` is the folder that holds its files as published.

    Raises UserError for an unknown name, for a `root` that is needed and missing or not a folder, and for what the data
    set finds wrong in there.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    source = DATASETS[name]
    if source.needs_root and root is None:
        raise UserError(
            f"data set '{name}' is read from files and no folder was given; "
            f"give --data-root FOLDER, where FOLDER holds\n{source.layout.rstrip()}"
        )
    if source.needs_root and root is not None and not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UserError(
            f"--data-root {root.absolute()} {what}; "
            f"for data set '{name}' give the folder that holds\n{source.layout.rstrip()}"
        )
    return source.open(root)
