"""Checks every file of a data set and lists all faults."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.data import DataSet, Options, inspect_dataset
from bench.data.broken import grouped, in_turn
from bench.data.copies import near_copies, thumbnail
from bench.data.files import counted, first_few, same_bytes
from bench.data.images import check_same_size, checked_labels
from bench.data.sample import Sample
from bench.data.seen import seen_by
from bench.errors import UserError

FAINT = 13  # 5 % of 256 levels, within which nothing can be seen
SHOWN = 20  # pairs of near copies that are named
# Names of files in sentences, by their suffix; those below the folder may have spaces.
FILE = r"\.(?:png|jpe?g|tiff?|bmp|gif|webp|p[gpb]m|nii(?:\.gz)?|h5|npz|xml)(?!\w)"
Done = Callable[[int, int], object]  # called with how many samples of how many were read


@dataclass(frozen=True)
class Checked:
    """`faults` should be corrected before measuring; `remarks` are worth knowing. One sentence each."""

    data: DataSet
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


def check(
    name: str, root: Path | None, options: Options, done: Done = lambda count, total: None,
    trained: DataSet | None = None,
) -> Checked:  # fmt: skip
    """Read everything: pairing, counts, readability, sizes, label values, one image or near copies on two sides.

    Where weights `trained` on another data set are to be tested on this one, also what they have seen of its test side.
    Raises UserError only if there is nothing to check.
    """
    data, problems = inspect_dataset(name, root, options)
    faults = grouped((_files_named(problem, root), problem) for problem in problems)
    remarks = [data.note] if data.note else []
    advice = "get the missing files, or remove what is extra"
    faults += [f"{one.found} {one.what}, published are {one.published}; {advice}" for one in data.wrong_tallies]
    remarks += [f"differs from the published data set: {data.differs}"] if data.differs else []
    samples = [sample for _, sample in _pairs(data)]
    seen: list[_Seen] = []
    with ThreadPoolExecutor() as pool:
        for count, one in enumerate(pool.map(partial(_look, data), samples), start=1):
            seen.append(one)
            done(count, len(samples))
    broken = [(sample, one.fault) for sample, one in zip(samples, seen, strict=True) if one.fault]
    faults += grouped(([sample.id, *map(str, sample.files)], fault) for sample, fault in broken)
    empty = sum(one.empty for one in seen)
    if 0 < empty < len(samples):
        remarks.append(f"{empty} of {len(samples)} masks are empty; where a prediction is empty too, Dice is undefined")
    elif empty and not any("masks are empty" in fault for fault in faults):
        faults.append(f"all {empty} masks are empty, so there is nothing to learn; get the masks again")
    highest = max((one.highest for one in seen if not one.fault), default=FAINT)
    if 0 <= highest < FAINT:
        advice = "if the files hold little more, stretch them to 0 to 255, all alike"
        remarks.append(f"the images use under 5 % of their range: no value is above {highest} of 255; {advice}")
    twins, published = _twins(data)
    known, hints = _seen_by(trained, data) if trained and not broken else ([], [])
    return Checked(data, (*faults, *twins, *known), (*remarks, *published, *_near_copies(data, seen), *hints))


def _seen_by(trained: DataSet, data: DataSet) -> tuple[list[str], list[str]]:
    """Test images that weights from another data set have seen: faults, and remarks on what may have been seen."""
    found = seen_by(trained, data)
    copies, near = (one.told(trained.name, data.name) for one in (replace(found, near=()), replace(found, copies=())))
    hints = [f"near copies: {one}" for one in found.near[:SHOWN]]
    if found.patients:
        names = f"the names of {counted(len(found.patients), 'patient')}: {first_few(found.patients)}"
        hints.append(f"in both data sets are {names}; whether they are the same patients only you can tell")
    return copies, [*near, *hints]


@dataclass(frozen=True)
class _Seen:
    """What was seen of one sample: its fault, or whether its mask is empty, the image's highest value and thumbnail."""

    fault: str = ""
    empty: bool = False
    highest: int = 0
    thumbnail: np.ndarray | None = None


def _look(data: DataSet, sample: Sample) -> _Seen:
    try:
        with in_turn(*sample.files):
            image, mask = sample.image(), sample.mask()
            check_same_size(f"the image of {sample.id}", image.shape[:2], "its mask", mask.shape)
            empty = not checked_labels(mask, f"the mask of {sample.id}", data.classes).any()
            return _Seen(empty=empty, highest=int(image.max(initial=0)), thumbnail=thumbnail(image))
    except UserError as error:
        return _Seen(str(error))


def _files_named(sentence: str, root: Path | None) -> list[str]:
    """The files that a sentence names: those below the folder, and others without a space."""
    below = re.findall(rf"{re.escape(str(root))}/.+?{FILE}", sentence) if root else []
    return [*below, *re.findall(rf"[^\s/]+{FILE}", sentence)]


def _pairs(data: DataSet) -> list[tuple[str, Sample]]:
    """Each sample with its side."""
    return [(split, sample) for split, samples in data.splits.items() for sample in samples]


def _near_copies(data: DataSet, seen: Sequence[_Seen]) -> list[str]:
    """Remarks on images that look alike on two sides of the split and are not the same byte for byte."""
    pairs = zip(_pairs(data), seen, strict=True)
    whole = [(split, sample, one.thumbnail) for (split, sample), one in pairs if one.thumbnail is not None]
    alike = near_copies(*zip(*whole, strict=True)) if whole else []
    found = [near for near in alike if not same_bytes(file for sample in near.samples for file in sample.files[:1])]
    if not found:
        return []
    told = f"{len(found)} pair{'s' if len(found) > 1 else ''} of images on two sides of the split look alike"
    more = [f"near copies: {len(found) - SHOWN} more pairs"] if len(found) > SHOWN else []
    advice = "a network may be scored on what it learned, so look at them"
    return [f"{told}; {advice}", *(f"near copies: {near}" for near in found[:SHOWN]), *more]


def _twins(data: DataSet) -> tuple[list[str], list[str]]:
    """Images that are the same byte for byte on two sides of the split: faults, and those that were published so."""
    where = {
        sample.files[0]: (split, sample.id) for split, sample in _pairs(data) if sample.files and not sample.volume
    }
    faults, published = [], []
    for alike in same_bytes(where):
        sides, ids = map(set, zip(*(where[path] for path in alike), strict=True))
        text = f"the same image is in {' and '.join(sorted(sides))}: {', '.join(sorted(ids))}"
        if len(sides) > 1 and ids in data.known_twins:
            published.append(f"{text}; it was published so")
        elif len(sides) > 1:
            faults.append(f"{text}; a network would be scored on what it learned, so keep one of them")
    return faults, published
