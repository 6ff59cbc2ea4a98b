"""What can be told of a data set without opening it, and the error for a folder that holds something else."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from bench.data.files import first_three
from bench.data.sample import DataSet, Options
from bench.errors import UserError


@dataclass(frozen=True)
class Source:
    """An entry of datasets.toml, which says what the fields are; `short`, `trace`, `signs` are for files only."""

    name: str
    title: str
    modality: str
    published: str
    layout: str
    short: str = ""
    trace: str = ""
    signs: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    needs_root: bool = True

    def open(self, root: Path | None, options: Options, problems: list[str]) -> DataSet:
        """Read the folder listing; no image is decoded yet.

        What is wrong with single files is added to `problems`, a sentence each, and their samples are left out. Without
        `needs_root` the root may be None.
        """
        return import_module(f"bench.data.{self.name}").open(self, root, options, problems)

    def wrong_layout(self, root: Path, missing: str) -> UserError:
        """The error for `root` not holding this data set; `missing` says what was looked for.

        The folder above `root` or one directly below it is offered where it holds `trace`.
        """
        names = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
        lines = [f"{self.short}: {missing} in {root.resolve()}; found there: {first_three(names) or 'nothing'}"]
        signs = (sign for other in DATASETS.values() if other is not self for sign in other.signs.items())
        lines += [f"this looks like {what}" for pattern, what in signs if any(root.glob(pattern))][:1]
        near = (folder for folder in (root.resolve().parent, *sorted(root.iterdir())) if folder.is_dir())
        lines += [f"did you mean --data-root {folder}?" for folder in near if any(folder.glob(self.trace))][:1]
        return UserError("\n".join((*lines, f"expected, as published:\n{self.layout}")))


FACTS = tomllib.loads(Path(__file__).with_name("datasets.toml").read_text(encoding="utf-8"))
DATASETS = {name: Source(name, **facts) for name, facts in FACTS.items()}
