"""Where the voxels of NIfTI files lie: whether labels lie over their image, and how to turn them so that they do."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from bench.data.nifti import Nifti, opened_nifti
from bench.errors import UserError

# For each axis of the labels the axis of the image that it becomes, and 1 or -1 for the way it then runs; () for none.
Turn = tuple[tuple[int, int], ...]
NEAR = 0.1  # of a voxel: how far apart two grids may lie that are one


def turn_of_labels(image: Path, label: Path) -> Turn:
    """How labels are to be turned so that their axes run as their image's; () where they do.

    The axes are compared by the headers, where both files say how theirs run. Raises UserError where the labels, once
    turned, lie elsewhere than the image.
    """
    with opened_nifti(image) as of_image, opened_nifti(label) as of_label:
        return _turn(image, of_image, label, of_label)


def _turn(image: Path, of_image: Nifti, label: Path, of_label: Nifti) -> Turn:
    if not (_says_where(of_image) and _says_where(of_label)):
        return ()
    shape = of_label.voxels.shape[:3]
    if len(shape) < 3:
        return ()
    affines = (image, of_image.affine), (label, of_label.affine)
    for path, affine in affines:
        if not np.isfinite(affine).all() or not np.linalg.det(affine[:3, :3]):
            where = "in one plane" if np.isfinite(affine).all() else "nowhere (NaN)"
            raise UserError(f"{path} says in its header that its voxels lie {where}; write it again")
    wanted = ornt_transform(io_orientation(of_label.affine), io_orientation(of_image.affine))
    turn: Turn = tuple((int(axis), int(way)) for axis, way in wanted)
    lying = of_label.affine @ inv_ornt_aff(wanted, shape)
    turned_shape = tuple(shape[[axis for axis, _ in turn].index(at)] for at in range(3))
    if turned_shape == of_image.voxels.shape[:3]:  # else the sizes differ, which is told elsewhere
        _check_corners(image, of_image.affine, label, lying, turned_shape)
    return () if turn == ((0, 1), (1, 1), (2, 1)) else turn


def turned(values: np.ndarray, turn: Turn) -> np.ndarray:
    """An array (slices, rows, columns) of labels, turned as `turn_of_labels` says."""
    return np.asarray(apply_orientation(values.T, np.array(turn))).T if turn else values


def turned_shape(shape: Sequence[int], turn: Turn) -> tuple[int, ...]:
    """The shape (slices, rows, columns) that labels have once they are turned."""
    if not turn:
        return tuple(shape)
    stored = tuple(reversed(shape))
    return tuple(stored[[axis for axis, _ in turn].index(at)] for at in (2, 1, 0))


def _says_where(file: Nifti) -> bool:
    return any(int(file.header[code]) > 0 for code in ("sform_code", "qform_code"))


def _check_corners(image: Path, affine: np.ndarray, label: Path, other: np.ndarray, shape: Sequence[int]) -> None:
    corners = np.array([(*at, 1) for at in product(*((0, side - 1) for side in shape))]).T
    apart = np.linalg.norm(((affine - other) @ corners)[:3], axis=0).max()
    voxel = np.linalg.norm(affine[:3, :3], axis=0).min()
    if not apart <= NEAR * voxel:
        fault = f"the voxels of the labels in {label} lie up to {apart:.3g} mm from those of {image}"
        axes = " and ".join(",".join(map(str, nibabel.aff2axcodes(one))) for one in (other, affine))
        advice = "write the labels with the header of their image, or resample them to its grid"
        raise UserError(f"{fault}, by the two headers (axes {axes}); {advice}")
