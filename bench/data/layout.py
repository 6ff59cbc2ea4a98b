"""What can be told of a data set without opening it, and the error for a folder that holds something else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.data.files import first_three
from bench.data.sample import DataSet
from bench.errors import UserError

# What gives a data set away: a pattern for a name directly inside its folder, and what to call it.
TRACES = (
    ("ISIC-2017_*", "ISIC2017"),
    ("ISIC2018_Task1*", "ISIC2018, another edition with other images"),
    ("[0-9]*.xml", "the original release of DDTI"),
    ("trainval-image", "TN3K"),
    ("patient[0-9]*", "patients of ACDC"),
    ("train*/patient[0-9]*", "ACDC"),
    ("image/*", "a plain folder of images and masks"),
)


@dataclass(frozen=True)
class Source:
    """Facts of a data set that can be told without opening it.

    `open(root, options, problems)` reads the folder listing and returns the DataSet; what is wrong with single files it
    adds to `problems`, a sentence each, and leaves their samples out. `published` names the paper and the counts.
    `layout` shows the folder as published, `trace` is a pattern for a name inside a right folder, `short` the name in
    messages. `options` are the fields of Options that it takes; every data set takes a split file. Without `needs_root`
    the root may be None.
    """

    name: str
    title: str
    modality: str
    published: str
    open: Callable[..., DataSet]
    layout: str
    short: str = ""
    trace: str = ""
    options: tuple[str, ...] = ()
    needs_root: bool = True

    def wrong_layout(self, root: Path, missing: str) -> UserError:
        """The error for `root` not holding this data set; `missing` says what was looked for.

        The folder above `root` or one directly below it is offered where it holds `trace`.
        """
        names = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
        lines = [f"{self.short}: {missing} in {root.resolve()}; found there: {first_three(names) or 'nothing'}"]
        likely = (what for pattern, what in TRACES if self.short not in what and any(root.glob(pattern)))
        lines += [f"this looks like {what}" for what in likely][:1]
        near = (folder for folder in (root.resolve().parent, *sorted(root.iterdir())) if folder.is_dir())
        lines += [f"did you mean --data-root {folder}?" for folder in near if any(folder.glob(self.trace))][:1]
        return UserError("\n".join((*lines, f"expected, as published:\n{self.layout.rstrip()}")))
