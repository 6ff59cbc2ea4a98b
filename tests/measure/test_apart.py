"""What ends its process does not end this one."""

import os
import signal
import sys
import time

import pytest
from orders import LINUX

from bench.measure.apart import Ended, apart


def test_a_result_comes_back_and_changes_do_not():
    seen = []
    assert apart(lambda: (seen.append(1), os.getpid())[1]) != os.getpid()
    assert seen == []


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (os.abort, "killed by SIGABRT"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL"),
        (lambda: os._exit(3), "exit code 3"),
        (lambda: os._exit(0), "exit code 0"),
        (lambda: sys.exit(0), "exit code 1"),
        (lambda: 1 / 0, "exit code 1"),
    ],
)
def test_the_end_of_its_process_is_an_exception_here(end, text):
    with pytest.raises(Ended, match=text):
        apart(end)


@LINUX
def test_a_process_that_is_left_behind_is_not_waited_for():
    """It holds all that its parent had open."""
    began = time.monotonic()
    assert apart(lambda: os.fork() or time.sleep(5) or os._exit(0)) > 0
    assert time.monotonic() - began < 4
