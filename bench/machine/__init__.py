"""Facts about this machine, its state, and whether times measured on it can be trusted.

torch is imported only for questions about CUDA, so that planning runs and reading records is fast.
"""

from bench.machine.doctor import pretended, taint
from bench.machine.facts import (
    ALLOCATOR,
    NUMBERS,
    Machine,
    State,
    cuda_devices,
    cuda_usable,
    state,
    this_machine,
    training_precision,
)

__all__ = [
    "ALLOCATOR", "NUMBERS", "Machine", "State", "cuda_devices", "cuda_usable", "pretended", "state", "taint",
    "this_machine", "training_precision",
]  # fmt: skip
