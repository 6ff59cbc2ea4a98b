"""Reads masks of several classes, whose values are class numbers: palette numbers or grey levels, taken as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.images import check_covers, load
from bench.data.volumes import checked_labels
from bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np


def read_labels_for(image: Path, mask: Path, classes: Sequence[str]) -> "np.ndarray":
    """The class numbers in `mask` as uint8 (height, width), 0 for the background, after making sure it covers `image`.

    Raises UserError naming the file when it is unreadable, in colour, of another size, or holds a value beyond the
    classes.
    """
    import numpy as np

    picture = load(mask)
    values = np.asarray(picture)
    if values.ndim == 3:
        # Grey saved as RGB has equal channels; in any other colours nobody can know which class is which.
        colours = values if picture.mode == "RGB" else np.asarray(picture.convert("RGB"))
        if (colours != colours[:, :, :1]).any():
            raise UserError(
                f"{mask} is in colour (Pillow mode {picture.mode}), which names no class; several classes are read "
                f"from grey levels or palette numbers 0 to {len(classes)}, so convert the mask"
            )
        values = colours[:, :, 0]
    check_covers(image, mask, values)
    return checked_labels(values, mask, classes)
