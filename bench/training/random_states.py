"""The states of Python's and numpy's global generators as tensors (float64, exact for their 32-bit words).

Tensors can be gathered from several processes, and read without running code.
"""

import math
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def python_state() -> Tensor:
    """The state of `random`: version, words and place, and the second of two normal draws, NaN if there is none."""
    version, words, second = random.getstate()
    return torch.tensor([version, *words, math.nan if second is None else second], dtype=torch.float64)


def set_python_state(state: Tensor) -> None:
    """Set what `python_state` returned."""
    version, *words, second = state.tolist()
    random.setstate((int(version), tuple(map(int, words)), None if math.isnan(second) else second))


def numpy_state() -> Tensor:
    """The state of `numpy.random`, a Mersenne twister: words, place, whether there is a second normal draw, and it."""
    state: Any = np.random.get_state(legacy=True)
    return torch.tensor([*state[1], *state[2:]], dtype=torch.float64)


def set_numpy_state(state: Tensor) -> None:
    """Set what `numpy_state` returned."""
    *words, place, has_second, second = state.tolist()
    np.random.set_state(("MT19937", np.array(words, np.uint32), int(place), int(has_second), second))
