"""What this machine is, what state it is in, and whether a time measured on it can be trusted.

Nothing here imports torch before it is asked about CUDA, so that runs are planned and records are read at once.
"""

from bench.machine.facts import ALLOCATOR, Environment, cuda_devices, cuda_usable, environment, training_precision
from bench.machine.state import State, state
from bench.machine.taint import taint

__all__ = [
    "ALLOCATOR",
    "Environment",
    "State",
    "cuda_devices",
    "cuda_usable",
    "environment",
    "state",
    "taint",
    "training_precision",
]
