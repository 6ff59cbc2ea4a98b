"""The data sets listed in datasets.toml. To add one, add an entry there and a module of the same name here."""

import math
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.data.files import collected, first_few
from bench.data.sample import SPLITS, DataSet, Options, apply_kept, apply_splits, refuse_empty, write_splits
from bench.errors import UserError, printable, unknown

__all__ = [
    "DATASETS", "SPLITS", "DataAt", "DataSet", "Options", "Source", "apply_kept", "apply_splits", "inspect_dataset",
    "open_dataset", "write_splits",
]  # fmt: skip

NO_OPTIONS = Options()


@dataclass(frozen=True)
class Source:
    """An entry of datasets.toml, which explains the fields.

    `short`, `trace`, `signs` are only for data sets with files.
    """

    name: str
    title: str
    modality: str
    published: str
    layout: str
    tolerance: float
    short: str = ""
    trace: str = ""
    signs: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    folds: int = 0
    needs_root: bool = True
    reader: str = ""
    edition: Mapping[str, Any] = field(default_factory=dict)

    def open(self, root: Path | None, options: Options, problems: list[str]) -> DataSet:
        """List the files of the data set; no image is decoded yet.

        Faults of single files are appended to `problems` as sentences, and their samples are left out. Without
        `needs_root` the root may be None.
        """
        reader = import_module(f"bench.data.{self.reader or self.name}")
        data: DataSet = reader.open(self, root, options, problems)
        return replace(data, tolerance=self.tolerance if options.tolerance is None else options.tolerance)

    def wrong_layout(self, root: Path, missing: str, hint: str = "") -> UserError:
        """The error for a `root` that does not hold this data set; `missing` says what was looked for.

        `hint` is a line on what could be meant. The folder above `root` or one directly below it is suggested if it
        contains `trace`.
        """
        names = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
        lines = [f"{self.short}: {missing} in {root.resolve()}; found there: {first_few(names) or 'nothing'}"]
        lines += [hint] * bool(hint)
        others = [(other, *sign) for other in DATASETS.values() if other is not self for sign in other.signs.items()]
        if like := next(((other, what) for other, pattern, what in others if any(root.glob(pattern))), None):
            other, what = like
            own = f"{other.short}; read it with --dataset {other.name}" if self.name == "folder" else what
            lines.append(f"this looks like {own}")
        near = (folder for folder in (root.resolve().parent, *sorted(root.iterdir())) if folder.is_dir())
        lines += [f"did you mean --data-root {folder}?" for folder in near if any(folder.glob(self.trace))][:1]
        return UserError("\n".join((*lines, f"expected, as published:\n{self.layout}")))


FACTS = tomllib.loads(Path(__file__).with_name("datasets.toml").read_text(encoding="utf-8"))
DATASETS = {name: Source(name, **facts) for name, facts in FACTS.items()}


def open_dataset(
    name: str, root: Path | None = None, options: Options = NO_OPTIONS, needed: Iterable[str] = SPLITS
) -> DataSet:  # fmt: skip
    """Open a data set of the table; `root` is the folder that holds its files as published.

    The `options.split_file` says which group is on which side. Raises UserError for an unknown name, for a `root` that
    is needed and missing or not a folder, or given and not needed, for an option that the data set does not take, for
    broken files (the first three, and how to list all), for a split file that is missing or does not fit, and where a
    side of the split that is `needed` has no image.
    """
    data, problems = _read(name, root, options)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        more = f"and {len(problems) - 3} more; " if len(problems) > 3 else ""
        command = shlex.join(["bench", "data", "check", name, *_given(root, options)])
        lines = (f"data set '{name}' has {count}:", *problems[:3], f"{more}list them all with: {command}")
        raise UserError("\n".join(lines))
    return _regrouped(data, options.split_file, needed)


@dataclass(frozen=True)
class DataAt:
    """A data set by its name in the table, the folder that holds it, if it has files, and how it is read."""

    name: str
    root: Path | None = None
    options: Options = NO_OPTIONS

    def open(self, needed: Iterable[str] = SPLITS) -> DataSet:
        """Open it, as `open_dataset` does."""
        return open_dataset(self.name, self.root, self.options, needed)


def inspect_dataset(name: str, root: Path | None = None, options: Options = NO_OPTIONS) -> tuple[DataSet, list[str]]:
    """Like `open_dataset`, but return faults of single files and of the split file as sentences instead of raising."""
    data, problems = _read(name, root, options)
    with collected(problems):
        data = _regrouped(data, options.split_file, () if problems else SPLITS)  # what is broken is missing on a side
    return data, problems


def _read(name: str, root: Path | None, options: Options) -> tuple[DataSet, list[str]]:
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    source = DATASETS[name]
    for option in ("classes", "foreground", "levels", "fold", "patient", "images", "masks"):
        if getattr(options, option) and option not in source.options:
            takers = " and ".join(other.name for other in DATASETS.values() if option in other.options)
            taken = ", ".join(f"--{known}" for known in source.options) or "none"
            raise UserError(f"--{option} is for {takers}; {name} takes {taken}, so leave it out")
    if options.tolerance is not None and not 0 <= options.tolerance < math.inf:
        given = f"--tolerance {options.tolerance:g} is no distance"
        raise UserError(f"{given}; give 0 or more, in millimeters where the files give their spacing, else in pixels")
    if source.needs_root and (root is None or not root.is_dir()):
        fault = "is not a folder" if root and root.exists() else "does not exist"
        given = f"--data-root {root.absolute()} {fault}" if root else "no folder was given"
        advice = f"give --data-root FOLDER, where FOLDER holds\n{source.layout}"
        raise UserError(f"data set '{name}' is read from files and {given}; {advice}")
    if root is not None and not source.needs_root:
        advice = "name the data set that lies there, with --dataset folder for images and masks of your own"
        raise UserError(f"--data-root {root} is not read: '{name}' has no files; {advice}, or leave --data-root out")
    if options.split_file and not options.split_file.is_file():
        fault = f"there is no split file {options.split_file.absolute()}"
        advice = "correct the path, or leave --split-file out to take the published split or draw one"
        raise UserError(f"{fault}; {advice}")
    problems: list[str] = []
    try:
        data = source.open(root, options, problems)
        "".join(sample.id for samples in data.splits.values() for sample in samples).encode()
    except UnicodeEncodeError as error:
        name = printable(error.object.rpartition(":")[2])
        raise UserError(f"a name in {root} is no UTF-8, so no record can hold it: '{name}'; rename the file") from None
    except OSError as error:
        fault = f"{error.filename or root}: {error.strerror or error}"
        raise UserError(f"cannot read {fault}; make it readable, or take it out of the data set") from error
    return data, problems


def _given(root: Path | None, options: Options) -> list[str]:
    """The folder and the options as they are given on the command line."""
    values = {
        "--data-root": root, "--classes": ",".join(options.classes), "--patient": options.patient,
        "--foreground": ",".join(options.foreground), "--levels": ",".join(options.levels),
        "--images": options.images, "--masks": options.masks, "--split-file": options.split_file,
        "--fold": options.fold,
    }  # fmt: skip
    return [part for option, value in values.items() if value for part in (option, str(value))]


def _regrouped(data: DataSet, path: Path | None, needed: Iterable[str]) -> DataSet:
    """The data set by the split file, if there is one. Raises UserError for an empty side that is needed."""
    if path:
        return apply_splits(data, path, needed)
    refuse_empty(data.name, data.splits, needed)
    return data
