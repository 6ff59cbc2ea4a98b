"""A process that has imported what workers need, and forks itself for each job: importing takes seconds, a fork none.

It computes nothing itself, so that what a fork measures is what a process of its own would. `ForkServer` is its other
side, in the process that runs the jobs. A request is a line of JSON on a socket, with the standard input, output and
error of the worker; answers are the worker's number and, once it has ended, its exit code.
"""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

from bench.processes import stop, supervise, supervised
from bench.quantities import QUANTITIES
from bench.run.job import Job

LONGEST = 4096  # bytes of a message
PATIENCE_S = 300.0  # to import all modules from a slow disk
GONE = 1  # the exit code of a worker whose server ended before it


def may_fork(job: Job) -> bool:
    """Whether a fork of what has imported torch gives the same figure. A time could depend on what was done before."""
    return getattr(job.spec, "device", "cpu") == "cpu" and not QUANTITIES[job.spec.quantity].quiet


class Forked:
    """A worker that was forked, with what `subprocess.Popen` has for one that was started."""

    def __init__(self, server: "ForkServer", pid: int, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self.server, self.pid, self.stdin, self.stdout = server, pid, stdin, stdout
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal, once it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self.returncode = self.server.code_of(self.pid, timeout)
        return self.returncode

    def kill(self) -> None:
        """End its supervisor at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class ForkServer:
    """Starts workers by forking a process that has imported `modules`. It is started with the first worker."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = modules
        self.process: subprocess.Popen[bytes] | None = None
        self.socket: socket.socket | None = None
        self.heard = b""  # an incomplete answer
        self.codes: dict[int, int] = {}

    def start(self, variables: Mapping[str, str], stderr: BinaryIO | None) -> Forked | None:
        """Start a worker; None if that cannot be done so. The variables are those of the first worker that was started.

        Raises OSError if the system starts no more processes.
        """
        try:
            if self.socket is None:
                self._begin(variables)
            return self._forked(stderr)
        except (ConnectionError, EOFError, ValueError):
            self.close()
            return None

    def close(self) -> None:
        """End the server. Workers that still run end when their standard input is closed."""
        if self.socket is not None:
            self.socket.close()
        if self.process is not None:
            stop(self.process)
        self.socket = self.process = None

    def code_of(self, pid: int, timeout: float | None) -> int:
        """The exit code of a worker, once it has ended; GONE if the server ended before. Raises TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while pid not in self.codes:
            left = None if until is None else max(0.0, until - time.monotonic())
            try:
                answer = self._answer(left)
            except (ConnectionError, EOFError, ValueError):
                return GONE
            if answer is None:
                raise subprocess.TimeoutExpired("a worker", timeout or 0)
        return self.codes.pop(pid)

    def _begin(self, variables: Mapping[str, str]) -> None:
        self.heard = b""  # what a server that ended had begun to say is no answer of the next one
        self.socket, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-u", "-m", "bench.run.forkserver", str(theirs.fileno()), *self.modules]
        with theirs:
            self.process = supervised(
                command, dict(variables), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )  # fmt: skip

    def _forked(self, stderr: BinaryIO | None) -> Forked:
        assert self.socket
        (orders, ours), (events, theirs) = os.pipe(), os.pipe()
        try:
            socket.send_fds(self.socket, [b"fork\n"], [orders, theirs, 2 if stderr is None else stderr.fileno()])
            pid = self._started()
        except BaseException:
            os.close(ours)
            os.close(events)
            raise
        finally:
            os.close(orders)
            os.close(theirs)
        return Forked(self, pid, os.fdopen(ours, "wb"), os.fdopen(events, "rb"))

    def _started(self) -> int:
        """The number of the worker that was asked for."""
        while answer := self._answer(PATIENCE_S):
            if "started" in answer:
                return int(answer["started"])
        raise EOFError

    def _answer(self, timeout: float | None) -> dict[str, Any] | None:
        """The next answer; None after the timeout. An exit code is kept in `codes`."""
        assert self.socket
        while b"\n" not in self.heard:
            if not select.select([self.socket], [], [], timeout)[0]:
                return None
            part = self.socket.recv(LONGEST)
            if not part:
                raise EOFError
            self.heard += part
        line, _, self.heard = self.heard.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "ended" in answer:
            self.codes[answer["ended"]] = answer["code"]
        return answer


# ---- the process itself ----------------------------------------------------------------------------------------------


def main() -> None:
    """Serve until the other end of the socket is closed. In a fork: work as a worker does that was started."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a worker may save itself; this ends when the socket is closed
    asked = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        with suppress(Exception):  # a worker that needs it will tell
            import_module(name)
    gc.collect()
    gc.freeze()  # so that no fork touches, and so copies, what is here already
    woken, wake = os.pipe()
    for number in (woken, wake):
        os.set_blocking(number, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    looks = select.poll()
    for one in (asked.fileno(), woken):
        looks.register(one, select.POLLIN)
    while True:
        ready = {number for number, _ in looks.poll()}
        if woken in ready:
            os.read(woken, LONGEST)
            _tell_ended(asked)
        if asked.fileno() in ready:
            request, streams, _, _ = socket.recv_fds(asked, LONGEST, 3)
            if not request:
                os._exit(0)  # what it imported need not be cleaned up
            if _forked(asked, streams, (woken, wake)):
                return


def _tell_ended(asked: socket.socket) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            answer = {"ended": ended[0], "code": os.waitstatus_to_exitcode(ended[1])}
            asked.sendall(json.dumps(answer).encode() + b"\n")


def _forked(asked: socket.socket, streams: Sequence[int], others: Sequence[int]) -> bool:
    """Fork a supervisor with a worker under it. True in the worker, once it has done its work."""
    pid = os.fork()
    if pid:
        for number in streams:
            os.close(number)
        asked.sendall(json.dumps({"started": pid}).encode() + b"\n")
        return False
    os.setsid()
    signal.set_wakeup_fd(-1)
    asked.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for number in (*streams, *others):
        os.close(number)
    supervise(_work)
    return True


def _work() -> None:
    from bench.run import child

    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # as in a process of its own; Python's own numbers are drawn anew after a fork
    sys.argv[1:] = []
    child.main()
    child.leave()


if __name__ == "__main__":
    main()
