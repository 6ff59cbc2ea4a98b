"""Samples in named splits, and the assignment of groups of samples (patients) to splits.

Splits are drawn once, written to a file and read back. No group is in two splits.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.data.files import composed, first_few, is_list_of, read_json
from bench.errors import UserError
from bench.files import write_whole

if TYPE_CHECKING:  # numpy takes longer to import than a plan takes to make
    import numpy as np

    from bench.data.contents import Done
    from bench.quantities import ProtocolName

SPLITS = ("train", "val", "test")
TEST_SHARE, VAL_SHARE = 0.2, 0.1
LEAST = 5  # groups to draw a split from
SHARES = f"test {TEST_SHARE:.0%}, val {VAL_SHARE:.0%}"
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

    def resized(self, size: int) -> "tuple[np.ndarray, np.ndarray]":
        """The image as uint8 (3, size, size), bilinear, and the mask as uint8 (size, size), by nearest neighbor."""
        import numpy as np
        from PIL import Image

        image = Image.fromarray(self.image()).resize((size, size), Image.Resampling.BILINEAR)
        mask = Image.fromarray(self.mask()).resize((size, size), Image.Resampling.NEAREST)
        return np.asarray(image).transpose(2, 0, 1), np.asarray(mask)


Splits = dict[str, tuple[Sample, ...]]


@dataclass(frozen=True)
class Options:
    """Options of a data set besides its folder. Each reader uses those it knows and ignores the others.

    `classes` names the foreground classes of a plain folder, and `patient` the patients of its images, by a pattern or
    a CSV file; `foreground` are the levels of masks that are the one class ("1", "128-255"), `levels` those of the
    background and of each class in turn; `split_file` says which group is on which side; `fold` is the number of a
    published cross-validation fold; `tolerance` replaces the usual one of the data set, see `DataSet`; `images` and
    `masks` name folders of a plain folder, several by commas.
    """

    classes: tuple[str, ...] = ()
    split_file: Path | None = None
    fold: int = 0
    patient: str = ""
    tolerance: float | None = None
    foreground: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    images: str = ""
    masks: str = ""


@dataclass(frozen=True)
class Tally:
    """A count to compare with the published one; `published` is None if none was published."""

    what: str
    found: int
    published: int | None = None


@dataclass(frozen=True)
class DataSet:
    """Samples of one data set by split.

    `classes` names the foreground classes in the order of their mask values, from 1. `protocol` is the field's default
    way of scoring it. `note` says how the splits were made where they are not the official ones. `recipe` is what the
    samples depend on besides their files (a seed, a generator's code). `tallies` are the counts that a check
    compares with the published ones; `known_twins` are ids of images that were published twice, on two sides of the
    split. `drawn` says that a seed made the split, or part of it, and not who published the images. `patients` says
    that the groups are patients (cases, lesions); otherwise none is named, and each image stands for one. `tolerance`
    is the distance, in the unit of distances of this data set, within which two outlines agree. `fold` is the number of
    the fold that is open. `label` is the name of the user's own folder. `instead` says in words what is here in place
    of the published images or sides, where no count shows it. `known_digest` is given where names were replaced, which
    must not change the digest.
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
    patients: bool = False
    tolerance: float | None = None
    fold: int | None = None
    label: str = ""
    instead: str = ""
    known_digest: str = ""
    _digests: list[str] = field(default_factory=list, init=False, repr=False, compare=False)  # none until it is read

    def __post_init__(self) -> None:
        for group, sides in groups_on_two_sides(self.splits).items():
            advice = "a patient or case must stay on one side of a split, so correct the split before measuring"
            raise UserError(f"{self.name}: group '{group}' is in both {' and '.join(sides)}; {advice}")

    @property
    def maps(self) -> int:
        """The number of output maps: one for one class, else one for each class and one for the background."""
        return 1 if len(self.classes) == 1 else len(self.classes) + 1

    @property
    def differs(self) -> str:
        """How its images differ from the published ones, in words; empty if they do not, or if none are published."""
        wrong = [f"{one.found} {one.what} instead of {one.published}" for one in self.wrong_tallies]
        return ", ".join([*filter(None, [self.instead]), *wrong])

    @property
    def wrong_tallies(self) -> list[Tally]:
        """The counts that are not the published ones."""
        return [tally for tally in self.tallies if tally.published not in (None, tally.found)]

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that change when an image, a mask, a name or a split does, see `data_digest`.

        The names of files and folders do not count. Raises UserError naming a file that cannot be decoded.
        """
        return self.read()

    def read(self, done: "Done" = lambda count, total: None) -> str:
        """The digest. `done` is called with how many of the samples that were not known yet are decoded for it."""
        from bench.data.contents import data_digest

        if not self._digests:
            self._digests.append(self.known_digest or data_digest(self, done))
        return self._digests[0]


def thin(samples: Sequence[T], limit: int | None) -> Sequence[T]:
    """At most `limit` of some samples, evenly spaced, so that each part of an ordered list stays; None keeps all."""
    if limit is None or limit >= len(samples):
        return samples
    return [samples[index * len(samples) // limit] for index in range(limit)]


def draw_splits(samples: Sequence[Sample], seed: int, test: Sequence[Sample] | None = None) -> Splits:
    """Draw a fifth of the groups as test, a tenth as val, the rest as train; from 5 groups on, each side gets one.

    The same groups and seed give the same splits on every machine. A data set that has a `test` of its own gives it,
    and only val is drawn.
    """
    names = {sample.group for sample in samples}
    drawn = sorted(names, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    share = TEST_SHARE if test is None else 0
    first, last = round(share * len(drawn)), round((share + VAL_SHARE) * len(drawn))
    if len(drawn) >= LEAST:  # both are rounded, which would leave no val for 8, or for 5 beside a test of their own
        last = max(last, first + 1)
    splits = by_group(samples, {"train": drawn[last:], "val": drawn[first:last], "test": drawn[:first]})
    return splits if test is None else {**splits, "test": tuple(test)}


def by_group(samples: Sequence[Sample], sides: Mapping[str, Iterable[str]]) -> Splits:
    """The samples of the groups on each side, in the order given."""
    named = {side: set(groups) for side, groups in sides.items()}
    return {side: tuple(sample for sample in samples if sample.group in groups) for side, groups in named.items()}


def groups_on_two_sides(splits: Splits) -> dict[str, dict[str, Sample]]:
    """The groups that are on more than one side, in order, each with its first sample on every side it is on."""
    sides: dict[str, dict[str, Sample]] = defaultdict(dict)
    for split, samples in splits.items():
        for sample in samples:
            sides[sample.group].setdefault(split, sample)
    return {group: found for group, found in sorted(sides.items()) if len(found) > 1}


def keep_apart(title: str, splits: Splits, problems: list[str]) -> Splits:
    """The splits without the groups that are on two sides; each of those is a line in `problems`."""
    shared = groups_on_two_sides(splits)
    for group, sides in shared.items():
        where = (f"{split} ({sample.files[0] if sample.files else sample.id})" for split, sample in sides.items())
        advice = "a patient, case or image must stay on one side of a split, so take it out of all but one"
        problems.append(f"{title}: '{group}' is in {' and '.join(where)}; {advice}")
    return {split: tuple(s for s in samples if s.group not in shared) for split, samples in splits.items()}


def write_splits(data: DataSet, path: Path) -> None:
    """Write down which group of `data` is on which side, for `apply_kept`. The file appears whole or not at all."""
    splits = {side: sorted(groups) for side, groups in _groups(data).items()}
    content = {"dataset": data.name, "note": data.note, "splits": splits, "digest": _digest_of(data)}
    try:
        write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UserError(f"cannot write the split file {path}: {error}; give a path in a writable folder") from error


def apply_kept(data: DataSet, path: Path, needed: Iterable[str] = SPLITS) -> DataSet:
    """`data` regrouped by a file that `write_splits` wrote, as `apply_splits` does it.

    Raises UserError also where the file was changed since, unless it is what is drawn now: nobody asked for its sides.
    """
    kept = apply_splits(data, path, needed)
    if _groups(kept) != _groups(data) and read_json(path, "split file").get("digest") != _digest_of(kept):
        advice = "to use it as it is give it with --split-file, or remove it to have a split drawn"
        raise UserError(f"split file {path} was edited after the split was drawn, or is damaged; {advice}")
    return kept


def _digest_of(data: DataSet) -> str:
    """12 hexadecimal digits that change when a group is on another side."""
    sides = {side: sorted(groups) for side, groups in _groups(data).items()}
    return hashlib.sha256(json.dumps([data.name, sides], sort_keys=True).encode()).hexdigest()[:12]


def refuse_empty(name: str, splits: Splits, needed: Iterable[str] = SPLITS, path: Path | None = None) -> None:
    """Raise UserError where a side of the split that is needed has no sample: nothing could be said of it.

    `path` is the file of the split, if one says who is where.
    """
    counts = {side: len(splits.get(side, ())) for side in SPLITS}
    if empty := [side for side in needed if not counts[side]]:
        told = ", ".join(f"{side} {count}" for side, count in counts.items())
        where = f"split file {path} leaves" if path else f"data set '{name}' has"
        advice = (
            "put a group on it, or remove the file to have a split drawn" if path else "add images, or a split file"
        )
        raise UserError(f"{where} no image on the side {' and '.join(empty)} ({told}); each needs one, so {advice}")


def apply_splits(data: DataSet, path: Path, needed: Iterable[str] = SPLITS) -> DataSet:
    """`data` with all its samples regrouped as the file says; its `note` says so.

    The file names groups; a group of one image goes by the name of that file too. Raises UserError naming the file and
    the groups when it is damaged, of another data set, when a group of `data` is not in there exactly once, or one of
    the file's is not in `data`, and when it leaves a side that is `needed` empty.
    """
    name, sides = read_split_file(path)
    sides = _by_their_groups(sides, data, path)
    if name not in ("", data.name):
        advice = "give the split file of this data set, or another name for a new one"
        raise UserError(f"split file {path} is of data set '{name}', and '{data.name}' was opened; {advice}")
    drawn = _groups(data)
    here, there = set().union(*drawn.values()), set().union(*sides.values())
    if there - here:
        raise _bad_groups(path, "names {} that the data set does not have", there - here, "take the names out")
    if here - there:
        raise _bad_groups(path, "leaves out {} of the data set", here - there, "add the names")
    refuse_empty(data.name, by_group([s for split in data.splits.values() for s in split], sides), needed, path)
    as_drawn = all(drawn.get(side, set()) == groups for side, groups in sides.items())
    note = f"split by {path.name}{', which is' if as_drawn else ' instead of'}: {data.note or 'the official splits'}"
    samples = [sample for split in data.splits.values() for sample in split]
    instead = data.instead
    if data.tallies and not (data.drawn or as_drawn):
        instead = ", ".join(filter(None, [instead, "the sides of a split file instead of the published ones"]))
    return replace(data, splits=by_group(samples, sides), note=note, instead=instead)


def read_split_file(path: Path) -> tuple[str, dict[str, set[str]]]:
    """(data set, groups by side) of a split file.

    The plain form {"train": [...], "val": [...], "test": [...]} that papers publish names no data set: "". Raises
    UserError when it is damaged, or a group is in there twice.
    """
    content = read_json(path, "split file")
    sides = content.get("splits", content) if isinstance(content, dict) else None
    if not (isinstance(sides, dict) and all(is_list_of(str, sides.get(split)) for split in SPLITS)):
        expected = '{"splits": {"train": [...], "val": [...], "test": [...]}} with names of groups in the lists'
        raise UserError(f"split file {path} does not hold {expected}; correct it, or leave --split-file out")
    if extra := sorted(set(sides) - set(SPLITS)):
        raise UserError(f"split file {path} has a side '{extra[0]}'; allowed are {', '.join(SPLITS)}; correct it")
    names = Counter(name for split in SPLITS for name in sides[split])
    if twice := {name for name in names if names[name] > 1}:
        raise _bad_groups(path, "names {} more than once", twice, "keep each name once")
    return str(content.get("dataset", "")), {split: set(sides[split]) for split in SPLITS}


def _by_their_groups(sides: dict[str, set[str]], data: DataSet, path: Path) -> dict[str, set[str]]:
    """The sides with each name of an image, or of its file, replaced by the image's group."""
    samples = [sample for part in data.splits.values() for sample in part]
    groups = {sample.group for sample in samples}
    group_of: dict[str, str] = {}
    for sample in samples:
        for name in (sample.id, *(file.name for file in sample.files[:1]), sample.group):
            group_of[composed(name)] = sample.group
    found = {
        side: [name if name in groups else group_of.get(composed(name), name) for name in sorted(names)]
        for side, names in sides.items()
    }
    twice = _on_two_sides(found)
    if twice:
        raise _bad_groups(path, "has images of {} on two sides", twice, "keep its images on one side")
    return {side: set(names) for side, names in found.items()}


def _on_two_sides(sides: Mapping[str, Iterable[str]]) -> set[str]:
    """The names that are on more than one side."""
    times = Counter(name for names in sides.values() for name in set(names))
    return {name for name, count in times.items() if count > 1}


def _groups(data: DataSet) -> dict[str, set[str]]:
    return {split: {sample.group for sample in samples} for split, samples in data.splits.items()}


def _bad_groups(path: Path, what: str, groups: set[str], advice: str) -> UserError:
    fault = what.format(f"{len(groups)} group{'s' if len(groups) > 1 else ''}")
    advice = f"each group is on one side, so {advice}, or remove the file to have a split drawn"
    return UserError(f"split file {path} {fault}: {first_few(sorted(groups))}; {advice}")
