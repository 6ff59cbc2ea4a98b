"""The processes of a training: one, or several that share each batch (one per CUDA device, or several on a CPU).

Does not import torch, because plans are checked with it.
"""

from bench.errors import UserError
from bench.machine import this_machine
from bench.machine.launched import too_few_cores, too_few_gpus
from bench.quantities import Device, Frozen


class Process(Frozen):
    """Identifies one process of a training.

    Process 0 writes all files and is the only one that reports. `port` is the port on this machine at which the others
    connect to it; a process that trains alone needs none. `trial` numbers the training, where several learning rates
    are tried.
    """

    rank: int = 0
    port: int = 0
    trial: int = 0


def check_devices(devices: int, batch: int, device: Device) -> None:
    """Raise UserError if a batch cannot be divided evenly, or if this machine has fewer devices than requested."""
    if devices < 1:
        raise UserError(f"--devices must be 1 or more, got {devices}")
    if devices == 1:
        return
    if batch % devices:
        even = ", ".join(str(count) for count in range(1, batch + 1) if batch % count == 0)
        raise UserError(f"--devices {devices}: a batch of {batch} cannot be shared out evenly; give one of {even}")
    why = too_few_gpus(devices) if device == "cuda" else too_few_cores(devices, this_machine().cores)
    if why:
        raise UserError(f"--devices {devices}: {why}")
