"""Synapse multi-organ CT as TransUNet prepared it: slices to train on in `.npz` files, volumes to test on in `.h5`.

Chen et al., "TransUNet", arXiv:2102.04306; 18 cases to train on, 12 to test on, clipped to -125 .. 275 HU and scaled to
0 .. 1. Labels are those of eight organs; the later form, in folders ending in `_new`, keeps those of thirteen.
"""

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

from bench.data import Source
from bench.data.arrays import WHAT, read_npz
from bench.data.files import collected, files_in, first_few, read_text, reading, state_of
from bench.data.images import checked_labels, gray_rgb
from bench.data.layouts import Found, refuse
from bench.data.recent import recent
from bench.data.sample import Options, Sample
from bench.data.volumes import LOCKS, read_array, shape_and_spacing, whole_numbers
from bench.errors import UserError

ORGANS = ("spleen", "right kidney", "left kidney", "gallbladder", "liver", "stomach", "aorta", "pancreas")
# The thirteen labels: of these papers score eight, and number the pancreas 5.
NEW = ("spleen", "right kidney", "left kidney", "gallbladder", "pancreas", "liver", "stomach", "aorta")
OF_THIRTEEN = (0, 1, 2, 3, 4, 0, 6, 7, 8, 0, 0, 5, 0, 0)
SLICE = re.compile(r"(case\d+)_slice(\d+)", re.IGNORECASE)
VOLUME = re.compile(r"(case\d+)(?:\.npy)?", re.IGNORECASE)
LISTS = ("lists/lists_Synapse", "lists_Synapse", ".")


def read(source: Source, root: Path, options: Options, classes: tuple[str, ...], problems: list[str]) -> Found | None:
    """The cases under `root`; None where there is no folder train_npz. Raises UserError where a part is missing."""
    new = "_new" if (root / "train_npz_new").is_dir() else ""
    train, test = root / f"train_npz{new}", root / f"test_vol_h5{new}"
    if not train.is_dir():
        return None
    if not test.is_dir():
        raise source.wrong_layout(root, f"no folder {test.name} beside {train.name}")
    refuse(options, "Synapse as TransUNet prepared it", "foreground", "levels", "images", "masks")
    notes, mapped = [], OF_THIRTEEN if new and not options.classes else ()
    classes = classes if options.classes else NEW if new else ORGANS
    if not options.classes:
        notes.append(f"organs in the order of {'the labels of thirteen' if new else 'TransUNet'}: {', '.join(classes)}")
    slices = {name: paths[0] for name, paths in files_in(train, (".npz",), SLICE).items()}
    volumes = {name: paths[0] for name, paths in files_in(test, (".h5",), VOLUME).items()}
    by_case: dict[str, dict[int, Path]] = defaultdict(dict)
    for name in _listed(root, "train.txt", slices, problems, notes):
        match = SLICE.fullmatch(name)
        assert match  # files_in took no other
        by_case[match[1].lower()][int(match[2])] = slices[name]
    sides = {"train": tuple(s for case in sorted(by_case) for s in _of_slices(case, by_case[case], classes, mapped))}
    found: list[Sample] = []
    for name in _listed(root, "test_vol.txt", volumes, problems, notes):
        with collected(problems):
            found += _of_volume(name.partition(".")[0].lower(), volumes[name], classes, mapped)
    sides["test"] = tuple(found)
    return Found(
        f"Synapse as TransUNet prepared it, {len(by_case)} cases to train on and {len(volumes)} to test on", sides,
        classes, "case", "patients are the cases", patients=True, protocol="per_volume", notes=notes,
    )  # fmt: skip


def _listed(root: Path, file: str, files: dict[str, Path], problems: list[str], notes: list[str]) -> list[str]:
    """The names in one of TransUNet's lists, or all files where it is not there."""
    path = next((root / folder / file for folder in LISTS if (root / folder / file).is_file()), None)
    if path is None:
        return list(files)
    lines = [line.strip() for line in read_text(path, "list").splitlines()]
    known = {name.removesuffix(".npy").lower(): name for name in files}
    named = {line: known.get(_plain(line)) for line in lines if line}
    if lost := [line for line, name in named.items() if name is None]:
        advice = "get the files again, or take the lines out"
        problems.append(f"folder: {len(lost)} names in {path} have no file: {first_few(lost)}; {advice}")
    if spare := sorted(set(files) - set(named.values())):
        notes.append(f"{len(spare)} files that {file} does not name are left out: {first_few(spare)}")
    return list(dict.fromkeys(name for name in named.values() if name))


def _plain(line: str) -> str:
    return re.sub(r"(\.npy)?(\.npz|\.h5)?$", "", line.lower())


def _of_slices(case: str, files: dict[int, Path], classes: tuple[str, ...], mapped: tuple[int, ...]) -> list[Sample]:
    return [
        Sample(
            f"{case}_slice{at:03d}", case, partial(slice_image, path), partial(slice_label, path, classes, mapped),
            (path,), case,
        )
        for at, path in sorted(files.items())
    ]  # fmt: skip


def _of_volume(case: str, path: Path, classes: tuple[str, ...], mapped: tuple[int, ...]) -> list[Sample]:
    shapes = [shape_and_spacing(path, key)[0] for key in ("image", "label")]
    if shapes[0] != shapes[1] or len(shapes[0]) != 3:
        raise UserError(f"{path} holds an image of {shapes[0]} and labels of {shapes[1]}; both are 3-D and of one size")
    return [
        Sample(
            f"{case}_slice{at:03d}", case, partial(volume_image, path, at),
            partial(volume_label, path, classes, mapped, at), (path,), case,
        )
        for at in range(shapes[0][0])
    ]  # fmt: skip


def slice_image(path: Path) -> np.ndarray:
    """uint8 (height, width, 3) of a file of one slice."""
    with reading(WHAT, path):
        return gray_rgb(_bytes_of(read_npz(path, "image"), path))


def slice_label(path: Path, classes: tuple[str, ...], mapped: tuple[int, ...]) -> np.ndarray:
    """uint8 (height, width) class numbers of a file of one slice."""
    with reading(WHAT, path):
        values = read_npz(path, "label")
        if values.ndim != 2:
            raise UserError(f"the label in {path} is {values.shape}; expected (height, width), so get the file again")
        return _numbers(values, path, classes, mapped)


def volume_image(path: Path, at: int) -> np.ndarray:
    """uint8 (height, width, 3) of one slice of a file of a volume."""
    with reading("volume", path), LOCKS[path]:
        return gray_rgb(_images(path, state_of(path))[at])


def volume_label(path: Path, classes: tuple[str, ...], mapped: tuple[int, ...], at: int) -> np.ndarray:
    """uint8 (height, width) class numbers of one slice of a file of a volume."""
    with reading("volume", path), LOCKS[path]:
        return _labels(path, classes, mapped, state_of(path))[at].copy()


@recent(4)
def _images(path: Path, state: tuple[int, ...]) -> np.ndarray:
    return _bytes_of(read_array(path, "image"), path)


@recent(4)
def _labels(path: Path, classes: tuple[str, ...], mapped: tuple[int, ...], state: tuple[int, ...]) -> np.ndarray:
    return _numbers(read_array(path, "label"), path, classes, mapped)


def _bytes_of(values: np.ndarray, path: Path) -> np.ndarray:
    """uint8: 0 becomes 0 and 1 becomes 255. Slices and volumes share this scale, so none is stretched by itself."""
    if values.dtype.kind != "f" or not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        found = f"{values.dtype} from {values.min():g} to {values.max():g}"
        raise UserError(f"the image in {path} holds {found}; expected numbers from 0 to 1, as TransUNet scales them")
    return np.rint(values.astype(np.float64) * 255).astype(np.uint8)


def _numbers(values: np.ndarray, path: Path, classes: tuple[str, ...], mapped: tuple[int, ...]) -> np.ndarray:
    values = whole_numbers(values)
    if mapped and np.isin(values, range(len(mapped))).all():
        values = np.array(mapped, np.uint8)[values.astype(np.uint8)]
    return checked_labels(values, path, classes)
