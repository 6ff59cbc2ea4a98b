"""Work in forked processes: its results, what it raises, and that nothing waits for ever when it is stopped."""

import os
import subprocess
import sys

import pytest

from bench.forks import forked

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="nothing is forked with one core"
)
# Ctrl-C just before the N-th process is forked.
STOPPED = """
import os, signal, sys
from bench.forks import forked

forks = 0

def hear(event, _):
    global forks
    forks += event == "os.fork"
    if event == "os.fork" and forks == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in what a shell starts in the background
sys.addaudithook(hear)
try:
    print(list(forked(str, range(8))))
except KeyboardInterrupt:
    print("stopped")
"""


def test_results_come_in_order_and_need_no_function_that_can_be_pickled():
    assert list(forked(lambda number: number**2, range(50))) == [number**2 for number in range(50)]


def test_what_the_work_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(forked(lambda number: 1 / number, [2, 1, 0]))


@pytest.mark.parametrize("fork", [1, 2])
def test_stopped_while_processes_are_forked_it_ends(fork):
    command = [sys.executable, "-c", STOPPED, str(fork)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")
