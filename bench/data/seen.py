"""Test images of one data set that weights have seen before: in the data set that they were trained on, or chosen by.

Copies are files that are the same byte for byte; near copies are found as within a data set (`bench.data.copies`). What
is found of a file is kept as long as the file stays as it is, so that it is read once. Drawn images have no files, and
are no copies.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.data.broken import in_turn
from bench.data.contents import Done, reader_code, sample_key, wait_for_clock
from bench.data.copies import SIDE, NearCopy, near_copies, thumbnail
from bench.data.files import first_few, state_of
from bench.data.kept import keep, recall
from bench.data.sample import DataSet, Sample

SIDES = ("trained on", "tested on")
FITTED = ("train", "val")  # sides of a split whose images decide what the weights become


@dataclass(frozen=True)
class Seen:
    """Of so many `tested` images those that are copies of images that were trained on, and those that look like one.

    A pair is the image that was trained on, then the tested one. `patients` are names that both data sets have: a hint
    at best, for "1" and "2" are names of patients in many data sets.
    """

    tested: int
    copies: tuple[tuple[Sample, Sample], ...] = ()
    near: tuple[NearCopy, ...] = ()
    patients: tuple[str, ...] = ()

    @property
    def copied(self) -> int:
        """How many of the tested images are copies."""
        return len({tested.id for _, tested in self.copies})

    @property
    def near_copied(self) -> int:
        """How many of the tested images look like one that was trained on, and are no copies."""
        return len({near.samples[1].id for near in self.near})

    def told(self, trained_on: str, tested_on: str) -> list[str]:
        """A sentence on the copies and one on the near copies; none where there are none."""
        found = []
        if self.copies:
            pairs = [f"{tested.id} ({trained.id} there)" for trained, tested in self.copies]
            found.append(
                f"{self.copied} of {self.tested} test images of {tested_on} are copies of images of {trained_on} that "
                f"are trained on: {first_few(pairs)}; a network is scored on what it learned, so nothing is decided by "
                f"it; leave them out: put them on the side train of {tested_on} with a split file"
            )
        if self.near:
            found.append(
                f"{self.near_copied} of {self.tested} test images of {tested_on} look like images of {trained_on} that "
                f"are trained on: {first_few([one.samples[1].id for one in self.near])}; look at them"
            )
        return found


def seen_by(trained: DataSet, tested: DataSet, done: Done = lambda count, total: None) -> Seen:
    """What of the test side of `tested` is on the sides train and val of `trained`; `done` counts the images read.

    Raises UserError naming a file that cannot be decoded.
    """
    fitted = [sample for side in FITTED for sample in trained.splits.get(side, ())]
    found = seen(fitted, tested.splits.get("test", ()), done)
    patients = {sample.group for sample in fitted} & {sample.group for sample in tested.splits.get("test", ())}
    named = trained.patients and tested.patients
    return Seen(found.tested, found.copies, found.near, tuple(sorted(patients)) if named else ())


def seen(trained: Sequence[Sample], tested: Sequence[Sample], done: Done = lambda count, total: None) -> Seen:
    """The same of some samples, without their patients."""
    ours, theirs = ([sample for sample in part if sample.files] for part in (trained, tested))
    if not (ours and theirs):
        return Seen(len(tested))
    copies = _copies(ours, theirs)
    copied = {id(sample) for _, sample in copies}
    samples = [*ours, *theirs]
    sides = [SIDES[0]] * len(ours) + [SIDES[1]] * len(theirs)
    near = near_copies(sides, samples, thumbnails(samples, done))
    return Seen(len(tested), tuple(copies), tuple(one for one in near if id(one.samples[1]) not in copied))


def _copies(trained: Sequence[Sample], tested: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """Pairs of samples whose image files are the same byte for byte; each tested one once."""
    sizes = [{_size(sample) for sample in part} for part in (trained, tested)]
    common = (sizes[0] & sizes[1]) - {0}
    ours, theirs = ([sample for sample in part if _size(sample) in common] for part in (trained, tested))
    known = file_digests({sample.files[0] for sample in (*ours, *theirs)})
    first = {known[sample.files[0]]: sample for sample in reversed(ours) if known[sample.files[0]]}
    return [(first[digest], sample) for sample in theirs if (digest := known[sample.files[0]]) in first]


def _size(sample: Sample) -> int:
    return (state_of(sample.files[0]) or (0,))[0]


def file_digests(paths: set[Path]) -> dict[Path, str]:
    """The SHA-256 of each file's bytes; "" for one that cannot be read, which is named where it is decoded."""
    ordered = sorted(paths)
    keys = {path: _key("bytes", str(path.absolute()), state_of(path)) for path in ordered}
    kept = recall(keys.values())
    missing = [path for path in ordered if keys[path] not in kept]
    wait_for_clock(missing)
    with ThreadPoolExecutor() as pool:
        read = dict(zip(missing, pool.map(_bytes_of, missing), strict=True))
    unchanged = {p: d for p, d in read.items() if d and keys[p] == _key("bytes", str(p.absolute()), state_of(p))}
    keep({keys[path]: digest for path, digest in unchanged.items()})
    return {path: kept.get(keys[path]) or read.get(path, "") for path in ordered}


def _bytes_of(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def thumbnails(samples: Sequence[Sample], done: Done = lambda count, total: None) -> list[np.ndarray]:
    """The thumbnail of each sample's image, as `bench.data.copies` compares them; what is not known is decoded.

    Raises UserError naming a file that cannot be decoded.
    """
    keys = [_thumbnail_key(sample) for sample in samples]
    known = recall(filter(None, keys))
    missing = [at for at, key in enumerate(keys) if key not in known]
    wait_for_clock(file for at in missing for file in samples[at].files)
    found = {at: _unpacked(known[key]) for at, key in enumerate(keys) if key in known}
    fresh: dict[str, str] = {}
    try:
        with ThreadPoolExecutor() as pool:
            for count, (at, made) in enumerate(pool.map(partial(_made, samples), missing), start=1):
                found[at] = made
                if keys[at] and keys[at] == _thumbnail_key(samples[at]):
                    fresh[keys[at]] = base64.b64encode(made.tobytes()).decode()
                done(count, len(missing))
    finally:
        keep(fresh)
    return [found[at] for at in range(len(samples))]


def _made(samples: Sequence[Sample], at: int) -> tuple[int, np.ndarray]:
    with in_turn(*samples[at].files):
        return at, thumbnail(samples[at].image())


def _unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(SIDE, SIDE)


def _thumbnail_key(sample: Sample) -> str:
    key = sample_key(sample)
    return _key("thumbnail", key, reader_code(thumbnail.__module__)) if key else ""


def _key(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
