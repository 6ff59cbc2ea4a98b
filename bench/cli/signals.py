"""The signals that end a process stop a command as Ctrl-C does, and what is typed to go on after that."""

import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typer import Exit

from bench.errors import Terminated

TYPED = "BENCH_TYPED"  # the variable in which the Makefile tells what was typed, such as "make run"


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let the signals that end a process do what Ctrl-C does; the exit code is then 128 and the signal's number.

    A training is saved first, for which Ctrl-C does not wait.

    A signal that is ignored, as with nohup, stays ignored. Of several the first counts: it is being seen to.
    """
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise Terminated

    is_main = threading.current_thread() is threading.main_thread()  # others cannot be told of signals
    ending = [one for one in (signal.SIGTERM, signal.SIGHUP) if is_main and signal.getsignal(one) == signal.SIG_DFL]
    for number in ending:
        signal.signal(number, hear)
    try:
        yield
    except BaseException:
        if heard:
            raise Exit(128 + heard[0]) from None
        raise
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)


def as_typed() -> str:
    """This command as it was typed: to type it again does the same, and so goes on with a run that was stopped.

    It may have been typed for `make`. A program that the shell found by its name alone is named so; another one has its
    path as it was given.
    """
    if typed := os.environ.get(TYPED):
        return typed
    name, *arguments = sys.argv
    program = [name]
    if Path(name).name == "__main__.py":  # python -m bench.cli: Python has put the path of the file in its place
        program = sys.orig_argv[: len(sys.orig_argv) - len(arguments)]
    elif name == shutil.which(Path(name).name):
        program = [Path(name).name]
    return shlex.join([*program, *arguments])
