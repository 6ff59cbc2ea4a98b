"""Who trains: one process, or several that share each batch, one a CUDA device or a CPU's processes.

Imports no torch, for a plan is checked with it.
"""

from bench.errors import UserError
from bench.machine import cuda_devices, this_machine
from bench.quantities import Device, Frozen


class Process(Frozen):
    """Which of the processes of one training this is.

    Process 0 leads: it writes all files and is the only one that is heard. `port` is where the others meet it on this
    machine; a process that trains alone needs none.
    """

    rank: int = 0
    port: int = 0


def check_devices(devices: int, batch: int, device: Device) -> None:
    """UserError where a batch cannot be shared out evenly, or where this machine has fewer devices than are wanted."""
    if devices < 1:
        raise UserError(f"--devices must be 1 or more, got {devices}")
    if devices == 1:
        return
    if batch % devices:
        even = ", ".join(str(count) for count in range(1, batch + 1) if batch % count == 0)
        raise UserError(f"--devices {devices}: a batch of {batch} cannot be shared out evenly; give one of {even}")
    if device == "cuda" and devices > (gpus := cuda_devices()):
        found = f"{gpus} GPU{'' if gpus == 1 else 's'}"
        raise UserError(f"--devices {devices}: torch finds {found} on this machine; give {max(1, gpus)} or fewer")
    if device == "cpu" and devices > (cores := this_machine().cores):
        raise UserError(
            f"--devices {devices}: on a CPU that means {devices} processes, and there are {cores} cores; "
            f"give {cores} or fewer"
        )
