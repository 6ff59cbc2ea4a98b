"""Masks that were predicted elsewhere: found in a folder, matched with the samples by name, checked and decoded.

Nothing is guessed: what is missing, left over, named twice, of another size or turned another way is named.
"""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import numpy as np

from bench.data.broken import naming, opened
from bench.data.decoded import SPREAD, decode_mask, stored_as
from bench.data.files import collected, composed, files_in, first_few, reading, state_of
from bench.data.images import checked_labels, read_labels
from bench.data.names import ENDINGS
from bench.data.recent import recent
from bench.data.sample import Sample
from bench.data.volumes import LOCKS, axes_of, read_array, shape_and_spacing, whole_numbers
from bench.errors import UserError

PICTURES = (".png", ".tif", ".tiff", ".bmp")
NIFTI = (".nii.gz", ".nii")
NAMED = (*ENDINGS, "_pred", "_prediction", "_predicted", "_predictions", "_out", "_output")
SUFFIX = re.compile(r"\.(nii(\.gz)?|png|jpe?g|tiff?|bmp|gif|webp|npz|npy|mha|mhd|nrrd|dcm)$", re.IGNORECASE)
AS_A_PICTURE = ("L", "P")  # x to the right and y down, as SimpleITK writes pictures

Owners = dict[str, list[str]]  # for each name that is expected, the names given that mean it
Done = Callable[[int], object]


@dataclass(frozen=True)
class Masks:
    """The masks of one training, from one folder, for each of the `samples` in their order.

    `files` holds the file of each sample and the number of its slice in it; None for a file of one image.
    """

    folder: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    files: dict[str, tuple[Path, int | None]]
    remarks: tuple[str, ...] = ()

    def read(self, sample: Sample) -> np.ndarray:
        """The predicted class numbers, uint8 (height, width), at the size of the truth.

        Raises UserError naming the file where it cannot be read, has another size or holds other labels.
        """
        path, place = self.files[sample.id]
        if place is None:
            with naming(path):
                return _read_flat(path, self.classes)
        with reading("volume", path), LOCKS[path]:
            return _read_volume(path, self.classes, state_of(path))[place].copy()

    def check(self, problems: list[str], done: Done = lambda count: None) -> str:
        """Decode every mask that is given; 12 hexadecimal digits that change with the predictions.

        Faults are lines in `problems`. `done` is called with the number of masks that were read.
        """
        digest = hashlib.sha256()
        given = [sample for sample in self.samples if sample.id in self.files]
        broken: set[Path] = set()
        with ThreadPoolExecutor() as pool:
            for count, (facts, fault) in enumerate(pool.map(partial(self._checked, broken), given), start=1):
                digest.update(facts)
                problems += [fault] if fault and fault not in problems else []
                done(count)
        return digest.hexdigest()[:12]

    def _checked(self, broken: set[Path], sample: Sample) -> tuple[bytes, str]:
        """What a mask adds to the digest, and its fault; a file that is `broken` is not read again for each slice."""
        faults: list[str] = []
        path = self.files[sample.id][0]
        if path in broken:
            return b"", ""
        with collected(faults):
            try:
                mask = self.read(sample)
            except UserError:
                broken.add(path)
                raise
            size = sample.mask().shape
            if mask.shape != size:
                raise _other_size(self.files[sample.id][0], mask.shape, sample.id, size)
            return f"{sample.id} {mask.shape} ".encode() + hashlib.sha256(mask.tobytes()).digest(), ""
        return b"", faults[0]


def find_masks(
    folder: Path, samples: Sequence[Sample], classes: tuple[str, ...], problems: list[str], aside: Iterable[str] = ()
) -> Masks:
    """The masks in a folder, one file for each sample, or NIfTI files of whole volumes. Reads headers only.

    A mask is called as its image, its volume or its truth, in any case, also with an ending such as `_pred`. `aside`
    are ids of the data set's other splits, for a better error. What does not fit is a line in `problems`.
    """
    try:
        every = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]  # noqa: PTH208 - as files_in
    except OSError as error:
        problems.append(f"cannot list the folder {folder} ({error.strerror}); give one that may be read")
        return Masks(folder, tuple(samples), classes, {})
    pictures, volumes = files_in(folder, PICTURES), files_in(folder, NIFTI)
    given = {path.name: stem for found in (pictures, volumes) for stem, paths in found.items() for path in paths}
    remarks = []
    if unread := [name for name in every if name not in given]:
        remarks.append(f"not read in {folder}: {first_few(unread)}; masks are {', '.join((*PICTURES, *NIFTI))}")
    expected = aliases(samples)
    owners, extra = owners_of(given, expected)
    by_volume: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_volume[sample.volume].append(sample)
    files: dict[str, list[tuple[Path, int | None]]] = defaultdict(list)
    for name, found in owners.items():
        slices = by_volume[name] if name and name in by_volume else []
        for path in (folder / file for file in found):
            with collected(problems):
                if slices:
                    _check_volume(path, slices)
                else:
                    _check_flat(path)
            for place, one in enumerate(slices):
                files[one.id].append((path, place))
            if not slices:
                files[name].append((path, None))
    named = {name: [path.name for path, _ in paths] for name, paths in files.items()}
    problems += unmatched(str(folder), "masks", samples, named, extra, aside)
    return Masks(folder, tuple(samples), classes, {name: found[0] for name, found in files.items()}, tuple(remarks))


# ---- names -----------------------------------------------------------------------------------------------------------


def aliases(samples: Sequence[Sample]) -> dict[str, set[str]]:
    """The names that each sample, by its id, and each volume goes by: its own, and those of its files."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        own = {stem for path in sample.files if (stem := without_suffix(path.name)) != path.name}
        found[sample.id] = {sample.id, sample.id.rpartition("/")[2], *(own if not sample.volume else ())}
        if sample.volume:
            found.setdefault(sample.volume, {sample.volume})
    return found


def owners_of(given: Mapping[str, str], expected: Mapping[str, Iterable[str]]) -> tuple[Owners, list[str]]:
    """What each of `given` (names, with the stem that tells) belongs to, and which belong to nothing.

    The same letters count first, then in any case; each also without an ending such as `_pred`.
    """
    exact: dict[str, set[str]] = defaultdict(set)
    folded: dict[str, set[str]] = defaultdict(set)
    for target, names in expected.items():
        for name in names:
            exact[composed(name)].add(target)
            folded[composed(name).casefold()].add(target)
    owners: Owners = defaultdict(list)
    extra = []
    for name, stem in given.items():
        plain = composed(stem)
        cut = [plain[: len(plain) - len(ending)] for ending in NAMED if plain.lower().endswith(ending)]
        meant = [exact[one] for one in cut if one in exact] or [
            folded[c] for c in map(str.casefold, cut) if c in folded
        ]
        if meant and len(meant[0]) == 1:
            owners[next(iter(meant[0]))].append(name)
        else:
            extra.append(name)
    return dict(owners), extra


def without_suffix(name: str) -> str:
    """The name of a file of an image without its suffix; other names are left as they are.

    >>> without_suffix("case.1.nii.gz"), without_suffix("case.1")
    ('case.1', 'case.1')
    """
    return SUFFIX.sub("", name)


def unmatched(
    where: str, what: str, samples: Sequence[Sample], found: Mapping[str, Sequence[str]], extra: Sequence[str],
    aside: Iterable[str] = (),
) -> list[str]:  # fmt: skip
    """A line on the samples without a mask, one on those with two, one on masks that belong to no sample.

    `found` has the names given for each sample, by its id, `extra` those that belong to none, of which `aside` may be
    the names of the data set's other splits. Where all slices of a volume are missing, the volume is named.
    """
    there = {sample.volume for sample in samples if sample.id in found}
    cut = there & {sample.volume for sample in samples if sample.id not in found}  # a slice is here, another is not
    units = {sample.id: sample.id if sample.volume in cut else sample.volume or sample.id for sample in samples}
    missing = list(dict.fromkeys(unit for name, unit in units.items() if name not in found))
    twice = dict.fromkeys(" and ".join(names) for names in found.values() if len(names) > 1)
    lines = []
    if missing:
        lines.append(f"{where}: {len(missing)} of {len(set(units.values()))} {what} are missing: {first_few(missing)}")
    if twice:
        lines.append(f"{where}: there are two {what} where one is needed, {len(twice)} times: {first_few([*twice])}")
    if extra:
        others = owners_of({name: without_suffix(name) for name in extra}, {name: [name] for name in aside})[0]
        known = {name for names in others.values() for name in names}
        near = missing or [*units.values()]
        shown = [name + (_nearest(name, near) if name not in known else "") for name in extra[:3]]
        more = f" and {len(extra) - 3} more" if len(extra) > 3 else ""
        hint = f" ({len(known)} of another split; --split test, val or all is what is scored)" if known else ""
        lines.append(f"{where}: {len(extra)} {what} belong to no image{hint}: {', '.join(shown)}{more}")
    return lines


def _nearest(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(without_suffix(name), names, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


# ---- files -----------------------------------------------------------------------------------------------------------


def _read_flat(path: Path, classes: tuple[str, ...]) -> np.ndarray:
    """The class numbers of a file of one image, uint8 (height, width)."""
    if path.name.lower().endswith(NIFTI):
        values = read_array(path, "label")
        values = values.reshape(values.shape[-2:])  # from (1, height, width)
    else:
        with opened(path) as picture:
            factor = SPREAD.get(stored_as(picture), 1)
        values = read_labels(path, classes) // factor if len(classes) > 1 else decode_mask(path).tones
    return _numbers(values, path, classes)


@recent(16)  # as for the truth: the slices of a volume are mostly asked for in a row
def _read_volume(path: Path, classes: tuple[str, ...], state: tuple[int, ...]) -> np.ndarray:
    return _numbers(whole_numbers(read_array(path, "label")), path, classes)


def _numbers(values: np.ndarray, path: Path, classes: tuple[str, ...]) -> np.ndarray:
    return checked_labels(values, path, classes) if len(classes) > 1 else _one_class(values, path)


def _one_class(values: np.ndarray, path: Path) -> np.ndarray:
    """uint8, 1 where the mask is not 0. Raises UserError where more than one value is not 0: which is meant?"""
    found = np.unique(values)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0) or not np.isfinite(found.astype(float)).all():
        held = first_few([f"{value:g}" for value in found.tolist()], 4)
        advice = "of probabilities, keep what is over your threshold; of several classes, name them with --classes"
        raise UserError(f"{path} holds the values {held}; a mask of one class holds 0 and one other; {advice}")
    return (values != 0).astype(np.uint8)


def _check_flat(path: Path) -> None:
    """Raise UserError for a NIfTI file that is no picture, or whose axes may run otherwise than a picture's."""
    if not path.name.lower().endswith(NIFTI):
        return
    shape, axes = shape_and_spacing(path, "label")[0], axes_of(path)
    if any(side != 1 for side in shape[:-2]) or len(shape) < 2:
        raise UserError(f"{path} is {_by(shape)} and so no picture; give one mask for each image")
    if axes[:2] != AS_A_PICTURE:
        wanted = f"{', '.join(AS_A_PICTURE)} (columns to the right, rows down), as SimpleITK writes them"
        advice = "write it so, or as PNG"
        raise UserError(f"{path} has the axes {', '.join(axes[:2])}, and those of a picture are {wanted}; {advice}")


def _check_volume(path: Path, slices: Sequence[Sample]) -> None:
    """Raise UserError where a mask of a whole volume has another shape than its truth, or its axes run otherwise."""
    truth = slices[0].files[0]  # the image, as which the labels were turned
    if not path.name.lower().endswith(NIFTI):
        raise UserError(
            f"{path} is a picture, and {slices[0].volume} a volume; give NIfTI, or a picture for each slice"
        )
    if not truth.name.lower().endswith(NIFTI):
        unknown = f"the truth in {truth.name} does not say how its axes run"
        raise UserError(f"{path} cannot be laid over its truth, for {unknown}; give a picture for each slice")
    (shape, _), (other, _) = (shape_and_spacing(file, "label") for file in (path, truth))
    if shape != other:
        raise _other_size(path, shape, truth, other)
    if axes_of(path) != axes_of(truth):
        runs = f"{', '.join(axes_of(path))}, and those of {truth} along {', '.join(axes_of(truth))}"
        raise UserError(f"{path}: its axes run along {runs}; write it with the header of the image it was made from")


def _other_size(path: Path, size: tuple[int, ...], truth: Path | str, other: tuple[int, ...]) -> UserError:
    advice = "predictions have the size of the original image; scale them back, as the truth is not scaled to fit"
    return UserError(f"{path} is {_by(size)} and the truth of {truth} is {_by(other)}; {advice}")


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
