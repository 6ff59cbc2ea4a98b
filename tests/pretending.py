"""Whole commands on a machine that pretends to have GPUs. Workers inherit the environment, so they pretend too."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRETENDED = ROOT / "tests" / "pretended"  # what is to be set in the environment is said in its pretended_gpus.py


def environment(gpus: int = 2, **variables: str) -> dict[str, str]:
    """This process's environment, and what makes a Python that is started with it pretend."""
    path = os.pathsep.join([str(PRETENDED), str(ROOT)])
    one_thread = {"OMP_WAIT_POLICY": "passive", "COLUMNS": "120"}
    kept = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return {**kept, **one_thread, "PYTHONPATH": path, "BENCH_TESTS_GPUS": str(gpus), **variables}


def python(code: str, gpus: int = 2, **variables: str) -> str:
    """What a program prints. Raises AssertionError, with what it said, where it fails."""
    return _done([sys.executable, "-c", code], gpus, None, 0, variables).stdout


def bench(
    *arguments: str, cwd: Path, gpus: int = 2, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """A command in a folder. Raises AssertionError, with what it said, where it ends with another exit code."""
    return _done([sys.executable, "-m", "bench.cli", *arguments], gpus, cwd, code, variables)


def _done(
    command: list[str], gpus: int, cwd: Path | None, code: int, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env=environment(gpus, **variables), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done
