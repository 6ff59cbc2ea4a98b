"""The same work for many things, on all cores, in forked processes: they have at once what this process has."""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import Any, TypeVar

from bench.processes import end_with

T = TypeVar("T")
R = TypeVar("R")

ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_WORK: list[Any] = []  # what forked processes have to do: a function, and what it is called with


def forked(work: Callable[[T], R], things: Sequence[T]) -> Iterator[R]:
    """The results of `work` for the first things, in order: of all, if nothing is in the way.

    Of none with one core, or where processes cannot be forked safely; of some if a process dies. The caller does the
    rest, if at all. What `work` raises is raised here. Results are pickled; `work` and the things need not be.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    workers = min(cores, len(things))
    if workers < 2:
        return
    _WORK[:] = work, things
    try:
        pool = ProcessPoolExecutor(workers, get_context("fork"), _begin, (os.getpid(),))
    except (OSError, NotImplementedError):  # no shared memory here, as in some containers
        return
    with pool, suppress(BrokenProcessPool):
        try:
            with _undisturbed():
                results = pool.map(_do, range(len(things)))
            yield from results
        except BaseException:  # after Ctrl-C the rest need not be done before this ends
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let what would end this process wait for a moment. Nothing would end a pool of which a part was started."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(parent: int) -> None:
    """In a forked process: end with the parent, and leave Ctrl-C, and what is to be collected, to it.

    Garbage of the parent may have threads, which a fork does not have, and wait for them for ever when it is removed.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the parent may have something to say when it hears these
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    end_with(parent)
    gc.freeze()


def _do(number: int) -> Any:
    work, things = _WORK
    return work(things[number])
