"""ACDC in the slice form many papers train on: a `.h5` file a slice, another a volume, and lists that name them."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.acdc_nifti import CLASSES
from bench.data.h5 import read_array, shape_of
from bench.data.images import files_in, two_files
from bench.data.layout import first_three, stay_inside
from bench.data.sample import Sample
from bench.data.splits import Sides
from bench.data.volumes import bounds, checked_labels, grey_rgb, lock_of, stretched
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

LISTS = {"train": "train_slices.list", "val": "val.list", "test": "test.list"}
NAME = re.compile(r"(patient\d+_frame\d+)(?:_slice_(\d+))?")
WHOLE = -1  # stands for the number of a slice where a name is that of a whole volume


@dataclass
class Found:
    """The files of the slice form: one of each volume, and those of its slices by their number."""

    root: Path
    volumes: dict[str, Path] = field(default_factory=dict)
    slices: dict[str, dict[int, Path]] = field(default_factory=lambda: defaultdict(dict))
    doubled: set[tuple[str, int]] = field(default_factory=set)

    @property
    def names(self) -> list[str]:
        """The volumes that a file is here of, whole or a slice."""
        return sorted({*self.volumes, *self.slices})


def find(root: Path, problems: list[str]) -> Found:
    """List `data` and, where slices lie apart, `data/slices`. Two files for one volume or slice are left out."""
    by_key: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for folder in (root / "data", root / "data" / "slices"):
        for name, paths in (files_in(folder, (".h5",)) if folder.is_dir() else {}).items():
            volume, number = _parsed(name)
            if volume:
                by_key[volume, number] += paths
            else:
                problems.extend(_strange(path) for path in paths)
    found = Found(root)
    for (volume, number), paths in sorted(by_key.items()):
        if len(paths) > 1:
            problems.append(two_files(paths[0].stem, paths))
            found.doubled.add((volume, number))
        elif number == WHOLE:
            found.volumes[volume] = paths[0]
        else:
            found.slices[volume][number] = paths[0]
    return found


def by_lists(found: Found, problems: list[str]) -> tuple[Sides, str]:
    """The samples that each list names, and how many files no list names."""
    named = {side: _entries(found.root / name) for side, name in LISTS.items()}
    splits = {
        side: tuple(sample for entry in entries for sample in _listed(found, entry, found.root / LISTS[side], problems))
        for side, entries in named.items()
    }
    told = "slices and volumes on the sides of the lists"
    spare = _spare(found, {_parsed(entry) for entries in named.values() for entry in entries})
    if spare:
        told += f"; {len(spare)} files that no list names are left out: {first_three(sorted(spare))}"
    return splits, told


def _spare(found: Found, named: set[tuple[str, int]]) -> list[str]:
    """The files that no list names, without those that hold the same as files that are named."""
    volumes = {volume for volume, _ in named}
    return [
        path.stem
        for volume, slices in found.slices.items()
        for number, path in slices.items()
        if (volume, WHOLE) not in named and (volume, number) not in named
    ] + [volume for volume in found.volumes if volume not in volumes]


def everything(found: Found, problems: list[str]) -> tuple[Sample, ...]:
    """All samples there are, for a split that lists do not say."""
    return tuple(sample for name in found.names for sample in _volume(found, name, problems))


def _entries(path: Path) -> list[str]:
    """The names in a list, one a line; blank lines say nothing, and a name that comes again says nothing new."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the list {path}: {error}; get it again") from error
    return list(dict.fromkeys(line.strip().removesuffix(".h5") for line in lines if line.strip()))


def _parsed(name: str) -> tuple[str, int]:
    """(volume, number of the slice) that a file is called after; volume "" for a name of another kind."""
    match = NAME.fullmatch(name)
    return (match[1], WHOLE if match[2] is None else int(match[2])) if match else ("", WHOLE)


def _listed(found: Found, entry: str, source: Path, problems: list[str]) -> list[Sample]:
    """The samples of one line of a list; none, and a line in `problems`, when its file is not here."""
    volume, number = _parsed(entry)
    slices = found.slices.get(volume, {})
    if number == WHOLE:
        files = [found.volumes[volume]] if volume in found.volumes else list(slices.values())
    else:
        files = [slices[number]] if number in slices else []
    for file in files or [found.root / "data"]:
        stay_inside(entry, file, found.root, source)
    if not files:
        if (volume, number) not in found.doubled:
            problems.append(
                f"ACDC: {source} names '{entry}', and {found.root / 'data'} has no {entry}.h5; "
                "get the file again, or take the line out"
            )
        return []
    return _volume(found, volume, problems) if number == WHOLE else [_slice(found, volume, number)]


def _volume(found: Found, volume: str, problems: list[str]) -> list[Sample]:
    """All slices of a volume: from its own file, else from those of its slices."""
    path = found.volumes.get(volume)
    if path is None:
        return [_slice(found, volume, number) for number in sorted(found.slices[volume])]
    try:
        shape, other = shape_of(path, "image"), shape_of(path, "label")
        if shape != other or len(shape) != 3:
            raise _unlike(path, shape, other)
    except UserError as error:
        problems.append(str(error))
        return []
    patient = volume.partition("_")[0]
    return [
        Sample(
            f"{volume}_slice_{at + 1:02d}", patient, partial(_volume_image, path, at), partial(_volume_mask, path, at),
            (path,), volume,
        )
        for at in range(shape[0])
    ]  # fmt: skip


def _slice(found: Found, volume: str, number: int) -> Sample:
    path = found.slices[volume][number]
    others = tuple(found.slices[volume].values())
    name, patient = f"{volume}_slice_{number:02d}", volume.partition("_")[0]
    return Sample(name, patient, partial(_slice_image, path, others), partial(_slice_mask, path), (path,), volume)


def _slice_image(path: Path, others: tuple[Path, ...]) -> "np.ndarray":
    with lock_of(others[0]):
        low, high = _bounds(others)
    return grey_rgb(stretched(read_array(path, "image"), low, high))


def _slice_mask(path: Path) -> "np.ndarray":
    values = read_array(path, "label")
    shape = shape_of(path, "image")
    if values.shape != shape or len(shape) != 2:
        raise _unlike(path, shape, values.shape)
    return checked_labels(values, path, CLASSES)


@lru_cache(maxsize=1024)
def _bounds(paths: tuple[Path, ...]) -> tuple[float, float]:
    """The least and the greatest value of all slices of a volume."""
    ends = [bounds(read_array(path, "image"), path) for path in paths]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _volume_image(path: Path, at: int) -> "np.ndarray":
    with lock_of(path):
        return grey_rgb(_image_volume(path)[at])


def _volume_mask(path: Path, at: int) -> "np.ndarray":
    with lock_of(path):
        return _label_volume(path)[at].copy()


# A few volumes are kept, so that the slices of one, which are mostly asked for in a row, decode it once.
@lru_cache(maxsize=16)
def _image_volume(path: Path) -> "np.ndarray":
    values = read_array(path, "image")
    return stretched(values, *bounds(values, path))


@lru_cache(maxsize=16)
def _label_volume(path: Path) -> "np.ndarray":
    return checked_labels(read_array(path, "label"), path, CLASSES)


def _unlike(path: Path, image: tuple[int, ...], label: tuple[int, ...]) -> UserError:
    return UserError(
        f"ACDC: image and label in {path} are {image} and {label}; both must be (slices, height, width) in the file of "
        "a volume, (height, width) in that of a slice, and of one size, so get the file again"
    )


def _strange(path: Path) -> str:
    return (
        f"ACDC: {path} is called after no slice and no volume; expected patient001_frame01_slice_1.h5 or "
        "patient001_frame01.h5; rename the file, or take it out"
    )
