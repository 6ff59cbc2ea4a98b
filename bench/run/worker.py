"""Runs one job in a fresh process, so that a crash, out-of-memory error or leak affects nothing else.

This is the parent's side; the child's is `bench.run.child`. The order is one line of JSON on the child's standard
input; events are lines of JSON on its standard output. The child itself writes the record, so a result survives if the
parent is killed. A child that trains on several devices starts the other processes of the training, its `Ranks`.
"""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from bench.data import DataAt
from bench.data.pseudonyms import without_files
from bench.errors import LONG, SHORT, Diverged, Paused, Terminated, UserError, clean
from bench.files import Unusable, unusable
from bench.locks import Lost, is_held
from bench.machine import ALLOCATOR, NUMBERS, State, state, this_machine
from bench.machine.launched import without_ranks
from bench.networks import find_network
from bench.networks.handed import Handed, received
from bench.processes import grace_s, stop, supervised
from bench.quantities import Device, Frozen
from bench.run.events import Silent, Strange, events
from bench.run.forkserver import Forked, ForkServer
from bench.run.job import Job
from bench.run.log import last_words, new_log, shorten
from bench.run.store import Record, Store
from bench.training.devices import Process

Tell = Callable[[dict[str, Any]], None]
Child = subprocess.Popen[bytes] | Forked
LEAVING_S = 10.0  # time for a process to end by itself after its last event
PAUSE = b"pause\n"  # what a child is told that is to save itself and end
GRACE_S = 3.0  # time for a lost process to be reported before this process ends with its own error


class StopRun(Exception):
    """The user's input is wrong for every network, so the run stops."""


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an OSError into Unusable: this folder or file cannot be written, whatever the network."""
    try:
        yield
    except OSError as error:
        raise unusable(error, place) from None


class Order(Frozen):
    """A job and where to run it. The paths do not affect the result.

    `data` is the data set that is scored on, `home` the one that is trained on, if it is another.

    `weights` is the file whose digest is in the job. A network that was `handed` over is measured as it is, whatever
    the job calls it; such a record is not kept. A child that sends no event for `silence_s` seconds is considered hung
    and is killed. `process` identifies the process if several train together. `lock` and `token` are of the lock under
    which the job is done; whoever lost it writes nothing. `gpus` is the child's CUDA_VISIBLE_DEVICES; empty: as here.
    """

    job: Job
    out: Path
    data: DataAt | None = None
    home: DataAt | None = None
    device: Device
    threads: int
    weights: Path | None = None
    handed: Handed | None = None
    silence_s: float = 600.0
    process: Process = Process()
    lock: Path | None = None
    token: str = ""
    gpus: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether the job is still this run's, and was not taken over by another."""
        return self.lock is None or is_held(self.lock, self.token)

    @property
    def may_pause(self) -> bool:
        """Whether it has a training, which can be saved and gone on with."""
        return getattr(self.job.spec, "train", None) is not None

    @property
    def log(self) -> Path:
        """The log file for the output of the child and its libraries."""
        return self.out / "logs" / f"{self.job.key}.log"


@dataclass
class Work:
    """An order in progress. `tell` sends an event to the parent.

    `built_at` is the time.monotonic() at which the network was built; `notes` describe how its input and output were
    adapted. `marks` are the machine's states at the times that the measurement marked. `asked_to_end` is set when a
    training is to save itself and end.
    """

    order: Order
    tell: Tell
    built_at: float | None = None
    notes: tuple[str, ...] = ()
    marks: list[State] = field(default_factory=list)
    asked_to_end: threading.Event = field(default_factory=threading.Event)

    def mark(self) -> None:
        """Note the machine's state: a measurement calls this just before and just after what it times."""
        self.marks.append(state())

    @property
    def window(self) -> tuple[State, State] | None:
        """The states just before and just after what was timed; None if nothing was."""
        return (self.marks[0], self.marks[-1]) if self.marks else None

    def build(self, seed: int = 0) -> Any:
        """Build the order's network with random weights from a seed; one that was handed over has its own."""
        import torch

        from bench.networks.adapt import notes_of

        spec, handed = self.order.job.spec, self.order.handed
        torch.manual_seed(seed)
        if handed:
            network = received(handed)
        else:
            network = find_network(self.order.job.network).build(spec.channels, spec.classes, spec.size)
        self.notes, self.built_at = tuple(notes_of(network)), self.built_at or time.monotonic()
        return network

    def progress(self, doing: str) -> Callable[..., None]:
        """Return a function of (done, total) that reports progress to the parent, and raises Paused if asked to end."""

        def count(done: int, total: int) -> None:
            self.refuse_to_go_on()
            self.tell({"doing": doing, "done": done, "of": total})

        return count

    def refuse_to_go_on(self) -> None:
        """Raise Paused if this process was asked to end."""
        if self.asked_to_end.is_set():
            raise Paused("asked to end; the same run again goes on")


def run(
    order: Order, tell: Tell, server: ForkServer | None = None, look: Callable[[], object] = lambda: None
) -> Record:  # fmt: skip
    """Run one job in its own process and return its record, which may be a failure.

    The process is forked by `server`, if there is one. `tell` receives the child's events; `look` is called every few
    seconds. Raises UserError if the problem concerns every network, such as an unreadable image or a checkpoint that
    does not fit, Unusable if what is measured cannot be kept, such as on a full disk, and Lost, without a record, if
    another run took the job over.

    What `look` raises ends the job. Where that is Terminated, or a signal raises it, a training is saved first, if it
    can be in the time that `grace_s` gives.
    """
    before, began = state(), time.monotonic()
    with _new_log(order) as log:

        def looks() -> None:
            shorten(log)
            look()

        last = _heard(start(order, log, server), order, tell, order.silence_s, looks)
        shorten(log)
    try:
        if last["end"] == "lost" or not order.is_ours:
            raise Lost(f"{order.job.key} was taken over by another run")
        if last["end"] == "paused":  # its process was told so, and not this one
            raise Terminated
        if last["end"] == "stop":
            raise UserError(last.get("error", ""))
        if last["end"] == "unusable":
            raise Unusable(last.get("error", ""))
        return _outcome(order, last, before, time.monotonic() - began)
    except OSError as error:
        raise unusable(error, order.out) from None


def _new_log(order: Order) -> BinaryIO:
    try:
        return new_log(order.log)
    except OSError as error:
        raise unusable(error, order.log) from None


def _heard(
    child: Child, order: Order, tell: Tell, silence_s: float = math.inf,
    look: Callable[[], object] = lambda: None,
) -> dict[str, Any]:  # fmt: skip
    """Pass on what a child tells, and return its last event. Then nothing that it started is left.

    It ends with that event, with the child itself, or when the child tells nothing for too long or what is no event.
    """
    assert child.stdout
    error = f"its code closed the pipe through which its worker tells what it does; see {order.log}"
    try:
        for event in events(child.stdout.fileno(), silence_s, look):
            if "end" in event:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(LEAVING_S)  # the network may have left a thread, for which it would wait
                return event
            tell(event)
        with suppress(subprocess.TimeoutExpired):
            return death(order, child.wait(LEAVING_S))
    except Terminated:
        _await_pause(child, order)
        raise
    except Silent:
        return {"end": "timed_out", "error": f"no sign of life for {silence_s:g} s; see {order.log}"}
    except Strange as strange:
        error = f"its code wrote to the pipe through which its worker tells what it does: '{strange}'; see {order.log}"
    finally:
        stop(child)
        child.stdout.close()
    return {"end": "crashed", "error": error}


def _await_pause(child: Child, order: Order) -> None:
    """Ask a child to save its training and to end, and wait for that as long as it may take."""
    if not (order.may_pause and child.stdin and child.stdout):
        return
    until = time.monotonic() + grace_s()
    with suppress(OSError):
        child.stdin.write(PAUSE)
        child.stdin.flush()
    is_over = False
    while not is_over and (left := until - time.monotonic()) > 0:
        with suppress(Strange):  # the first line was read in part when the signal came
            is_over = _is_over(child.stdout.fileno(), left, until)


def _is_over(pipe: int, left: float, until: float) -> bool:
    """Listen to a child until it ends, or no longer; True in any case."""
    with suppress(Silent):
        for event in events(pipe, left):
            if "end" in event or time.monotonic() > until:
                break
    return True


def start(order: Order, log: BinaryIO | None = None, server: ForkServer | None = None) -> Child:
    """Start a child, under a supervisor, and send it its order. With `log` None it uses our stderr.

    It is forked by `server`, if there is one and it can. It ends with this process at the latest. Raises UserError if
    the system starts no more processes.
    """
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**without_ranks(os.environ), **ALLOCATOR, "OMP_NUM_THREADS": str(order.threads), "PYTHONPATH": path}
    variables |= {NUMBERS: order.gpus} if order.gpus else {}
    # -P: a `statistics.py` in the user's folder must not replace Python's module. The child has its own session, so
    # that Ctrl-C reaches only the parent, which then ends the child.
    command = [sys.executable, "-P", "-u", "-m", "bench.run.child"]
    try:
        child = (server and server.start(variables, log)) or supervised(
            command, variables, stdout=subprocess.PIPE, stderr=log
        )
    except OSError as error:
        what_to_do = "end other programs, or raise the limit (ulimit -u)"
        raise UserError(f"cannot start a process: {error.strerror}; {what_to_do}") from None
    assert child.stdin
    with suppress(BrokenPipeError):  # it died at once, which is found when it is listened to
        facts = json.dumps(order.model_dump(mode="json"))  # pydantic's own writes no path that is not UTF-8
        child.stdin.write(f"{facts}\n".encode())
        child.stdin.flush()
    return child


def death(order: Order, code: int) -> dict[str, Any]:
    """The last event for a child that ended with this exit code without sending one."""
    said = last_words(order.log, is_killed=code < 0)
    how = f"killed by {_name_of(-code)}" if code < 0 else f"exit code {code}"
    killed = code == -signal.SIGKILL
    if killed:
        how += ", probably because the system ran out of memory"
    error = f"the worker died ({how}); see {order.log}" + (f": {said}" if said else "")
    return {"end": "out_of_memory" if killed else "crashed", "error": error}


def _name_of(number: int) -> str:
    """The name of a signal; those for free use have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _outcome(order: Order, last: dict[str, Any], before: State, wall_s: float) -> Record:
    """The record that the child wrote; of a job without a result one that is written here, so that tables tell why."""
    store, status, error = Store(order.out), last["end"], last.get("error", "")
    if status == "ok":
        if record := store.find(order.job):
            return record
        status, error = "crashed", f"its worker ended without a record that can be read; see {order.log}"
    error = without_files(error) if getattr(order.job.spec, "pseudonyms", False) else error
    record = Record(
        job=order.job, status=status, error=clean(error, LONG if status == "refused" else SHORT),
        machine=this_machine(), before=before, after=state(), wall_s=wall_s,
    )  # fmt: skip
    store.write(record)
    return record


class Ranks:
    """The other processes of a training on several devices.

    Starts them on entry, waits for them on exit, and kills those that remain. If one fails, this process sends the
    reason as its own last event and exits, because it would otherwise wait forever for data from the lost process.
    """

    def __init__(self, order: Order, devices: int, tell: Tell, trial: int = 0) -> None:
        self.devices, self.tell, self.over = devices, tell, False
        self.threads = max(1, order.threads // devices)  # of each process, including this one
        self.process = Process(port=_free_port() if devices > 1 else 0, trial=trial)
        others = (self.process.model_copy(update={"rank": rank}) for rank in range(1, devices))
        self.orders = [order.model_copy(update={"threads": self.threads, "process": process}) for process in others]
        self.children: dict[Child, threading.Thread] = {}  # each with who listens to it

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
            stop(child)

    def _hear(self, order: Order, child: Child) -> None:
        """Wait for a process's last event, or for its end without one."""
        last = _heard(child, order, lambda event: None)
        if last["end"] == "ok" or self.over:
            return
        if last["end"] in ("crashed", "out_of_memory"):  # the other outcomes occur in all processes
            last["error"] = f"process {order.process.rank + 1} of {self.devices}: {last.get('error', '')}"
        self.tell(last)
        os._exit(1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
