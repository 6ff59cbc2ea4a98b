"""Runs a function in a process of its own, a fork of this one, so that what ends that process does not end this one."""

import faulthandler
import gc
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import torch

WATCH_S = 1.0
Found = TypeVar("Found")


class Ended(Exception):
    """The process ended before it had a result."""


def apart(function: Callable[[], Found]) -> Found:
    """What `function()` returns, which must be picklable. It runs with one thread; its changes to objects are lost.

    Raises Ended if its process ends without a result, which an exception also makes it do. Where processes cannot be
    forked safely, after CUDA was used or on another system than Linux, it runs in this one.
    """
    if sys.platform != "linux" or torch.cuda.is_initialized():
        return function()
    sys.stdout.flush()  # else a fork that prints repeats what waits here
    read, write = os.pipe()
    parent, child = os.getpid(), os.fork()
    if not child:
        os.close(read)
        _run(function, write, parent)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        answer = answers.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        raise Ended(f"its process was killed by {signal.Signals(-code).name}")
    if code or not answer:  # a network that ends its process may say that all went well
        raise Ended(f"its process ended with exit code {code}")
    found: Found = pickle.loads(answer)  # noqa: S301  written by our own fork
    return found


def _run(function: Callable[[], Any], write: int, parent: int) -> None:
    """The fork's part. It never returns."""
    faulthandler.disable()  # the reason is said in the result
    gc.freeze()  # garbage of the parent may wait for its threads, which a fork does not have
    torch.set_num_threads(1)  # nor does it have those that compute
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    with suppress(BaseException), os.fdopen(write, "wb") as answers:
        pickle.dump(function(), answers)
        answers.flush()
        os._exit(0)
    os._exit(1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)
