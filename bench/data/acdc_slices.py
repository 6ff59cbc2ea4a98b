"""ACDC in the slice form many papers train on: a `.h5` file a slice, another a volume, and lists that name them."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.data.files import files_in, left_out, reading, stay_inside, two_files
from bench.data.sample import Sample, Splits
from bench.data.volumes import image_slice, label_of_slice_file, slices_of_volume
from bench.errors import UserError

LISTS = {"train": "train_slices.list", "val": "val.list", "test": "test.list"}
NAME = re.compile(r"(patient\d+_frame\d+)(?:_slice_(\d+))?")
WHOLE = -1  # stands for the number of a slice where a name is that of a whole volume


@dataclass
class SliceFiles:
    """The files of each volume by the number of their slice, in order; what is wrong is a line in `problems`."""

    root: Path
    classes: tuple[str, ...]
    problems: list[str]
    volumes: dict[str, dict[int, Path]] = field(default_factory=lambda: defaultdict(dict))
    doubled: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """List `data` and, where slices lie apart, `data/slices`. Two files for one volume or slice are left out."""
        by_key: dict[tuple[str, int], list[Path]] = defaultdict(list)
        for folder in (self.root / "data", self.root / "data" / "slices"):
            for name, paths in (files_in(folder, (".h5",)) if folder.is_dir() else {}).items():
                by_key[_parsed(name)] += paths
        self.problems += [
            f"ACDC: {path} is named after no slice and no volume; expected patient001_frame01_slice_1.h5 or "
            "patient001_frame01.h5; rename the file, or take it out"
            for path in by_key.pop(_parsed(""), [])
        ]
        for (volume, number), paths in sorted(by_key.items()):
            if len(paths) == 1:
                self.volumes[volume][number] = paths[0]
            else:
                self.problems.append(two_files(paths[0].stem, paths))
                self.doubled.add((volume, number))

    def everything(self) -> list[Sample]:
        """All samples there are, for a split that lists do not say."""
        return [sample for volume in sorted(self.volumes) for sample in self._samples(volume)]

    def by_lists(self) -> tuple[Splits, list[str]]:
        """The samples that each list names, and notes on where they come from."""
        names = {side: _names_in(self.root / file) for side, file in LISTS.items()}
        splits = {
            side: tuple(sample for name in found for sample in self._listed(name, self.root / LISTS[side]))
            for side, found in names.items()
        }
        named = {_parsed(name) for found in names.values() for name in found}
        # A file that holds the same as files that are named is not spare.
        in_part = {(volume, WHOLE) for volume, _ in named}
        spare = {
            path.stem
            for volume, files in self.volumes.items()
            for number, path in files.items()
            if (volume, WHOLE) not in named and (volume, number) not in named | in_part
        }
        return splits, ["slices and volumes on the sides of the lists", *left_out("files that no list names", spare)]

    def _listed(self, name: str, source: Path) -> list[Sample]:
        """The samples of one line of a list; none, and a line in `problems`, when its file is not here."""
        volume, number = _parsed(name)
        files = self.volumes.get(volume, {})
        if number != WHOLE or WHOLE in files:
            files = {at: path for at, path in files.items() if at == number}
        for path in files.values() or [self.root / "data"]:
            stay_inside(name, path, self.root, source)
        if not files and (volume, number) not in self.doubled:
            lost = f"{self.root / 'data'} has no {name}.h5; get the file again, or take the line out"
            self.problems.append(f"ACDC: {source} names '{name}', and {lost}")
        return self._samples(volume, number) if files else []

    def _samples(self, volume: str, number: int = WHOLE) -> list[Sample]:
        """One slice of a volume, or all: from the volume's own file, else from those of its slices."""
        files = self.volumes[volume]
        if number == WHOLE and WHOLE in files:
            try:
                return slices_of_volume(volume, files[WHOLE], files[WHOLE], self.classes)
            except UserError as error:
                self.problems.append(str(error))
                return []
        slices = {at: path for at, path in files.items() if at != WHOLE}
        return [
            Sample(
                f"{volume}_slice_{at:02d}", volume.partition("_")[0], partial(image_slice, (*slices.values(),), place),
                partial(label_of_slice_file, path, self.classes), (path,), volume,
            )
            for place, (at, path) in enumerate(slices.items()) if number in (at, WHOLE)
        ]  # fmt: skip


def _names_in(path: Path) -> list[str]:
    """The names in a list, one a line; blank lines say nothing, and a name that comes again says nothing new."""
    with reading("list", path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    return list(dict.fromkeys(line.strip().removesuffix(".h5") for line in lines if line.strip()))


def _parsed(name: str) -> tuple[str, int]:
    """(volume, number of the slice) that a file is called after; ("", WHOLE) for a name of another kind."""
    match = NAME.fullmatch(name)
    return (match[1], WHOLE if match[2] is None else int(match[2])) if match else ("", WHOLE)
