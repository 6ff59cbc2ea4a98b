"""How this process was started: by torchrun or by Slurm, as one of several copies, and with which GPUs.

`torchrun bench run ...` and `srun bench run ...` start the command several times on a machine. A run starts the
processes of its trainings itself, so one copy does it. Copies with GPUs of their own are runs of their own, which share
the work.
"""

import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from bench.machine.facts import cuda_devices
from bench.machine.system import visible

# What tells libraries that they are one process of several: theirs and not ours, whose training has its own processes.
# With TORCHELASTIC_USE_AGENT_STORE torch waits for a server that only torchrun's own processes have.
RANKS = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE",
    "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID",
    "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE",
)  # fmt: skip
ELASTIC = "TORCHELASTIC_"


class Copy(NamedTuple):
    """This process as one of several of the same command. `number` is that on this machine, from 0."""

    by: str
    number: int


def without_ranks(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those by which torchrun and Slurm number the processes that they started."""
    return {name: value for name, value in variables.items() if name not in RANKS and not name.startswith(ELASTIC)}


def end_spare_copy(devices: int, on_gpus: bool) -> None:
    """End this process with exit code 0 if another copy on this machine does the run, on the same devices.

    A copy that Slurm started has a run of its own, if it has `devices` GPUs of its own. So it has on a CPU, where its
    trainings are of one process: several runs share the work.
    """
    copy = _copy()
    if not copy.number or (copy.by == "Slurm" and _has_own(devices, on_gpus)):
        return
    told = f"{copy.by} started this command several times on this machine; the first of these does the run"
    print(f"bench: {told}, with all devices that it sees, and number {copy.number + 1} ends", file=sys.stderr)
    raise SystemExit(0)


def _has_own(devices: int, on_gpus: bool) -> bool:
    given = _gpus_of_slurm()
    if not (on_gpus and given):
        return devices == 1
    return devices <= len(visible()) < given


def _copy() -> Copy:
    """Which copy this is; the first where nothing tells of several."""
    names = {"torchrun": ("LOCAL_RANK", "WORLD_SIZE"), "Slurm": ("SLURM_LOCALID", "SLURM_STEP_ID")}
    for by, (name, other) in names.items():
        if (number := os.environ.get(name, "")).isdecimal() and other in os.environ:
            return Copy(by, int(number))
    return Copy("", 0)


def _gpus_of_slurm() -> int:
    """The GPUs of this machine that Slurm gave to the job; 0 where it gave none, or tells nothing."""
    given = os.environ.get("SLURM_GPUS_ON_NODE", "")
    return int(given) if given.isdecimal() else 0


def too_few_gpus(devices: int) -> str:
    """Why a training cannot have so many GPUs, and what to do; empty if it can. In a job of Slurm it names the job."""
    if (found := cuda_devices()) >= devices:
        return ""
    gpus, fewer = f"{found} GPU{'' if found == 1 else 's'}", f"give {max(1, found)} or fewer"
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job:
        return f"torch finds {gpus} on this machine; {fewer}"
    if (given := _gpus_of_slurm()) >= devices:
        task = f"start one task with all, as in: srun --ntasks-per-node=1 --gpus-per-task={devices}"
        return f"this task of Slurm's job {job} sees {gpus} of the {given} that the job has on this machine; {task}"
    return f"Slurm's job {job} has {gpus} on this machine; ask it for more (--gpus-per-node={devices}), or {fewer}"


def too_few_cores(devices: int, cores: int) -> str:
    """The same for processes on a CPU."""
    if cores >= devices:
        return ""
    there_are = f"there {'is 1 core' if cores == 1 else f'are {cores} cores'}"
    needed = f"on a CPU that means {devices} processes, and {there_are}"
    job = os.environ.get("SLURM_JOB_ID", "")
    more = f" for this task of Slurm's job {job}; ask it for more (--cpus-per-task={devices}), or" if job else ";"
    return f"{needed}{more} give {cores} or fewer"
