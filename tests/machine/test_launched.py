"""Which of several copies of a command does the run, and what is said of devices in a job of Slurm."""

import pytest

from bench.machine import launched
from bench.machine.launched import end_spare_copy, too_few_cores, too_few_gpus, without_ranks

TORCHRUN = {"LOCAL_RANK": "1", "RANK": "5", "WORLD_SIZE": "8"}
SLURM = {"SLURM_JOB_ID": "12", "SLURM_STEP_ID": "0", "SLURM_LOCALID": "1", "SLURM_NTASKS": "4"}
SHELL = {"SLURM_JOB_ID": "12", "SLURM_LOCALID": "0", "SLURM_NTASKS": "4"}  # of sbatch itself
FOUR = {"SLURM_GPUS_ON_NODE": "4"}


@pytest.fixture
def started(monkeypatch):
    """Stands in for the environment, and for how many GPUs there are to see."""
    for name in (*launched.RANKS, "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_GPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)

    def start(variables, sees=0):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(launched, "visible", lambda: [*range(sees)])
        monkeypatch.setattr(launched, "cuda_devices", lambda: sees)

    return start


@pytest.mark.parametrize(
    ("variables", "sees", "devices", "on_gpus"),
    [
        ({}, 4, 4, True), (SHELL | FOUR, 4, 4, True),
        (TORCHRUN | {"LOCAL_RANK": "0"}, 4, 4, True), (SLURM | FOUR | {"SLURM_LOCALID": "0"}, 1, 4, True),
        ({"LOCAL_RANK": "1"}, 4, 4, True), (TORCHRUN | {"LOCAL_RANK": "first"}, 4, 4, True),
        (SLURM | FOUR, 1, 1, True), (SLURM | FOUR, 2, 2, True), (SLURM | FOUR, 2, 1, True), (SLURM, 0, 1, False),
        (SLURM, 4, 1, True),
    ],
)  # fmt: skip
def test_a_copy_that_is_the_first_or_has_its_own_devices_goes_on(started, variables, sees, devices, on_gpus):
    started(variables, sees)
    end_spare_copy(devices, on_gpus)


@pytest.mark.parametrize(
    ("variables", "sees", "devices", "on_gpus"),
    [
        (TORCHRUN, 4, 4, True), (TORCHRUN, 4, 1, True), (TORCHRUN, 0, 1, False), (TORCHRUN | SLURM | FOUR, 1, 1, True),
        (SLURM | FOUR, 4, 4, True), (SLURM | FOUR, 4, 1, True), (SLURM | FOUR, 1, 4, True), (SLURM, 0, 2, False),
        (SLURM | {"SLURM_GPUS_ON_NODE": "?"}, 4, 2, True),
    ],
)  # fmt: skip
def test_another_copy_ends_at_once_and_says_so(started, capsys, variables, sees, devices, on_gpus):
    started(variables, sees)
    with pytest.raises(SystemExit) as end:
        end_spare_copy(devices, on_gpus)
    assert end.value.code == 0
    by = "torchrun" if "LOCAL_RANK" in variables else "Slurm"
    told = f"bench: {by} started this command several times on this machine; the first of these does the run"
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize(
    ("variables", "sees", "text"),
    [
        ({}, 2, "torch finds 2 GPUs on this machine; give 2 or fewer"),
        ({}, 0, "torch finds 0 GPUs on this machine; give 1 or fewer"),
        (SLURM | FOUR, 1, "this task of Slurm's job 12 sees 1 GPU of the 4 that the job has on this machine; start one "
                          "task with all, as in: srun --ntasks-per-node=1 --gpus-per-task=4"),
        (SLURM | {"SLURM_GPUS_ON_NODE": "2"}, 2,
         "Slurm's job 12 has 2 GPUs on this machine; ask it for more (--gpus-per-node=4), or give 2 or fewer"),
        (SHELL, 3, "Slurm's job 12 has 3 GPUs on this machine; ask it for more (--gpus-per-node=4), or give 3 or"),
        (SLURM | FOUR, 4, ""),
    ],
)  # fmt: skip
def test_too_few_gpus_are_told_with_the_job_that_has_them(started, variables, sees, text):
    started(variables, sees)
    assert too_few_gpus(4).startswith(text)
    assert bool(too_few_gpus(4)) == bool(text)


def test_too_few_cores_are_told_with_the_job_that_has_them(started):
    assert too_few_cores(2, 2) == ""
    started({})
    assert too_few_cores(4, 1) == "on a CPU that means 4 processes, and there is 1 core; give 1 or fewer"
    started(SLURM)
    told = "on a CPU that means 4 processes, and there are 2 cores for this task of Slurm's job 12; ask it for more"
    assert too_few_cores(4, 2) == f"{told} (--cpus-per-task=4), or give 2 or fewer"


def test_workers_do_not_inherit_the_ranks_of_others():
    kept = {"SLURM_JOB_ID": "12", "SLURM_CPUS_PER_TASK": "2", "CUDA_VISIBLE_DEVICES": "0", "NCCL_DEBUG": "INFO"}
    ranks = {**TORCHRUN, "MASTER_PORT": "1", "TORCHELASTIC_USE_AGENT_STORE": "True", "SLURM_NTASKS": "4"}
    assert without_ranks({**kept, **ranks}) == kept
