"""Terms made by hand, for tests of statistics."""

import math

import numpy as np


def shares(*values: float) -> dict[str, np.ndarray]:
    """Terms of patients with one image and one class each; NaN is undefined."""
    return {f"{n:03}": np.array([[0.0, 0.0] if math.isnan(v) else [v, 1.0]]) for n, v in enumerate(values)}


def several(values: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Terms of patients with several images and one class."""
    return {name: np.array([[sum(found), len(found)]]) for name, found in values.items()}
