"""Whole runs that are killed or stopped: the same command goes on, and finds what an unbroken one finds."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ASKED = ("run", "mdsa_unet", "--budget", "smoke", "--size", "64", "--device", "cpu", "--measure", "cost,dice", "--json")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def start(folder: Path) -> subprocess.Popen[str]:
    """`bench run` in a folder, in a session of its own, so that a signal to it reaches none of the tests.

    It hears Ctrl-C also where the tests run in the background of a shell, which ignores that for all it starts.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *ASKED], cwd=folder, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no other thread runs here
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def finish(folder: Path) -> dict[str, object]:
    """The only row of the run's table."""
    process = start(folder)
    printed, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    (row,) = json.loads(printed)["rows"]
    return row


def interrupt(folder: Path, number: signal.Signals, ready: Callable[[], bool]) -> tuple[int, str]:
    """Signal a run as soon as it is ready; its exit code and what it said on standard error."""
    process = start(folder)
    end = time.monotonic() + 300
    while not ready() and time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    assert ready()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> float:
    """The Dice of a run that nobody stopped."""
    return finish(tmp_path_factory.mktemp("unbroken"))["dice"]


@pytest.mark.parametrize(
    "pattern", ["results/mdsa_unet-cost-*.json", "results/checkpoints/*/*"], ids=["cost", "trains"]
)
def test_a_killed_run_goes_on_and_finds_the_same_dice(tmp_path, unbroken, pattern):
    code, _ = interrupt(tmp_path, signal.SIGKILL, lambda: any(tmp_path.glob(pattern)))
    assert code == -signal.SIGKILL
    for record in tmp_path.glob("results/*.json"):
        json.loads(record.read_text())  # a record is there as a whole or not at all
    assert finish(tmp_path)["dice"] == pytest.approx(unbroken, abs=1e-6)


def test_a_run_that_is_stopped_by_ctrl_c_says_what_is_kept_and_goes_on(tmp_path, unbroken):
    code, errors = interrupt(tmp_path, signal.SIGINT, lambda: any(tmp_path.glob("results/mdsa_unet-cost-*.json")))
    assert code == 130
    assert f"Go on with: {sys.executable} -m bench.cli run mdsa_unet" in errors
    assert "Traceback" not in errors
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/*.json")}
    assert finish(tmp_path)["dice"] == pytest.approx(unbroken, abs=1e-6)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
