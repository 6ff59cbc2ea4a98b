"""Runs one job in a fresh process, so that a crash, out-of-memory error or leak affects nothing else.

This is the parent's side; the child's is `bench.run.child`. The order is one line of JSON on the child's standard
input; events are lines of JSON on its standard output. The child itself writes the record, so a result survives if the
parent is killed. A child that trains on several devices starts the other processes of the training, its `Ranks`.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from bench.data.pseudonyms import without_files
from bench.data.sample import Options
from bench.errors import Diverged, UserError
from bench.locks import Lost, is_held
from bench.machine import ALLOCATOR, State, state, this_machine
from bench.networks import find_network
from bench.quantities import Device, Frozen
from bench.run.job import Job
from bench.run.store import Record, Status, Store
from bench.training.devices import Process

Tell = Callable[[dict[str, Any]], None]
GRACE_S = 3.0  # time for a lost process to be reported before this process ends with its own error


class StopRun(Exception):
    """The user's input is wrong for every network, so the run stops."""


class Order(Frozen):
    """A job and where to run it. The paths do not affect the result.

    `weights` is the file whose digest is in the job. A child that sends no event for `silence_s` seconds is considered
    hung and is killed. `process` identifies the process if several train together. `lock` and `token` are of the lock
    under which the job is done; whoever lost it writes nothing.
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
    lock: Path | None = None
    token: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether the job is still this run's, and was not taken over by another."""
        return self.lock is None or is_held(self.lock, self.token)

    @property
    def log(self) -> Path:
        """The log file for the output of the child and its libraries."""
        return self.out / "logs" / f"{self.job.key}.log"


@dataclass
class Work:
    """An order in progress. `tell` sends an event to the parent.

    `built_at` is the time.monotonic() at which the network was built; `notes` describe how its input and output were
    adapted. `marks` are the machine's states at the times that the measurement marked.
    """

    order: Order
    tell: Tell
    built_at: float | None = None
    notes: tuple[str, ...] = ()
    marks: list[State] = field(default_factory=list)

    def mark(self) -> None:
        """Note the machine's state: a measurement calls this just before and just after what it times."""
        self.marks.append(state())

    @property
    def window(self) -> tuple[State, State] | None:
        """The states just before and just after what was timed; None if nothing was."""
        return (self.marks[0], self.marks[-1]) if self.marks else None

    def build(self, seed: int = 0) -> Any:
        """Build the order's network with random weights from a seed."""
        import torch

        from bench.networks.adapt import notes_of

        spec = self.order.job.spec
        torch.manual_seed(seed)
        network = find_network(self.order.job.network).build(spec.channels, spec.classes, spec.size)
        self.notes, self.built_at = tuple(notes_of(network)), self.built_at or time.monotonic()
        return network

    def progress(self, doing: str) -> Callable[..., None]:
        """Return a function of (done, total) that reports progress to the parent."""
        return lambda done, total: self.tell({"doing": doing, "done": done, "of": total})


def run(order: Order, tell: Tell) -> Record:
    """Run one job in its own process and return its record, which may be a failure.

    `tell` receives the child's events. Raises UserError if the problem concerns every network, such as an unreadable
    image or a checkpoint that does not fit, and Lost, without a record, if another run took the job over.
    """
    before, began = state(), time.monotonic()
    order.log.parent.mkdir(parents=True, exist_ok=True)
    end: dict[str, Any] = {}
    with order.log.open("w") as log, start(order, log) as child:
        try:
            for event in _events(child, order):
                if "end" in event:
                    end = event
                else:
                    tell(event)
        except BaseException:
            child.kill()
            raise
    if not order.is_ours:
        raise Lost(f"{order.job.key} was taken over by another run")
    if end.get("end") == "stop":
        raise UserError(end["error"])
    if end.get("end") == "ok":
        record = Store(order.out).find(order.job)
        assert record is not None
        return record
    return _failure(order, end or death(order, child.returncode), before, time.monotonic() - began)


def _events(child: "subprocess.Popen[str]", order: Order) -> Iterator[dict[str, Any]]:
    """Yield the child's events. A child that is silent for too long is killed, which is reported as its last event."""
    assert child.stdout
    begun = b""  # an incomplete line
    while select.select([child.stdout], [], [], order.silence_s)[0]:
        if not (part := os.read(child.stdout.fileno(), 65536)):
            return
        *lines, begun = (begun + part).split(b"\n")
        yield from map(json.loads, lines)
    child.kill()
    yield {"end": "timed_out", "error": f"no sign of life for {order.silence_s:g} s; see {order.log}"}


def start(order: Order, log: TextIO | None = None) -> "subprocess.Popen[str]":
    """Start a child and send it its order.

    It runs while its standard input is open. With `log` None it uses our stderr.
    """
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(order.threads), "PYTHONPATH": path}
    # -P: a `statistics.py` in the user's folder must not replace Python's module. The child has its own session, so
    # that Ctrl-C reaches only the parent, which then ends the child.
    child = subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "bench.run.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=log, text=True, env=variables, start_new_session=True,
    )  # fmt: skip
    assert child.stdin
    child.stdin.write(order.model_dump_json() + "\n")
    child.stdin.flush()
    return child


def death(order: Order, code: int) -> dict[str, Any]:
    """The last event for a child that ended with this exit code without sending one."""
    lines = order.log.read_text(errors="replace").strip().splitlines()
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    killed = code == -signal.SIGKILL
    if killed:
        how += ", probably because the system ran out of memory"
    error = f"the worker died ({how}); see {order.log}" + (f": {lines[-1]}" if lines else "")
    return {"end": "out_of_memory" if killed else "crashed", "error": error}


def _failure(order: Order, end: dict[str, Any], before: Any, wall_s: float) -> Record:
    """Write the record of a job that ended without a result, so that tables can show the reason."""
    status: Status = end["end"]
    error = without_files(end["error"]) if getattr(order.job.spec, "pseudonyms", False) else end["error"]
    record = Record(
        job=order.job, status=status, error=error, machine=this_machine(), before=before, after=state(),
        wall_s=wall_s,
    )  # fmt: skip
    Store(order.out).write(record)
    return record


class Ranks:
    """The other processes of a training on several devices.

    Starts them on entry, waits for them on exit, and kills those that remain. If one fails, this process sends the
    reason as its own last event and exits, because it would otherwise wait forever for data from the lost process.
    """

    def __init__(self, order: Order, devices: int, tell: Tell) -> None:
        self.devices, self.tell, self.over = devices, tell, False
        self.threads = max(1, order.threads // devices)  # of each process, including this one
        self.process = Process(port=_free_port() if devices > 1 else 0)
        others = (self.process.model_copy(update={"rank": rank}) for rank in range(1, devices))
        self.orders = [order.model_copy(update={"threads": self.threads, "process": process}) for process in others]
        self.children: dict[subprocess.Popen[str], threading.Thread] = {}  # each with the thread that reads its events

    def __enter__(self) -> Self:
        for order in self.orders:
            child = start(order)
            self.children[child] = threading.Thread(target=self._hear, args=[order, child], daemon=True)
            self.children[child].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for thread in self.children.values():
                thread.join()
        elif self.children and not issubclass(kind, UserError | Diverged):
            time.sleep(GRACE_S)  # if a lost process was the cause, its thread reports the reason and exits meanwhile
        self.over = True
        for child in self.children:
            child.kill()

    def _hear(self, order: Order, child: "subprocess.Popen[str]") -> None:
        """Wait for a process's last event, or for its end without one."""
        assert child.stdout
        try:
            end = next(event for line in child.stdout if "end" in (event := json.loads(line)))
        except (StopIteration, ValueError):  # it died, or a library wrote between its events
            child.kill()
            end = death(order, child.wait())
        if end["end"] == "ok" or self.over:
            return
        if end["end"] in ("crashed", "out_of_memory"):  # the other outcomes occur in all processes
            end["error"] = f"process {order.process.rank + 1} of {self.devices}: {end['error']}"
        self.tell(end)
        os._exit(1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
