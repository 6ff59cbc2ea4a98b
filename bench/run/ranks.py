"""The other processes of a training on several devices, which its first process starts, watches and takes along."""

import json
import os
import socket
import subprocess
import threading
import time
from types import TracebackType
from typing import Any, Self

from bench.errors import Diverged, UserError
from bench.run.worker import Order, Tell, death, start
from bench.training.devices import Process

GRACE_S = 3.0


class Ranks:
    """Starts them when entered, waits for their end when left, and lets none outlive this process.

    Where one fails, this process tells the reason as its own last event and ends: it would wait for ever for what the
    lost one was to send.
    """

    def __init__(self, order: Order, devices: int, tell: Tell) -> None:
        self.devices, self.tell = devices, tell
        self.threads = max(1, order.threads // devices)  # of each process, this one too
        self.process = Process(port=_free_port() if devices > 1 else 0)
        self.orders = [self._order(order, rank) for rank in range(1, devices)]
        self.children: list[subprocess.Popen[str]] = []
        self.watches: list[threading.Thread] = []
        self.over = False

    def __enter__(self) -> Self:
        for order in self.orders:
            child = start(order)
            watch = threading.Thread(target=self._watch, args=[order, child], daemon=True)
            watch.start()
            self.children.append(child)
            self.watches.append(watch)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            for watch in self.watches:
                watch.join()
        elif self.children and not issubclass(kind, UserError | Diverged):
            time.sleep(GRACE_S)  # if a lost process was the cause, its watch ends this one meanwhile, with the reason
        self.over = True
        for child in self.children:
            child.kill()

    def _order(self, order: Order, rank: int) -> Order:
        process = Process(rank=rank, port=self.process.port)
        return order.model_copy(update={"threads": self.threads, "process": process})

    def _watch(self, order: Order, child: "subprocess.Popen[str]") -> None:
        """Hear a process's last event, or of its death without one."""
        assert child.stdout
        try:
            end = next(event for line in child.stdout if "end" in (event := json.loads(line)))
        except (StopIteration, ValueError):  # it died, or a library wrote between its events
            child.kill()
            end = death(order, child.wait())
        if end["end"] != "ok" and not self.over:
            self.tell(self._named(end, order.process.rank))
            os._exit(1)

    def _named(self, end: dict[str, Any], rank: int) -> dict[str, Any]:
        """What all processes find at once needs no name; a crash may be of one alone."""
        if end["end"] not in ("crashed", "out_of_memory"):
            return end
        return {**end, "error": f"process {rank + 1} of {self.devices}: {end['error']}"}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
