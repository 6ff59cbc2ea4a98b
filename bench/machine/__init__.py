"""What this machine is, what state it is in, and whether a time measured on it can be trusted.

Nothing here imports torch before it is asked about CUDA, so that runs are planned and records are read at once.
"""

from bench.machine.doctor import taint
from bench.machine.facts import (
    ALLOCATOR,
    Machine,
    State,
    cuda_devices,
    cuda_usable,
    state,
    this_machine,
    training_precision,
)

__all__ = [
    "ALLOCATOR", "Machine", "State", "cuda_devices", "cuda_usable", "state", "taint", "this_machine",
    "training_precision",
]  # fmt: skip
