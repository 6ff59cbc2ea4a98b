"""ACDC in the slice form many papers train on: a `.h5` file a slice, another a volume, and lists that name them."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.data.files import files_in, first_three, reading, stay_inside, two_files
from bench.data.sample import Sample, Splits
from bench.errors import UserError

LISTS = {"train": "train_slices.list", "val": "val.list", "test": "test.list"}
NAME = re.compile(r"(patient\d+_frame\d+)(?:_slice_(\d+))?")
WHOLE = -1  # stands for the number of a slice where a name is that of a whole volume


@dataclass
class Found:
    """The files of each volume by the number of their slice, in order; `doubled` are those that are there twice."""

    root: Path
    classes: tuple[str, ...]
    volumes: dict[str, dict[int, Path]] = field(default_factory=lambda: defaultdict(dict))
    doubled: set[tuple[str, int]] = field(default_factory=set)


def find(root: Path, classes: tuple[str, ...], problems: list[str]) -> Found:
    """List `data` and, where slices lie apart, `data/slices`. Two files for one volume or slice are left out."""
    by_key: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for folder in (root / "data", root / "data" / "slices"):
        for name, paths in (files_in(folder, (".h5",)) if folder.is_dir() else {}).items():
            by_key[_parsed(name)] += paths
    problems.extend(
        f"ACDC: the name of {path} is that of no slice and no volume; expected patient001_frame01_slice_1.h5 or "
        "patient001_frame01.h5; rename the file, or take it out"
        for path in by_key.pop(_parsed(""), [])
    )
    found = Found(root, classes)
    for (volume, number), paths in sorted(by_key.items()):
        if len(paths) > 1:
            problems.append(two_files(paths[0].stem, paths))
            found.doubled.add((volume, number))
        else:
            found.volumes[volume][number] = paths[0]
    return found


def by_lists(found: Found, problems: list[str]) -> tuple[Splits, str]:
    """The samples that each list names, and a note of how many files no list names."""
    entries = {side: _entries(found.root / name) for side, name in LISTS.items()}
    splits = {
        side: tuple(sample for name in names for sample in _listed(found, name, found.root / LISTS[side], problems))
        for side, names in entries.items()
    }
    told = "slices and volumes on the sides of the lists"
    spare = _spare(found, {_parsed(name) for names in entries.values() for name in names})
    if spare:
        told += f"; {len(spare)} files that no list names are left out: {first_three(sorted(spare))}"
    return splits, told


def _spare(found: Found, named: set[tuple[str, int]]) -> list[str]:
    """The files that no list names, without those that hold the same as files that are named."""
    named_in_part = {(volume, WHOLE) for volume, _ in named}
    return [
        path.stem
        for volume, files in found.volumes.items()
        for number, path in files.items()
        if (volume, WHOLE) not in named and (volume, number) not in named | named_in_part
    ]


def everything(found: Found, problems: list[str]) -> list[Sample]:
    """All samples there are, for a split that lists do not say."""
    return [sample for volume in sorted(found.volumes) for sample in _samples_of(found, volume, problems)]


def _entries(path: Path) -> list[str]:
    """The names in a list, one a line; blank lines say nothing, and a name that comes again says nothing new."""
    with reading("list", path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    return list(dict.fromkeys(line.strip().removesuffix(".h5") for line in lines if line.strip()))


def _parsed(name: str) -> tuple[str, int]:
    """(volume, number of the slice) that a file is called after; ("", WHOLE) for a name of another kind."""
    match = NAME.fullmatch(name)
    return (match[1], WHOLE if match[2] is None else int(match[2])) if match else ("", WHOLE)


def _listed(found: Found, name: str, source: Path, problems: list[str]) -> list[Sample]:
    """The samples of one line of a list; none, and a line in `problems`, when its file is not here."""
    volume, number = _parsed(name)
    files = found.volumes.get(volume, {})
    if number != WHOLE or WHOLE in files:
        files = {at: path for at, path in files.items() if at == number}
    for path in files.values() or [found.root / "data"]:
        stay_inside(name, path, found.root, source)
    if files:
        return _samples_of(found, volume, problems, number)
    if (volume, number) not in found.doubled:
        problems.append(
            f"ACDC: {source} names '{name}', and {found.root / 'data'} has no {name}.h5; "
            "get the file again, or take the line out"
        )
    return []


def _samples_of(found: Found, volume: str, problems: list[str], number: int = WHOLE) -> list[Sample]:
    """One slice of a volume, or all: from the volume's own file, else from those of its slices."""
    from bench.data.volumes import image_slice, label_of_slice_file, slices_of_volume

    files = found.volumes[volume]
    if number == WHOLE and WHOLE in files:
        try:
            return slices_of_volume(volume, files[WHOLE], files[WHOLE], found.classes)
        except UserError as error:
            problems.append(str(error))
            return []
    slices = {at: path for at, path in files.items() if at != WHOLE}
    return [
        Sample(
            f"{volume}_slice_{at:02d}", volume.partition("_")[0], partial(image_slice, tuple(slices.values()), place),
            partial(label_of_slice_file, path, found.classes), (path,), volume,
        )
        for place, (at, path) in enumerate(slices.items()) if number in (at, WHOLE)
    ]  # fmt: skip
