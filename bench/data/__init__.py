"""The data sets, in one table. Adding one is one file that turns a folder into a `DataSet`, and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.data import acdc, ddti, folder, isic2017, isic2018, synthetic, tn3k
from bench.data.sample import SPLITS, DataSet, Options, Sample, Tally
from bench.data.splits import apply_splits, write_splits
from bench.errors import UserError, unknown

__all__ = [
    "DATASETS", "SPLITS", "DataSet", "Options", "Sample", "Source", "Tally",
    "apply_splits", "inspect_dataset", "open_dataset", "write_splits",
]  # fmt: skip

NO_OPTIONS = Options()


@dataclass(frozen=True)
class Source:
    """Facts of a data set that can be told without opening it.

    `open(root, options, problems)` reads the folder listing and returns the DataSet; what is wrong with single files it
    adds to `problems`, a sentence each, and leaves their samples out. Without `needs_root` the root may be None.
    `layout` shows the folder as published. `published` names the paper and the counts. `options` are the fields of
    Options that it takes; every data set takes a split file.
    """

    name: str
    title: str
    modality: str
    open: Callable[..., DataSet]
    needs_root: bool
    layout: str
    published: str
    options: tuple[str, ...] = ()


# The modules below import neither numpy nor Pillow until they decode or draw, so that this table costs nothing.
DATASETS: dict[str, Source] = {
    "acdc": Source(
        "acdc", "ACDC, heart ventricles and myocardium", "cardiac MRI", acdc.open, True, acdc.LAYOUT,
        "Bernard et al., IEEE TMI 37, 2018; 100 training patients (in papers 70/10/20), 50 testing, 2 frames each",
    ),
    "ddti": Source(
        "ddti", "DDTI, thyroid nodules", "ultrasound", ddti.open, True, ddti.LAYOUT,
        "Pedraza et al., SPIE 9287, 2015; 389 cases, 474 images, 470 outlined, no official split",
    ),
    "folder": Source(
        "folder", "Your own images and masks", "any", folder.open, True, folder.LAYOUT,
        "whatever you have; name the classes with --classes where there are several", ("classes",),
    ),
    "isic2017": Source(
        "isic2017", "ISIC2017 Part 1, skin lesions", "dermoscopy", isic2017.open, True, isic2017.LAYOUT,
        "Codella et al., arXiv:1710.05006; 2000 training, 150 validation, 600 test images",
    ),
    "isic2018": Source(
        "isic2018", "ISIC2018 Task 1, skin lesions", "dermoscopy", isic2018.open, True, isic2018.LAYOUT,
        "Codella et al., arXiv:1902.03368; 2594 training, 100 validation, 1000 test images",
    ),
    "synthetic": Source(
        "synthetic", "Drawn nodules and lesions", "ultrasound and dermoscopy", synthetic.open, False, synthetic.LAYOUT,
        "drawn by this program; 400 train, 40 val, 80 test images",
    ),
    "tn3k": Source(
        "tn3k", "TN3K, thyroid nodules", "ultrasound", tn3k.open, True, tn3k.LAYOUT,
        "Gong et al., ISBI 2021; 2879 images in five folds of train and val, 614 test images", ("fold",),
    ),
}  # fmt: skip


def open_dataset(name: str, root: Path | None = None, options: Options = NO_OPTIONS) -> DataSet:
    """Open a data set of the table; `root` is the folder that holds its files as published.

    An `options.split_file` that exists says who is on which side. Raises UserError for an unknown name, for a `root`
    that is needed and missing or not a folder, for an option that the data set does not take, for broken files (the
    first three, and how to list all), and for a split file that does not fit.
    """
    data, problems = _read(name, root, options)
    if problems:
        where = f" --data-root {root}" if root else ""
        more = f"and {len(problems) - 3} more; " if len(problems) > 3 else ""
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise UserError(
            "\n".join((f"data set '{name}' has {count}:", *problems[:3]))
            + f"\n{more}list them all with: bench data check {name}{where}"
        )
    return _regrouped(data, options)


def inspect_dataset(name: str, root: Path | None = None, options: Options = NO_OPTIONS) -> tuple[DataSet, list[str]]:
    """As `open_dataset`, and all that is wrong with single files or the split file as sentences, not as an error."""
    data, problems = _read(name, root, options)
    try:
        return _regrouped(data, options), problems
    except UserError as error:
        return data, [*problems, str(error)]


def _read(name: str, root: Path | None, options: Options) -> tuple[DataSet, list[str]]:
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    source = DATASETS[name]
    _check_options(source, options)
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
    problems: list[str] = []
    return source.open(root, options, problems), problems


def _check_options(source: Source, options: Options) -> None:
    for field in ("classes", "fold"):
        if getattr(options, field) != getattr(NO_OPTIONS, field) and field not in source.options:
            takers = " and ".join(name for name, other in DATASETS.items() if field in other.options)
            taken = ", ".join(f"--{option}" for option in source.options)
            raise UserError(f"--{field} is for {takers}; {source.name} takes {taken or 'none'}, so leave it out")


def _regrouped(data: DataSet, options: Options) -> DataSet:
    path = options.split_file
    return apply_splits(data, path) if path is not None and path.exists() else data
