"""Starts `bench` in copies of this process, which has imported torch and all else already; that saves many seconds.

A copy runs the command line from its first line to its last, in a session of its own. The Python processes that it
starts (its workers) are copies too, made by a helper that was split off before the command began, so that they know
nothing of what it did. Everything between them is as ever: pipes, signals, who is whose parent, how they end.
"""

import atexit
import ctypes
import linecache
import os
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from .events import Watch

WARM = (
    "bench.cli", "bench.cli.display", "bench.run.child", "bench.run.local", "bench.run.dice", "bench.measure.cost",
    "bench.report.pdf", "bench.report.html", "bench.report.markdown", "bench.report.latex", "bench.report.tidy",
    "bench.judge.compare", "bench.read.versions", "bench.report.changes", "bench.networks.find",
    "matplotlib.backends.backend_svg", "typst", "scipy.ndimage", "sqlite3",
)  # fmt: skip
FROM_THEN_ON = 36  # PR_SET_CHILD_SUBREAPER: whose parent ends becomes a child of this process
GRACE_S = 10.0  # within which what a killed program started has to end
STATUS: dict[int, int] = {}  # of the children that ended, by process


def warm() -> None:
    """Import what the programs import, once for all of them."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in WARM:
        import_module(name)
    for path in Path(__file__).parent.glob("*.py"):
        # Or torch, which asks for the stack, reads it, and it counts as the network's. None: it is not looked at again.
        lines = path.read_text().splitlines(keepends=True)
        linecache.cache[str(path)] = len(lines), None, lines, str(path)


def adopt(yes: bool = True) -> None:
    """Become the parent of all processes below this one whose own parent ends; then none gets lost."""
    ctypes.CDLL(None).prctl(FROM_THEN_ON, int(yes), 0, 0, 0)


@dataclass(frozen=True)
class Ended:
    """What a program left: its exit code (minus the signal that ended it; None if it hung), and what it printed."""

    code: int | None
    out: str
    err: str


class Program:
    """A copy of this process that runs `bench` with some arguments in a folder."""

    def __init__(
        self, arguments: Sequence[str | bytes], folder: Path, variables: Mapping[str, str], watch: Watch | None = None
    ) -> None:  # fmt: skip
        self.out, self.err = (Path(tempfile.mkstemp(prefix=f"{name}-", dir=variables["DRILL"])[1]) for name in "oe")
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = os.fork()
        if not self.process:
            code = 70
            try:
                code = _run(arguments, folder, variables, watch, self.out, self.err)
            finally:
                os._exit(code)

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.process, number)

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        reap()
        status = STATUS.get(self.process)
        return None if status is None else os.waitstatus_to_exitcode(status)

    def wait(self, limit_s: float) -> Ended:
        """Wait for its end. After the limit it is killed, and has no exit code."""
        end = time.monotonic() + limit_s
        while (code := self.poll()) is None and time.monotonic() < end:
            time.sleep(0.01)
        if code is None:
            self.signal(signal.SIGKILL)
        ended = Ended(code, *(path.read_text(errors="replace") for path in (self.out, self.err)))
        self.out.unlink()
        self.err.unlink()
        return ended


def reap() -> None:
    """Note how each child ended that did."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            return
        STATUS[process] = status


def orphans(grace_s: float = GRACE_S) -> list[str]:
    """What still runs below this process after the grace: a line each. It is ended."""
    end = time.monotonic() + grace_s
    while True:
        reap()
        left = [one for one in psutil.Process().children(recursive=True) if _runs(one)]
        if not left or time.monotonic() > end:
            break
        time.sleep(0.02)
    lines = []
    for one in left:
        try:
            lines.append(f"process {one.pid} ({one.name()}, {one.memory_info().rss >> 20} MiB) is left")
            one.kill()
        except psutil.Error:
            continue
    return lines


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


# ---- in the copy -----------------------------------------------------------------------------------------------------


def _run(
    arguments: Sequence[str | bytes], folder: Path, variables: Mapping[str, str], watch: Watch | None, out: Path,
    err: Path,
) -> int:  # fmt: skip
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    files = os.open(os.devnull, os.O_RDONLY), os.open(out, os.O_WRONLY), os.open(err, os.O_WRONLY)
    _begin(files, variables)
    _start_copies(watch)
    if watch:
        watch.begin("run")
    return _called(["bench", *map(os.fsdecode, arguments)], import_module("bench.cli").main)


def _begin(files: Sequence[int], variables: Mapping[str, str]) -> None:
    """Take standard files and environment, as a new interpreter does."""
    for place, number in enumerate(files):
        if number != place:
            os.dup2(number, place)
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", 1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _called(argv: list[str], function: Any) -> int:
    """Call a program's main function; its exit code."""
    sys.argv, code = argv, 0
    try:
        function()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - as an interpreter does
        traceback.print_exc()
        code = 130 if isinstance(sys.exc_info()[1], KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _start_copies(watch: Watch | None) -> None:
    """From now on `subprocess.Popen` of a Python program is a copy of this process as it is now."""
    ours, theirs = socket.socketpair()
    command = os.getpid()
    if not os.fork():
        ours.close()
        os.setsid()
        try:
            _make_copies(theirs, command, watch)
        finally:
            os._exit(0)
    theirs.close()
    real, lock = subprocess.Popen._execute_child, threading.Lock()

    def start(self: Any, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any,
              env: Any, info: Any, flags: Any, shell: bool, p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int,
              errread: int, errwrite: int, *rest: Any) -> None:  # fmt: skip
        command = [*map(os.fsdecode, args)] if isinstance(args, list | tuple) else []
        if shell or command[:1] != [sys.executable] or os.getpid() != owner:
            real(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, info, flags, shell, p2cread,
                 p2cwrite, c2pread, c2pwrite, errread, errwrite, *rest)  # fmt: skip
            return
        sys.audit("subprocess.Popen", executable, args, cwd, env)
        files = [own if own != -1 else place for place, own in enumerate((p2cread, c2pwrite, errwrite))]
        order = (command, cwd, dict(os.environ if env is None else env), tuple(pass_fds), rest[-2:], preexec_fn)
        with lock:
            adopt()
            socket.send_fds(ours, [pickle.dumps(order)], [*files, *pass_fds])
            self.pid = int(ours.recv(64) or b"0")
            adopt(False)
        if not self.pid:
            raise OSError("the helper of the drill is gone")
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    owner = os.getpid()
    subprocess.Popen._execute_child = start  # type: ignore[method-assign]


def _make_copies(orders: socket.socket, command: int, watch: Watch | None) -> None:
    """Make a copy for each order, until the command has ended."""
    made = 0
    while True:
        told, files, _, _ = socket.recv_fds(orders, 1 << 20, 16)
        if not told:
            return
        made += 1
        if not (between := os.fork()):
            if not os.fork():  # its parent ends at once, so that the command becomes its parent
                code = 70
                try:
                    code = _copy(pickle.loads(told), files, orders, command, watch, made)
                finally:
                    os._exit(code)
            os._exit(0)
        os.waitpid(between, 0)
        for number in files:
            os.close(number)


def _copy(
    order: tuple[Any, ...], files: list[int], orders: socket.socket, command: int, watch: Watch | None, made: int
) -> int:  # fmt: skip
    argv, cwd, variables, passed, (session, group), first = order
    end = time.monotonic() + 5
    while os.getppid() != command:
        if time.monotonic() > end:
            return 70
        time.sleep(0.001)
    numbers = dict(zip(passed, files[3:], strict=True))
    orders.send(str(os.getpid()).encode())
    orders.close()
    if session:
        os.setsid()
    elif group >= 0:
        os.setpgid(0, group)
    if cwd is not None:
        os.chdir(cwd)
    if first:
        first()
    _begin(files[:3], variables)
    for place, number in numbers.items():
        os.dup2(number, place)
        os.set_inheritable(place, True)
    return _python(argv[1:], watch, f"worker {made}")


def _python(arguments: list[str], watch: Watch | None, role: str) -> int:
    """Do what Python does with these arguments; its exit code."""
    while arguments[0].startswith("-") and arguments[0] not in ("-m", "-c"):
        arguments = arguments[1:]
    kind, *rest = arguments
    if kind not in ("-m", "-c"):
        os.execvp = partial(_become, os.execvp, watch, role)  # the script is a supervisor, and forks what it is for
        return _called([kind, *rest], lambda: runpy.run_path(kind, run_name="__main__"))
    if watch:
        watch.begin(role)
    what, *rest = rest
    if kind == "-c":
        return _called(["-c", *rest], lambda: exec(what, {"__name__": "__main__"}))
    return _called([what, *rest], lambda: runpy.run_module(what, run_name="__main__", alter_sys=True))


def _become(execute: Any, watch: Watch | None, role: str, file: str, arguments: list[str]) -> None:
    """In the place of `os.execvp`: a Python program is this process, without what a new program does not inherit."""
    if file != sys.executable:
        execute(file, arguments)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    kept = {
        number
        for number in (int(path.name) for path in Path("/proc/self/fd").iterdir())
        if number < 3 or _is_passed(number)
    }
    for number in range(3, 64):
        if number not in kept:
            with suppress(OSError):
                os.close(number)
    _begin((0, 1, 2), dict(os.environ))
    os._exit(_python(list(arguments[1:]), watch, role))


def _is_passed(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:
        return False
