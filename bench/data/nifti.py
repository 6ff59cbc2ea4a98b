"""NIfTI files, opened by their header alone: what it declares is checked before anything else is read.

Extensions are not read, for nothing here needs them, and their sizes are a second set of numbers that may lie.
"""

import gzip
import logging
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
from nibabel.arrayproxy import ArrayProxy

from bench.data.files import reading
from bench.data.limits import HEADER, in_bytes, refuse_large
from bench.errors import UserError

# nibabel writes a line for each header that it mends; what is wrong is told by the readers here.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
PACKED = b"\x1f\x8b\x08"  # begins each part of a file of gzip; bgzip makes one of 64 KiB
PART, FEW = 1024, 1000  # bytes that a part holds at least, but for so many
SCANNED = 1 << 20  # bytes of a file, from which on its parts are counted
KINDS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}  # by their bytes


@dataclass(frozen=True)
class Nifti:
    """A file whose voxels are not read yet: `np.asarray(voxels)` reads them.

    `affine` leads from voxels to millimeters. `lengths` are those of a voxel as written: nibabel makes 1 of a 0.
    """

    header: Any
    affine: Any
    voxels: ArrayProxy
    lengths: tuple[float, ...]


@contextmanager
def opened_nifti(path: Path) -> Iterator[Nifti]:
    """A file whose voxels may be read within. Raises UserError naming it where it is broken or declares too much."""
    with reading("volume", path):
        is_packed = path.name.lower().endswith(".gz")
        with gzip.open(path) if is_packed else path.open("rb") as file:
            raw = file.read(min(KINDS))  # no more than is there, or all parts of the file are looked through
            raw += file.read(max(KINDS) - min(KINDS)) if _is(raw, max(KINDS)) else b""
        size = next((size for size in KINDS if _is(raw, size)), 0)
        if len(raw) < size or not size:
            raise ValueError("it has no header of NIfTI")
        written, header = (KINDS[size](raw[:size], check=check) for check in (False, True))
        offset = float(written["vox_offset"])
        if not 0 <= offset <= HEADER:
            told = f"the volume {path} begins its voxels at byte {offset:g}, and at most {in_bytes(HEADER)} are skipped"
            raise UserError(f"{told}; get the file again, or take it out")
        stored, itemsize = path.stat().st_size, header.get_data_dtype().itemsize
        shape = [int(side) for side in header.get_data_shape()]
        declared = refuse_large("volume", path, shape, itemsize, stored, is_packed)
        if is_packed and stored > SCANNED:
            _refuse_crumbs(path, declared)
        lengths = tuple(float(length) for length in written["pixdim"][1:4])
        yield Nifti(header, header.get_best_affine(), ArrayProxy(str(path), header), lengths)


def _refuse_crumbs(path: Path, declared: int) -> None:
    """Raise ValueError for a file that was packed in far more parts than its voxels need: each takes its time."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        most, count, at = FEW + declared // PART, 0, 0
        while (at := whole.find(PACKED, at) + 1) > 0:
            count += 1
            if count > most:
                raise ValueError(f"it is packed in over {most} parts, and holds {in_bytes(declared)}")


def _is(raw: bytes, size: int) -> bool:
    return size in (int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big"))
