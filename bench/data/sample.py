"""What every data set yields: samples and named splits, with no group on two sides."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.errors import UserError

if TYPE_CHECKING:  # numpy takes longer to import than a plan takes to make
    import numpy as np

    from bench.quantities import ProtocolName

SPLITS = ("train", "val", "test")
T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """One image with its mask.

    `image()` returns uint8 (height, width, 3); `mask()` returns uint8 (height, width) whose values are class numbers, 0
    for the background. Both raise UserError naming the file when it cannot be read. `group` is the patient or case:
    images of one group look alike, so they stay on one side of a split. `files` are what the two are read from; empty
    when they are drawn. `volume` names the 3-D image that a slice is of; empty where an image stands alone. `spacing`
    is millimeters per pixel by axis, for a slice of a volume (between slices, down the rows, along the columns); empty
    where the files do not say.
    """

    id: str
    group: str
    image: Callable[[], "np.ndarray"]
    mask: Callable[[], "np.ndarray"]
    files: tuple[Path, ...] = ()
    volume: str = ""
    spacing: tuple[float, ...] = ()


Splits = dict[str, tuple[Sample, ...]]


@dataclass(frozen=True)
class Options:
    """What a user may say of a data set beside where it lies; each reader takes what it knows and ignores the rest.

    `classes` names the foreground classes of a plain folder; `split_file` says which group is on which side; `fold` is
    the number of a published cross-validation fold.
    """

    classes: tuple[str, ...] = ()
    split_file: Path | None = None
    fold: int = 0


@dataclass(frozen=True)
class Tally:
    """A count to hold against the published one; `published` is None where none was."""

    what: str
    found: int
    published: int | None = None


@dataclass(frozen=True)
class DataSet:
    """Samples of one data set by split.

    `classes` names the foreground classes in the order of their mask values, from 1. `protocol` is the field's default
    way of scoring it. `note` says how the splits were made where they are not the official ones. `recipe` is what the
    samples follow from beside their files (a seed, a generator's version). `tallies` are the counts that a check holds
    against the published ones; `known_twins` are ids of images that were published twice, on two sides of the split.
    `drawn` says that a seed made the split, or part of it, and not who published the images.
    """

    name: str
    classes: tuple[str, ...]
    splits: Splits
    protocol: "ProtocolName" = "per_image"
    note: str = ""
    recipe: str = ""
    tallies: tuple[Tally, ...] = ()
    known_twins: frozenset[frozenset[str]] = frozenset()
    drawn: bool = False

    def __post_init__(self) -> None:
        for group, sides in groups_on_two_sides(self.splits).items():
            advice = "a patient or case must stay on one side of a split, so correct the split before measuring"
            raise UserError(f"{self.name}: group '{group}' is in both {' and '.join(sides)}; {advice}")

    @property
    def maps(self) -> int:
        """How many maps a network puts out: one for one class, else one for each class and one for the background."""
        return 1 if len(self.classes) == 1 else len(self.classes) + 1

    @cached_property
    def digest(self) -> str:
        """12 hexadecimal digits that change when a sample, a file's name or size, or a split changes."""
        lines = [self.name, self.recipe]
        for split in sorted(self.splits):
            for sample in self.splits[split]:
                facts = (f"{file.name}:{file.stat().st_size}" for file in sample.files)
                lines.append(" ".join((split, sample.id, sample.group, *facts)))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def groups_on_two_sides(splits: Splits) -> dict[str, dict[str, Sample]]:
    """The groups that are on more than one side, in order, each with its first sample on every side it is on."""
    sides: dict[str, dict[str, Sample]] = defaultdict(dict)
    for split, samples in splits.items():
        for sample in samples:
            sides[sample.group].setdefault(split, sample)
    return {group: found for group, found in sorted(sides.items()) if len(found) > 1}


def thin(samples: Sequence[T], limit: int | None) -> Sequence[T]:
    """At most `limit` of some samples, evenly spaced, so that each part of an ordered list stays; None keeps all."""
    if limit is None or limit >= len(samples):
        return samples
    return [samples[index * len(samples) // limit] for index in range(limit)]
