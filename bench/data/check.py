"""Checks every file of a data set and lists all faults."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.data import DataSet, Options, inspect_dataset
from bench.data.files import same_bytes
from bench.data.images import check_same_size, checked_labels
from bench.data.sample import Sample
from bench.errors import UserError

Done = Callable[[int, int], None]  # called with how many samples of how many were read


@dataclass(frozen=True)
class Checked:
    """`faults` should be corrected before measuring; `remarks` are worth knowing. One sentence each."""

    data: DataSet
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


def check(name: str, root: Path | None, options: Options, done: Done = lambda count, total: None) -> Checked:
    """Read everything: pairing, counts, readability, sizes, label values, the same image on two sides of the split.

    Raises UserError only if there is nothing to check.
    """
    data, faults = inspect_dataset(name, root, options)
    remarks = [data.note] if data.note else []
    advice = "get the missing files, or remove what is extra"
    faults += [f"{one.found} {one.what}, published are {one.published}; {advice}" for one in data.wrong_tallies]
    remarks += [f"differs from the published data set: {data.differs}"] if data.differs else []
    samples = [sample for split in data.splits.values() for sample in split]
    empty = 0
    with ThreadPoolExecutor() as pool:
        for count, (fault, is_empty) in enumerate(pool.map(partial(_look, data), samples), start=1):
            faults += fault
            empty += is_empty
            done(count, len(samples))
    if empty:
        remarks.append(f"{empty} of {len(samples)} masks are empty; where a prediction is empty too, Dice is undefined")
    twins, published = _twins(data)
    return Checked(data, (*faults, *twins), (*remarks, *published))


def _look(data: DataSet, sample: Sample) -> tuple[list[str], bool]:
    """The faults of one sample, and whether its mask is empty."""
    try:
        image, mask = sample.image(), sample.mask()
        check_same_size(f"the image of {sample.id}", image.shape[:2], "its mask", mask.shape)
        return [], not checked_labels(mask, f"the mask of {sample.id}", data.classes).any()
    except UserError as error:
        return [str(error)], False


def _twins(data: DataSet) -> tuple[list[str], list[str]]:
    """Images that are the same byte for byte on two sides of the split: faults, and those that were published so."""
    pairs = ((split, sample) for split, samples in data.splits.items() for sample in samples)
    where = {sample.files[0]: (split, sample.id) for split, sample in pairs if sample.files and not sample.volume}
    faults, published = [], []
    for alike in same_bytes(where):
        sides, ids = map(set, zip(*(where[path] for path in alike), strict=True))
        text = f"the same image is in {' and '.join(sorted(sides))}: {', '.join(sorted(ids))}"
        if len(sides) > 1 and ids in data.known_twins:
            published.append(f"{text}; it was published so")
        elif len(sides) > 1:
            faults.append(f"{text}; a network would be scored on what it learned, so keep one of them")
    return faults, published
