"""Looks at every file of a data set and lists all that is wrong with it at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data import DataSet, Options, Sample, inspect_dataset
from bench.data.images import same_bytes
from bench.errors import UserError


@dataclass(frozen=True)
class Checked:
    """`faults` should be mended before measuring; `remarks` are worth knowing. One sentence each."""

    data: DataSet
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


def check(
    name: str, root: Path | None, options: Options, done: Callable[[int, int], None] = lambda count, total: None
) -> Checked:
    """Read everything: pairing, counts, readability, sizes, label values, the same image on two sides of the split.

    `done` hears how many samples of how many were read. Raises UserError only where there is nothing to look at.
    """
    data, faults = inspect_dataset(name, root, options)
    faults = [*faults, *_counts(data)]
    remarks = [data.note] if data.note else []
    samples = [sample for split in data.splits.values() for sample in split]
    empty = 0
    with ThreadPoolExecutor() as pool:
        for count, (fault, is_empty) in enumerate(pool.map(lambda sample: _look(sample, data), samples), start=1):
            faults += [fault] if fault else []
            empty += is_empty
            done(count, len(samples))
    if empty:
        remarks.append(f"{empty} of {len(samples)} masks are empty; where a prediction is empty too, Dice is undefined")
    twins, published = _twins(data)
    return Checked(data, (*faults, *twins), (*remarks, *published))


def _counts(data: DataSet) -> list[str]:
    return [
        f"{tally.found} {tally.what}, published are {tally.published}; get the missing files, or remove what is extra"
        for tally in data.tallies
        if tally.published is not None and tally.found != tally.published
    ]


def _look(sample: Sample, data: DataSet) -> tuple[str, bool]:
    """What is wrong with one sample, or nothing; and whether its mask is empty."""
    try:
        image, mask = sample.image(), sample.mask()
    except UserError as error:
        return str(error), False
    if image.shape[:2] != mask.shape:
        return f"{sample.id}: the image is {image.shape[:2]}, its mask {mask.shape}; both must be of one size", False
    labels = set(np.unique(mask).tolist())
    strange = sorted(labels - set(range(len(data.classes) + 1)))
    if strange:
        allowed = f"0 to {len(data.classes)}"
        return f"{sample.id}: its mask holds {strange}, allowed are {allowed}; mend the mask or name the classes", False
    return "", labels == {0}


def _twins(data: DataSet) -> tuple[list[str], list[str]]:
    """Images that are the same byte for byte on two sides of the split: faults, and those that were published so."""
    where = {
        sample.files[0]: (split, sample.id)
        for split, samples in data.splits.items()
        for sample in samples
        if sample.files and not sample.volume
    }
    faults, published = [], []
    for alike in same_bytes(where):
        sides = {where[path][0] for path in alike}
        ids = {where[path][1] for path in alike}
        if len(sides) < 2:
            continue
        text = f"the same image is in {' and '.join(sorted(sides))}: {', '.join(sorted(ids))}"
        if frozenset(ids) in data.known_twins:
            published.append(f"{text}; it was published so")
        else:
            faults.append(f"{text}; a network would be scored on what it learned, so keep one of them")
    return faults, published
