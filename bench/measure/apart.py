"""Runs a function in a process of its own, a fork of this one, so that what ends that process does not end this one."""

import faulthandler
import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import torch

from bench.processes import end_with

Found = TypeVar("Found")


class Ended(Exception):
    """The process ended before it had a result."""


def apart(function: Callable[[], Found], uses_gpu: bool = True) -> Found:
    """What `function()` returns, which must be picklable. It runs with one thread; its changes to objects are lost.

    Raises Ended if its process ends without a result, which an exception also makes it do. Where processes cannot be
    forked safely, on another system than Linux, or after CUDA was used if the function `uses_gpu`, it runs in this one.
    """
    if sys.platform != "linux" or (uses_gpu and torch.cuda.is_initialized()):
        return function()
    sys.stdout.flush()  # else a fork that prints repeats what waits here
    answer = os.memfd_create("answer")  # no pipe: what the function may leave behind would hold it open
    parent, child = os.getpid(), os.fork()
    if not child:
        _run(function, answer, parent)
    with os.fdopen(answer, "rb") as answers:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.seek(0)
        found = answers.read()
    if code < 0:
        raise Ended(f"its process was killed by {signal.Signals(-code).name}")
    if code or not found:  # a network that ends its process may say that all went well
        raise Ended(f"its process ended with exit code {code}")
    return pickle.loads(found)  # noqa: S301  written by our own fork


def _run(function: Callable[[], Any], answer: int, parent: int) -> None:
    """The fork's part. It never returns."""
    faulthandler.disable()  # the reason is said in the result
    gc.freeze()  # garbage of the parent may wait for its threads, which a fork does not have
    torch.set_num_threads(1)  # nor does it have those that compute
    end_with(parent)
    with suppress(BaseException), os.fdopen(answer, "wb") as answers:
        pickle.dump(function(), answers)
        answers.flush()
        os._exit(0)
    os._exit(1)
