"""How many devices may share a training is refused in words, and asked without torch."""

import subprocess
import sys

import pytest

from bench.errors import UserError
from bench.training import devices
from bench.training.devices import check_devices


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Four cores and two GPUs."""

    class Four:
        cores = 4

    monkeypatch.setattr(devices, "this_machine", Four)
    monkeypatch.setattr("bench.machine.launched.cuda_devices", lambda: 2)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


@pytest.mark.parametrize(
    ("count", "batch", "device", "text"),
    [
        (0, 8, "cpu", "--devices must be 1 or more, got 0"),
        (3, 8, "cpu", "--devices 3: a batch of 8 cannot be shared out evenly; give one of 1, 2, 4, 8"),
        (16, 8, "cuda", "a batch of 8 cannot be shared out"),
        (4, 8, "cuda", "--devices 4: torch finds 2 GPUs on this machine; give 2 or fewer"),
        (8, 8, "cpu", "--devices 8: on a CPU that means 8 processes, and there are 4 cores; give 4 or fewer"),
    ],
)
def test_refusals(count, batch, device, text):
    with pytest.raises(UserError, match=text):
        check_devices(count, batch, device)


@pytest.mark.parametrize(("count", "batch", "device"), [(1, 7, "cpu"), (1, 8, "cuda"), (2, 8, "cuda"), (4, 8, "cpu")])
def test_what_can_be_done_is_not_refused(count, batch, device):
    check_devices(count, batch, device)


def test_a_plan_asks_it_without_importing_torch():
    code = (
        "import sys, bench.training.devices, bench.training.weights, bench.run.worker\n"
        "print([name for name in ('torch', 'lightning') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
