"""What runs in a job of Slurm: a command that does one task, until it has ended or Slurm wants the machine back.

Slurm tells of that by SIGUSR2 shortly before the time limit, and by SIGTERM, or SIGUSR2, when another job takes the
machine. The command is then told to save and to end, and the job is put into the queue again, to go on from there.
submitit loads this file in the job, so it imports little.
"""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

POLL_S = 0.1
REQUEUE_S = 15.0  # of the grace time, for the call that puts the job into the queue again
FRUITLESS = 3  # times in a row that a task may run into its time limit without a new checkpoint
BEGUN = "bench: begun on"  # the line that separates attempts in a log
GIVEN_UP = "bench: given up"
NOT_OURS = ("CANCELLED", "COMPLETING", "COMPLETED", "FAILED", "TIMEOUT", "DEADLINE")  # jobs that Slurm is ending


@dataclass
class Work:
    """A task of a job: called, it runs `python ARGUMENTS` and ends as that does.

    `traces` are patterns of the files, below `folder`, that the task writes when it gets on, such as its checkpoints.
    `fruitless` counts how often in a row the task was stopped by its time limit without a new one.
    """

    arguments: Sequence[str]
    folder: Path
    time_s: float
    grace_s: float
    traces: tuple[str, ...] = ()
    fruitless: int = 0
    running: Any = field(default=None, repr=False)

    def __call__(self) -> None:
        print(f"{BEGUN} {socket.gethostname()} as job {os.environ.get('SLURM_JOB_ID')}", file=sys.stderr, flush=True)
        self.running = Running(self.arguments, self.folder, self._newest())
        signal.signal(signal.SIGTERM, self.give_back)
        code = self.running.wait() or 0
        if code < 0:
            print(f"bench: the task was killed by {_named(-code)}", file=sys.stderr, flush=True)
        if code:
            sys.exit(code if code > 0 else 128 - code)

    def checkpoint(self) -> Any:
        """What submitit calls at SIGUSR2: end the command, and say what to run when the job is in the queue again.

        None where that would be in vain.
        """
        from submitit.helpers import DelayedSubmission

        if self.running is None:  # it has not begun
            return DelayedSubmission(self)
        ran = self.running
        if ran.stop(max(self.grace_s - REQUEUE_S, self.grace_s / 2)) == 0:
            sys.exit(0)  # it was done
        in_time = time.monotonic() - ran.began < self.time_s - self.grace_s - 60  # Slurm may tell a minute early
        fruitless = 0 if self._newest() != ran.newest else self.fruitless + (not in_time)
        if fruitless >= FRUITLESS:
            limit = f"{fruitless} times in a row it ran into its time limit without a new checkpoint"
            print(f"{GIVEN_UP}: {limit}; give it more time", file=sys.stderr, flush=True)
            return None
        return DelayedSubmission(replace(self, fruitless=fruitless, running=None))

    def give_back(self, number: int, frame: object) -> None:
        """Answer SIGTERM: end the command; where another job wants the machine, go into the queue again."""
        ran = self.running
        ran.stop(self.grace_s)
        if not any(state in NOT_OURS for state in _state()):
            os.kill(os.getpid(), signal.SIGUSR2)

    def _newest(self) -> float:
        """When the task last wrote one of its traces; 0 if there is none."""
        times = [0.0]
        for path in (found for pattern in self.traces for found in self.folder.glob(pattern)):
            with suppress(OSError):  # an older checkpoint that is being removed
                times.append(path.stat().st_mtime)
        return max(times)


class Running:
    """A command that runs. A thread waits for it: a signal's handler may have to wait as well."""

    def __init__(self, arguments: Sequence[str], folder: Path, newest: float) -> None:
        self.began, self.newest = time.monotonic(), newest
        self.code: int | None = None
        self.child = subprocess.Popen([sys.executable, *arguments], cwd=folder, preexec_fn=_deaf)  # noqa: PLW1509
        threading.Thread(target=self._reap, daemon=True).start()

    def _reap(self) -> None:
        self.code = self.child.wait()

    def wait(self, seconds: float = math.inf) -> int | None:
        """Its exit code, below zero for a signal; None if it has not ended in time."""
        end = time.monotonic() + seconds
        while self.code is None and time.monotonic() < end:
            time.sleep(POLL_S)
        return self.code

    def stop(self, seconds: float) -> int:
        """Tell it to end, and kill it if it has not in so many seconds; its exit code."""
        if self.code is None:
            self.child.terminate()
            if self.wait(seconds) is None:
                print("bench: the task did not end in time, and is killed", file=sys.stderr, flush=True)
                self.child.kill()
        return self.wait() or 0


def _deaf() -> None:
    """In the child: ignore what Slurm sends to all processes of a step and submitit's handler answers."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _state() -> list[str]:
    """The states of this job; none where Slurm does not answer."""
    job = os.environ.get("SLURM_JOB_ID", "")
    asked = ["squeue", "--noheader", f"--jobs={job}", "--format=%T", "--states=all"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        return []


def _named(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name}, as the system does where memory runs out" if name == "SIGKILL" else name
