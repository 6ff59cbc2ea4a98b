"""What this machine is, what state it is in, and whether a time measured on it can be trusted.

Nothing here imports torch before it is asked about CUDA, so that runs are planned and records are read at once.
"""

from bench.machine.facts import ALLOCATOR, Machine, cuda_devices, cuda_usable, this_machine, training_precision
from bench.machine.state import State, state
from bench.machine.taint import taint

__all__ = [
    "ALLOCATOR",
    "Machine",
    "State",
    "cuda_devices",
    "cuda_usable",
    "state",
    "taint",
    "this_machine",
    "training_precision",
]
