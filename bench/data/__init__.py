"""The data sets of the table datasets.toml. A new one is an entry there and a file of its name that opens a folder."""

from pathlib import Path

from bench.data.layout import DATASETS
from bench.data.sample import SPLITS, DataSet, Options
from bench.data.splits import apply_splits, write_splits
from bench.errors import UserError, unknown

__all__ = [
    "DATASETS", "SPLITS", "DataSet", "Options", "apply_splits", "inspect_dataset", "open_dataset", "write_splits",
]  # fmt: skip

NO_OPTIONS = Options()


def open_dataset(name: str, root: Path | None = None, options: Options = NO_OPTIONS) -> DataSet:
    """Open a data set of the table; `root` is the folder that holds its files as published.

    An `options.split_file` that exists says who is on which side. Raises UserError for an unknown name, for a `root`
    that is needed and missing or not a folder, for an option that the data set does not take, for broken files (the
    first three, and how to list all), and for a split file that does not fit.
    """
    data, problems = _read(name, root, options)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        more = f"and {len(problems) - 3} more; " if len(problems) > 3 else ""
        command = f"bench data check {name}" + (f" --data-root {root}" if root else "")
        lines = (f"data set '{name}' has {count}:", *problems[:3], f"{more}list them all with: {command}")
        raise UserError("\n".join(lines))
    return _regrouped(data, options)


def inspect_dataset(name: str, root: Path | None = None, options: Options = NO_OPTIONS) -> tuple[DataSet, list[str]]:
    """As `open_dataset`, with all that is wrong with single files or the split file as sentences, not as an error."""
    data, problems = _read(name, root, options)
    try:
        return _regrouped(data, options), problems
    except UserError as error:
        return data, [*problems, str(error)]


def _read(name: str, root: Path | None, options: Options) -> tuple[DataSet, list[str]]:
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    source = DATASETS[name]
    for field in ("classes", "fold"):
        if getattr(options, field) != getattr(NO_OPTIONS, field) and field not in source.options:
            takers = " and ".join(other.name for other in DATASETS.values() if field in other.options)
            taken = ", ".join(f"--{option}" for option in source.options)
            raise UserError(f"--{field} is for {takers}; {name} takes {taken or 'none'}, so leave it out")
    if source.needs_root and (root is None or not root.is_dir()):
        given = "no folder was given"
        if root is not None:
            given = f"--data-root {root.absolute()} {'is not a folder' if root.exists() else 'does not exist'}"
        advice = f"give --data-root FOLDER, where FOLDER holds\n{source.layout}"
        raise UserError(f"data set '{name}' is read from files and {given}; {advice}")
    problems: list[str] = []
    return source.open(root, options, problems), problems


def _regrouped(data: DataSet, options: Options) -> DataSet:
    path = options.split_file
    return apply_splits(data, path) if path is not None and path.exists() else data
