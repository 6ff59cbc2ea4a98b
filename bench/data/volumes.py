"""Reads slices of 3-D images from NIfTI and HDF5 files: gray levels stretched over the whole volume, labels checked.

All arrays are (slices, height, width). NIfTI counts x, y, z; a picture's rows are y.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Lock

import nibabel
import numpy as np

from bench.data.files import reading, state_of
from bench.data.grids import Turn, turn_of_labels, turned, turned_shape
from bench.data.hdf5 import array_of, shape_of
from bench.data.images import checked_labels, gray_rgb
from bench.data.nifti import opened_nifti
from bench.data.recent import recent
from bench.data.sample import Sample
from bench.errors import UserError

# A lock for each file: threads that read neighboring slices wait for one decoding instead of each doing it.
LOCKS: dict[Path, Lock] = defaultdict(Lock)
HDF5 = ".h5"
NEARLY_WHOLE = 1e-3
MILLIMETERS = {1: 1000.0, 2: 1.0, 3: 0.001}  # by NIfTI's code of a unit of length


def slices_of_volume(volume: str, image: Path, label: Path, classes: tuple[str, ...]) -> list[Sample]:
    """One sample per slice of a volume named patient_frame, in order. Reads headers only.

    `image` and `label` may be one HDF5 file. Labels whose axes run otherwise than their image's are turned as these.
    Raises UserError when one is unreadable, not 3-D, of another size, or lies elsewhere.
    """
    shape, spacing, turn = checked_pair(image, label)
    return [
        Sample(
            f"{volume}_slice_{at + 1:02d}", volume.partition("_")[0], partial(image_slice, (image,), at),
            partial(label_slice, label, classes, at, turn), tuple(dict.fromkeys((image, label))), volume, spacing,
        )
        for at in range(shape[0])
    ]  # fmt: skip


def checked_pair(
    image: Path, label: Path, trusted: bool = False
) -> tuple[tuple[int, ...], tuple[float, ...], Turn]:  # fmt: skip
    """(shape, spacing) of an image, and how its labels have to be turned. Reads headers only.

    `trusted` is as in `shape_and_spacing`. Raises UserError when one is unreadable, when they are not 3-D and of one
    size, or lie elsewhere.
    """
    shape, spacing = shape_and_spacing(image, "image", trusted)
    other, _ = shape_and_spacing(label, "label")
    turn = () if _is_hdf5(image) or _is_hdf5(label) else turn_of_labels(image, label)
    _check_shapes(image, shape, label, turned_shape(other, turn), ndim=3)
    return shape, spacing, turn


def image_slice(paths: tuple[Path, ...], at: int) -> np.ndarray:
    """uint8 (height, width, 3), stretched over its volume, which is one file of all slices or a file each."""
    with reading("volume", paths[0]), LOCKS[paths[0]]:
        return gray_rgb(_image_volume(paths, tuple(map(state_of, paths)))[at])


def label_slice(path: Path, classes: tuple[str, ...], at: int, turn: Turn = ()) -> np.ndarray:
    """uint8 (height, width) class numbers of one slice of a volume of labels, turned."""
    with reading("volume", path), LOCKS[path]:
        return _label_volume(path, classes, turn, state_of(path))[at].copy()


def label_of_slice_file(path: Path, classes: Sequence[str]) -> np.ndarray:
    """uint8 (height, width) class numbers from a file of one slice. Raises UserError where its image does not fit."""
    with reading("volume", path):
        values = read_array(path, "label")
        _check_shapes(path, shape_and_spacing(path, "image")[0], path, values.shape, ndim=2)
        return checked_labels(values, path, classes)


# A few volumes are kept, so that the slices of one, which are mostly asked for in a row, decode it once. They are kept
# by the state of their files too, because a file may be mended meanwhile.
@recent(16)
def _image_volume(paths: tuple[Path, ...], states: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    """The slices of a volume, each uint8 (height, width), from one file of all or one file each."""
    arrays = [read_array(path, "image") for path in paths]
    lows, highs = zip(*map(bounds, arrays, paths), strict=True)
    grays = [stretched(array, min(lows), max(highs)) for array in arrays]
    return list(grays[0]) if grays[0].ndim == 3 else grays


@recent(16)
def _label_volume(path: Path, classes: tuple[str, ...], turn: Turn, state: tuple[int, ...]) -> np.ndarray:
    return checked_labels(turned(whole_numbers(read_array(path, "label")), turn), path, classes)


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Labels as whole numbers where all are within a thousandth of one: tools that resample leave 0.9999999."""
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        return values
    whole = np.rint(values)
    return whole if (np.abs(values - whole) <= NEARLY_WHOLE).all() else values


def _check_shapes(image: Path, shape: tuple[int, ...], label: Path, other: tuple[int, ...], ndim: int) -> None:
    for path, own in ((image, shape), (label, other)):
        if len(own) == ndim + 1:
            frames = f"{path} has {own[0]} frames or channels"
            raise UserError(f"{frames}, and one volume is read; write the one that is labeled to a file of its own")
    if shape == other and len(shape) == 2 < ndim:
        raise UserError(f"{image} is one picture {shape}; write image and labels as PNG, or as volumes of one slice")
    if shape != other or len(shape) != ndim:
        found = f"the image in {image} is {shape} and the labels in {label} are {other} (slices, height, width)"
        raise UserError(f"{found}; both must be {ndim}-D and of one size, so get the matching pair")


def bounds(values: np.ndarray, path: Path) -> tuple[float, float]:
    """The least and the greatest value. Raises UserError naming the file when one is not a finite number."""
    refuse_no_numbers(values, path)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UserError(f"{path} holds values that are not finite numbers ({values.dtype}); get the file again")
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def refuse_no_numbers(values: np.ndarray, path: Path) -> None:
    """Raise UserError naming the file where a voxel is something else than one real number."""
    if values.dtype.kind not in "biuf":
        held = "colors" if values.dtype.names else str(values.dtype)
        raise UserError(f"{path} holds {held} in place of one number for each voxel; write gray levels")


def stretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8: `low` becomes 0, `high` 255, and where they are equal everything is 0."""
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    if values.ndim > 2:  # slice by slice, for between the two each value takes 8 bytes
        whole = np.empty(values.shape, np.uint8)
        for one, place in zip(values, whole, strict=True):
            place[...] = stretched(one, low, high)
        return whole
    return np.rint((values.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)


def read_array(path: Path, key: str) -> np.ndarray:
    """The array of a NIfTI file, or the one called `key` of an HDF5 file.

    Raises UserError naming the file when it is broken, lacks the array, or keeps it in another file.
    """
    if _is_hdf5(path):
        return array_of(path, key)
    with opened_nifti(path) as stored:
        return np.asarray(stored.voxels).reshape(_without_frame(stored.voxels.shape), order="A").T


def shape_and_spacing(path: Path, key: str, trusted: bool = False) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The shape of an array, and the millimeters between its slices, rows and columns; neither is decoded.

    The spacing is empty where it is not known. ACDC's slices are 5 to 10 mm apart: exactly 1 is what a header holds
    that nobody set, or what nibabel makes of a 0. Other scans have slices of 1 mm: where 1 is `trusted`, only three of
    them without a unit are nobody's. Raises as `read_array` does.
    """
    if _is_hdf5(path):
        return shape_of(path, key), ()
    with opened_nifti(path) as stored:
        header = stored.header
        is_told = not trusted or all(length != 0 for length in stored.lengths)
    shape = tuple(reversed(_without_frame(header.get_data_shape())))
    lengths = [float(length) for length in header.get_zooms()[:3]]
    unset = lengths == [1, 1, 1] and not int(header["xyzt_units"]) % 8 if trusted else lengths[2:] == [1]
    if len(lengths) < 3 or unset or not is_told or not all(0 < length < math.inf for length in lengths):
        return shape, ()
    # No unit, or one that the standard does not know, counts as millimeters: many tools leave it out.
    millimeters = MILLIMETERS.get(int(header["xyzt_units"]) % 8, 1.0)
    return shape, tuple(length * millimeters for length in reversed(lengths))


def _without_frame(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes of one voxel after the third: a file of one frame is a volume."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def axes_of(path: Path) -> tuple[str, ...]:
    """Where the axes x, y, z of a NIfTI file run to, by its header: ("L", "P", "S") is left, posterior, superior."""
    with opened_nifti(path) as stored:
        return tuple(str(code) for code in nibabel.aff2axcodes(stored.affine))


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() == HDF5
