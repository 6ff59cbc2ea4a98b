"""Processes that end with who started them.

`supervised` starts a command with a supervisor above it: a small process, this file, that sleeps until the command or
the process that asked for it has ended, however that happened, and then ends all that the command started. On Linux
that includes what left its session or its parent; on other systems it is the command's own group of processes.
A fork of this process, which needs no supervisor, calls `end_with` instead. `supervise` makes a process the supervisor
of its own fork.

This file is run by itself, so it imports nothing of bench.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import subprocess

STARTER = "BENCH_STARTED_BY"  # the variable that tells a supervised command whom it works for
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # of linux/prctl.h
WATCH_S = 1.0  # between two looks for the parent, where the system does not tell
POLL_S = 0.01  # between two looks for what is left
GRACE = "BENCH_GRACE_S"  # the variable with the seconds in which a training may save itself when it is told to end
GRACE_S = 20.0
PATIENCE_S = 5.0  # for a process in the kernel, which cannot be killed before it returns from there


def supervised(command: Sequence[str], env: dict[str, str], **how: Any) -> "subprocess.Popen[bytes]":
    """Start a command in a session of its own, under a supervisor; `how` is passed on to Popen.

    The command and all that it starts end when it ends, and at the latest when the other end of its standard input is
    closed, which the death of this process does too. It ends as the command does: by its exit code or its signal.
    """
    import subprocess

    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, *command], env={**env, STARTER: str(os.getpid())},
        stdin=subprocess.PIPE, start_new_session=True, **how,
    )  # fmt: skip


def stop(process: Any) -> None:
    """End a supervised command, a Popen or what is like one, and all that it started, and wait for that."""
    import subprocess

    if process.stdin:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(2 * PATIENCE_S if process.stdin else 0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def grace_s() -> float:
    """Seconds for which a training that was told to end is waited for, until it is killed."""
    try:
        return max(0.0, float(os.environ.get(GRACE, GRACE_S)))
    except ValueError:
        return GRACE_S


def starter() -> int:
    """The number of the process that asked for this one, if this one is supervised, else that of its parent."""
    named = os.environ.get(STARTER, "")
    return int(named) if named.isdecimal() else os.getppid()


def end_with(parent: int) -> None:
    """Make this process, a fork of `parent`, end as soon as that has ended.

    Linux ends it when the thread that forked it ends, so that has to be one that waits for it.
    """
    if not _prctl(PR_SET_PDEATHSIG, signal.SIGKILL):
        threading.Thread(target=_watch, args=[parent], daemon=True).start()
    elif os.getppid() != parent:  # it ended before
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def _prctl(option: int, value: int) -> bool:
    """Whether the system, which has to be Linux, did as it was told."""
    if sys.platform != "linux":
        return False
    import ctypes

    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    return False


# ---- the supervisor --------------------------------------------------------------------------------------------------


def supervise(work: Callable[[], object]) -> None:
    """Do some work in a fork, and end as that does, after all that it started. Returns in the fork alone, in the end.

    Standard input, output and error of this process are those of the fork. It has to be one without threads.
    """
    woken, wake = os.pipe()
    for number in (woken, wake):
        os.set_blocking(number, False)
    heard: list[int] = []
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _: heard.append(number))
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what is left by its parent becomes a child of this process
    supervisor, child = os.getpid(), os.fork()
    if not child:
        _begin(supervisor)
        for number in (woken, wake):
            os.close(number)
        work()
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):  # so that they end with the command
        os.dup2(nothing, number)
    code = _awaited(child, woken, heard)
    _end_all(child)
    _end_as(code)


def _begin(supervisor: int) -> None:
    """In the fork: end with the supervisor, and hear signals as a process does that was started by itself."""
    os.setsid()  # a command that ends its own group does not end its supervisor
    if _prctl(PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != supervisor:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _become(command: Sequence[str]) -> NoReturn:
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and that would be inherited
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], [*command])  # noqa: S606 - it is no text of a shell
    finally:
        os._exit(127)


def _awaited(child: int, woken: int, heard: list[int]) -> int:
    """The command's exit code, below zero for a signal; that of a signal which ends this process; 1 without a starter.

    It sleeps until there is something to do, because the command may be timed. SIGTERM is passed on first, and the
    command may take a while to end by itself.
    """
    until = None  # when the command is ended that was told to end
    looks = select.poll()
    looks.register(woken, select.POLLIN)
    looks.register(0, 0)  # tells only that the other end was closed; what comes through is the command's
    while True:
        while (found := _reaped())[0]:
            if found[0] == child:
                return os.waitstatus_to_exitcode(found[1])
        if heard and until is None and heard[0] == signal.SIGTERM:
            until = time.monotonic() + grace_s()
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGTERM)
        if heard and (heard[-1] != signal.SIGTERM or until is None or time.monotonic() >= until):
            return -heard[-1]
        for number, _ in looks.poll(1000 * max(0.0, until - time.monotonic()) + 1 if until else None):
            if number != woken:
                return 1
            os.read(woken, 4096)


def _reaped() -> tuple[int, int]:
    """A child that ended, and its status; zeros if there is none, and -1 if there are no children."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return -1, 0


def _end_all(child: int) -> None:
    """Kill the command and what is left of all that it started, until nothing is."""
    give_up = time.monotonic() + PATIENCE_S
    _kill(os.killpg, child)
    while (ended := _reaped()[0]) >= 0 and time.monotonic() < give_up:
        if not ended:
            for one in _children():
                _kill(os.kill, one)
            time.sleep(POLL_S)


def _kill(how: Any, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        how(number, signal.SIGKILL)


def _children() -> list[int]:
    """The numbers of this process's children, by Linux's list of processes."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            if int(stat.read_bytes().rpartition(b")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


def _end_as(code: int) -> NoReturn:
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command's own core is enough
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    supervise(lambda: _become(sys.argv[1:]))
