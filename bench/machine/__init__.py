"""What this machine is, what state it is in, and whether a time measured on it can be trusted.

Facts and states are read without importing torch, so that a run can be planned and stored records be judged at once.
"""

from bench.machine.facts import (
    ALLOCATOR,
    SET_BY_US,
    TELLING,
    Environment,
    cpu_has,
    cuda_devices,
    cuda_multiplies_bfloat16,
    cuda_usable,
    environment,
    training_precision,
)
from bench.machine.state import State, state
from bench.machine.taint import taint

__all__ = [
    "ALLOCATOR",
    "SET_BY_US",
    "TELLING",
    "Environment",
    "State",
    "cpu_has",
    "cuda_devices",
    "cuda_multiplies_bfloat16",
    "cuda_usable",
    "environment",
    "state",
    "taint",
    "training_precision",
]
