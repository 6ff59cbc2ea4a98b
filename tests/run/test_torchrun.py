"""A run that torchrun starts several times is done once, and comes to what it does without torchrun."""

import os
import subprocess
import sys

import pytest
from orders import tiny

from bench.read.load import load

ASKED = ("run", "--measure", "dice", "--size", "64", "--budget", "smoke", "--device", "cpu", "--precision", "float32")


def training(folder, out, *before):
    """What was said, and the record, of a training on two devices; `before` comes before `-m bench.cli`."""
    command = [sys.executable, *before, "-m", "bench.cli", *ASKED, tiny(folder), "--devices", "2", "--out", out]
    done = subprocess.run(
        [*command, "--threads", "2", "--reports", f"{out}-report"], env={**os.environ, "BENCH_LOCKS": str(folder)},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = load([folder / out]).records
    return done.stderr, record, [path.read_text() for path in (folder / out / "logs").glob("*.log")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_of_two_copies_trains_with_processes_of_its_own_and_the_other_ends(tmp_path):
    said, alone, logs = training(tmp_path, "alone")
    assert "this command several times" not in said
    assert not [log for log in logs if "`srun` command" in log], (
        "Lightning need not tell how to start what bench starts"
    )
    said, under, logs = training(tmp_path, "under", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert said.count("bench: torchrun started this command several times on this machine") == 1
    assert len(logs) == 1
    assert under.job.key == alone.job.key
    assert under.result.model_dump_json(include=SAME) == alone.result.model_dump_json(include=SAME)


SAME = {"curve", "images"}
