"""The signals that end a process stop a command as Ctrl-C does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from typer import Exit


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let the signals that end a process do what Ctrl-C does; the exit code is then 128 and the signal's number.

    A signal that is ignored, as with nohup, stays ignored. Of several the first counts: it is being seen to.
    """
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise KeyboardInterrupt

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
