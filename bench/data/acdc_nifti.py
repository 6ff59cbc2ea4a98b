"""ACDC as published: NIfTI volumes, a folder a patient, an annotated frame with its labels beside it."""

import math
import re
import zlib
from collections import defaultdict
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data.images import two_files
from bench.data.sample import Sample
from bench.data.volumes import bounds, checked_labels, grey_rgb, lock_of, stretched
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

CLASSES = ("right ventricle", "myocardium", "left ventricle")
PATIENT = re.compile(r"patient\d+")
FRAME = re.compile(r"(patient\d+_frame\d+)(_gt)?\.nii(\.gz)?", re.IGNORECASE)
MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}  # by NIfTI's code of a unit of length


def patients_in(folder: Path) -> dict[str, Path]:
    """The folders of the patients by name; empty when `folder` is not there."""
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if PATIENT.fullmatch(path.name) and path.is_dir()}


def any_label(patients: dict[str, Path]) -> bool:
    """Whether any frame of these patients has its labels here."""
    return any(_frames(folder)[1] for folder in patients.values())


def slices_of(patients: dict[str, Path], problems: list[str]) -> tuple[Sample, ...]:
    """A sample a slice of each annotated frame, in the order of patients, frames and slices. Reads headers only."""
    samples: list[Sample] = []
    for patient, folder in patients.items():
        images, labels = _frames(folder)
        if not images and not labels:
            problems.append(
                f"ACDC: {folder} holds no frame; expected {patient}_frame01.nii.gz and {patient}_frame01_gt.nii.gz; "
                "get the patient again, or take the folder out"
            )
        for volume in sorted({*images, *labels}):
            pair = _pair(folder, volume, images.get(volume, []), labels.get(volume, []), problems)
            if pair:
                samples += _slices(patient, volume, *pair, problems)
    return tuple(samples)


def _frames(folder: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """The images and the labels of a patient's frames by volume; `_4d` files and `Info.cfg` are no frames."""
    images: dict[str, list[Path]] = defaultdict(list)
    labels: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        found = FRAME.fullmatch(path.name)
        if found:
            (labels if found[2] else images)[found[1]].append(path)
    return images, labels


def _pair(
    folder: Path, volume: str, images: list[Path], labels: list[Path], problems: list[str]
) -> tuple[Path, Path] | None:
    if len(images) > 1 or len(labels) > 1:
        problems.append(two_files(volume, images if len(images) > 1 else labels))
    elif not labels:
        problems.append(
            f"ACDC: image {images[0]} has no labels; expected {volume}_gt.nii.gz beside it; "
            "get the labels again, or take the image out"
        )
    elif not images:
        problems.append(
            f"ACDC: labels {labels[0]} have no image; expected {volume}.nii.gz beside it; "
            "get the image again, or take the labels out"
        )
    elif not volume.startswith(f"{folder.name}_"):
        problems.append(
            f"ACDC: {images[0]} is of another patient than its folder; put it and its labels where they belong"
        )
    else:
        return images[0], labels[0]
    return None


def _slices(patient: str, volume: str, image: Path, label: Path, problems: list[str]) -> list[Sample]:
    try:
        picture = _load(image)
        shape, other = tuple(picture.shape), tuple(_load(label).shape)
    except UserError as error:
        problems.append(str(error))
        return []
    if shape != other or len(shape) != 3:
        problems.append(
            f"ACDC: {image} is {_times(shape)} and {label} is {_times(other)} (width x height x slices); "
            "both must be 3-D and of one size, so get the matching pair"
        )
        return []
    spacing = _spacing(picture)
    return [
        Sample(
            f"{volume}_slice_{at + 1:02d}",
            patient,
            partial(_image, image, at),
            partial(_mask, label, at),
            (image, label),
            volume,
            spacing,
        )
        for at in range(shape[2])
    ]


def _image(path: Path, at: int) -> "np.ndarray":
    with lock_of(path):
        return grey_rgb(_image_volume(path)[at])


def _mask(path: Path, at: int) -> "np.ndarray":
    with lock_of(path):
        return _label_volume(path)[at].copy()


# A few volumes are kept, so that the slices of one, which are mostly asked for in a row, decode it once.
@lru_cache(maxsize=16)
def _image_volume(path: Path) -> "np.ndarray":
    values = _decoded(path)
    return stretched(values, *bounds(values, path))


@lru_cache(maxsize=16)
def _label_volume(path: Path) -> "np.ndarray":
    return checked_labels(_decoded(path), path, CLASSES)


def _decoded(path: Path) -> "np.ndarray":
    """(slices, height, width). NIfTI counts x, y, z; a picture's rows are y."""
    import numpy as np

    picture = _load(path)
    try:
        return np.asarray(picture.dataobj).T
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _unreadable(path, error) from error


def _spacing(picture: Any) -> tuple[float, ...]:
    """Millimetres between slices, rows and columns (the header counts x, y, z); empty where one is not known.

    ACDC's slices are 5 to 10 mm apart: exactly 1 is what a header holds that nobody set, or what nibabel makes of a 0.
    """
    lengths = [float(length) for length in picture.header.get_zooms()[:3]]
    if lengths[2] == 1 or not all(0 < length < math.inf for length in lengths):
        return ()
    # No unit, or one that the standard does not know, counts as millimetres: many tools leave it out.
    millimetres = MILLIMETRES.get(int(picture.header["xyzt_units"]) % 8, 1.0)
    return tuple(length * millimetres for length in reversed(lengths))


def _load(path: Path) -> Any:
    """The file with its header read, its voxels not yet."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        return nibabel.load(path)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(
        f"cannot read the volume {path}: {reason}; the file is broken or cut off, so get it again, "
        "or take the frame and its labels out of the data set"
    )


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
