"""Processes end with who started them, and take along what they started, wherever that went."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from orders import LINUX

from bench.processes import end_with, starter, stop, supervised

TELL = "import os, signal, subprocess, sys, time\ndef tell(*told): print(*told, flush=True)\n"
LEFT = {
    "a child": "tell(subprocess.Popen(['sleep', '1e6']).pid)",
    "one that holds our pipe": "tell(subprocess.Popen(['sleep', '1e6'], pass_fds=(0, 1)).pid)",
    "one in a session of its own": "tell(subprocess.Popen(['sleep', '1e6'], start_new_session=True).pid)",
    "a fork": "os.fork() or (tell(os.getpid()), time.sleep(1e6))\ntime.sleep(0.1)",
    "a daemon": "os.fork() or (os.setsid(), os.fork() and os._exit(0), tell(os.getpid()), time.sleep(1e6))\n"
    "time.sleep(0.1)",
    "a child of a child that is stopped": "tell(subprocess.Popen([sys.executable, '-c', "
    '\'import os, subprocess; subprocess.Popen(["sleep", "1e6"]); os.kill(os.getpid(), 19)\']).pid)\ntime.sleep(0.3)',
}
ENDS = {
    "ends": ("", 0), "exits": ("os._exit(7)", 7), "dies": ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "kills its group": ("os.killpg(0, signal.SIGKILL)", -signal.SIGKILL),
}  # fmt: skip


def program(text: str) -> "subprocess.Popen[bytes]":
    return supervised([sys.executable, "-S", "-c", TELL + text], {**os.environ}, stdout=subprocess.PIPE)


def is_left(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_of(pids: list[int]) -> list[int]:
    """Those that are left, of processes that are to end in a moment."""
    until = time.monotonic() + 20
    while (left := [pid for pid in pids if is_left(pid)]) and time.monotonic() < until:
        time.sleep(0.02)
    return left


@LINUX
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_what_a_command_leaves_behind_ends_with_it_and_holds_nobody_up(left):
    with program(left) as process:
        (told,) = process.stdout.read().split()  # to its end, though others have the pipe too
        assert process.wait() == 0
        assert not is_left(int(told))


@pytest.mark.parametrize(("how", "code"), ENDS.values(), ids=ENDS)
def test_it_ends_as_the_command_does(how, code):
    with program(how) as process:
        assert process.wait() == code


def test_a_command_that_does_not_exist_ends_at_once():
    with supervised([os.devnull], {}) as process:
        assert process.wait() == 127


@LINUX
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_it_is_stopped_with_all_that_it_started(left):
    with program(f"{left}\ntell(os.getpid())\ntime.sleep(1e6)") as process:
        told = [int(process.stdout.readline()) for _ in range(2)]
        assert all(map(is_left, told))
        stop(process)
        assert not any(map(is_left, told))


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("whom", ["starter", "supervisor"])
def test_it_ends_with_who_started_it_however_that_ends(whom, number):
    if (whom, number) == ("supervisor", signal.SIGKILL):
        text = "time.sleep(1e6)"  # who is killed ends nothing; the system ends its child
    else:
        text = "subprocess.Popen(['sleep', '1e6'], start_new_session=True)\ntime.sleep(1e6)"
    code = (
        "import os, subprocess, sys\nfrom bench.processes import supervised\n"
        f"child = supervised([sys.executable, '-S', '-c', {TELL + 'tell(0)' + chr(10) + text!r}], {{**os.environ}}, "
        "stdout=subprocess.PIPE)\nchild.stdout.readline()\nprint(child.pid, flush=True)\nchild.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        supervisor = int(process.stdout.readline())
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) >= 2
        os.kill(process.pid if whom == "starter" else supervisor, number)
        assert end_of([one.pid for one in started]) == []


def test_a_supervised_command_knows_whom_it_works_for():
    code = "from bench.processes import starter; print(starter())"
    with supervised([sys.executable, "-c", code], {**os.environ}, stdout=subprocess.PIPE) as process:
        assert int(process.stdout.read()) == os.getpid()
    assert starter() == os.getppid()


@LINUX
@pytest.mark.parametrize("told_by", ["system", "watching"])
def test_a_fork_ends_with_its_parent(told_by):
    code = (
        "import os, time\nfrom bench import processes\nprocesses.WATCH_S = 0.01\n"
        + ("processes._prctl = lambda *_: False\n" if told_by == "watching" else "")
        + "parent = os.getpid()\n"
        "if os.fork():\n    time.sleep(1e6)\n"
        "processes.end_with(parent)\nprint(os.getpid(), flush=True)\ntime.sleep(1e6)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        fork = int(process.stdout.readline())
        process.kill()
        assert end_of([fork]) == []


@LINUX
def test_a_fork_whose_parent_ended_before_ends_at_once():
    if not (fork := os.fork()):
        end_with(1 if os.getppid() != 1 else 2)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 1


def test_it_is_run_without_the_rest_of_the_program():
    text = Path(sys.modules["bench.processes"].__file__).read_text()
    assert "import bench" not in text
    assert "from bench" not in text
