"""What every reader of 3-D images needs: grey levels stretched over the whole volume, labels that are in the set."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@lru_cache(maxsize=1024)
def lock_of(path: Path) -> Lock:
    """A lock for each file: threads that read neighbouring slices wait for one decoding instead of each doing it."""
    return Lock()


def bounds(values: "np.ndarray", path: Path) -> tuple[float, float]:
    """The least and the greatest value. Raises UserError naming the file when one is not a finite number."""
    import numpy as np

    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise UserError(f"{path} holds values that are not finite numbers ({values.dtype}); get the file again")
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def stretched(values: "np.ndarray", low: float, high: float) -> "np.ndarray":
    """uint8: `low` becomes 0, `high` 255, and where they are equal everything is 0."""
    import numpy as np

    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)


def grey_rgb(values: "np.ndarray") -> "np.ndarray":
    """uint8 (height, width) as three equal channels."""
    import numpy as np

    return np.repeat(values[:, :, None], 3, axis=2)


def checked_labels(values: "np.ndarray", path: Path, classes: Sequence[str]) -> "np.ndarray":
    """uint8 class numbers, 0 for the background. Raises UserError naming the file and the labels outside the set."""
    import numpy as np

    found = np.unique(values)
    outside = found[~np.isin(found, np.arange(len(classes) + 1))]
    if outside.size:
        shown = ", ".join(f"{label:g}" for label in outside[:8].tolist())
        more = f" and {outside.size - 8} more" if outside.size > 8 else ""
        allowed = ", ".join(f"{number} ({name})" for number, name in enumerate(("background", *classes)))
        raise UserError(
            f"{path} holds the label {shown}{more}; allowed are {allowed}; mend the mask, or name its classes"
        )
    return values.astype(np.uint8)
