"""Runs one Job in a fresh process, so that a crash, an OOM or a leak touches nothing else.

Here is the parent's side; the child's is `bench.run.child`. The order goes in as one line of JSON on standard input,
events come out as lines of JSON, and the child itself writes the record: what it measured outlives a parent that was
killed. A child that trains on several devices is in turn the parent of the other processes, `bench.run.ranks`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from bench.data.sample import Options
from bench.errors import UserError
from bench.machine import ALLOCATOR, state, this_machine
from bench.quantities import Device, Frozen
from bench.run.job import Job
from bench.run.store import Record, Status, Store
from bench.training.devices import Process

Tell = Callable[[dict[str, Any]], None]


class StopRun(Exception):
    """What the user gave is wrong for every network, so the run stops."""


class Order(Frozen):
    """A job and where to do it; the places change nothing in the result.

    `weights` is the file whose digest the job names. A child that is not heard of for `silence_s` seconds is taken to
    hang, and ended. `process` is which one this is, where several train together.
    """

    job: Job
    out: Path
    data_root: Path | None
    options: Options = Options()
    device: Device
    threads: int
    weights: Path | None = None
    silence_s: float = 600.0
    process: Process = Process()

    @property
    def log(self) -> Path:
        """What the child and its libraries print."""
        return self.out / "logs" / f"{self.job.key}.log"


def run(order: Order, tell: Tell) -> Record:
    """Do one job in a process of its own and return its record; a failure is a record too.

    `tell` hears the child's events while it works. Raises UserError when what was asked cannot be done for any network:
    an unreadable image, a checkpoint that does not fit.
    """
    before, began = state(), time.monotonic()
    order.log.parent.mkdir(parents=True, exist_ok=True)
    end: dict[str, Any] = {}
    with order.log.open("w") as log, start(order, log) as child:
        assert child.stdout
        silence = _Silence(child, order.silence_s)
        try:
            silence.heard()
            for line in child.stdout:
                silence.heard()
                event = json.loads(line)
                if "end" in event:
                    end = event
                else:
                    tell(event)
        except BaseException:
            child.kill()
            raise
        finally:
            silence.timer.cancel()
    if silence.over:
        end = {"end": "timed_out", "error": f"no sign of life for {order.silence_s:g} s; see {order.log}"}
    if end.get("end") == "stop":
        raise UserError(end["error"])
    if end.get("end") == "ok":
        record = Store(order.out).find(order.job)
        assert record is not None
        return record
    return _failure(order, end or death(order, child.returncode), before, time.monotonic() - began)


class _Silence:
    """Ends a child that gives no sign of life for too long."""

    def __init__(self, child: "subprocess.Popen[str]", limit_s: float) -> None:
        self.child, self.limit_s, self.over = child, limit_s, False
        self.timer = threading.Timer(limit_s, self._end)

    def heard(self) -> None:
        """The child said something: wait anew."""
        self.timer.cancel()
        self.timer = threading.Timer(self.limit_s, self._end)
        self.timer.daemon = True
        self.timer.start()

    def _end(self) -> None:
        self.over = True
        self.child.kill()


def start(order: Order, log: TextIO | None = None) -> "subprocess.Popen[str]":
    """Start a child and give it its order. It lives as long as its standard input is open; `log` None is our own."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(order.threads), "PYTHONPATH": path}
    # -P: a `statistics.py` in the user's folder must not stand in for Python's. Its own session, so that Ctrl-C reaches
    # the parent alone, which then ends the child.
    child = subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "bench.run.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=log, text=True, env=variables, start_new_session=True,
    )  # fmt: skip
    assert child.stdin
    child.stdin.write(order.model_dump_json() + "\n")
    child.stdin.flush()
    return child


def death(order: Order, code: int) -> dict[str, Any]:
    """The last event of a child that ended with this exit code and said nothing."""
    lines = order.log.read_text(errors="replace").strip().splitlines()
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    killed = code == -signal.SIGKILL
    if killed:
        how += ", most likely by the system for want of memory"
    error = f"the worker died ({how}); see {order.log}" + (f": {lines[-1]}" if lines else "")
    return {"end": "out_of_memory" if killed else "crashed", "error": error}


def _failure(order: Order, end: dict[str, Any], before: Any, wall_s: float) -> Record:
    """The record of a job that ended without a result, kept so that the table can say why."""
    status: Status = end["end"]
    record = Record(
        job=order.job, status=status, error=end["error"], machine=this_machine(), before=before, after=state(),
        wall_s=wall_s,
    )  # fmt: skip
    Store(order.out).write(record)
    return record
