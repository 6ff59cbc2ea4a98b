"""The GPUs of this machine: which are used, and trainings that run at once, each on its own."""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from bench.errors import Terminated, UserError
from bench.machine import NUMBERS, cuda_devices
from bench.processes import grace_s
from bench.quantities import Device

PATIENCE_S = 10.0  # for trainings to end that were told to, beside the time that they have to save
Look = Callable[[], None]


class Stopped(Exception):
    """A training was stopped, because the run ends."""


def choose(numbers: Sequence[int]) -> None:
    """Let this process and all that it starts see these GPUs alone, of those that it sees, the first of which is timed.

    Call it before anything asks for the machine's facts. Raises UserError for a GPU that there is not.
    """
    from bench.machine.system import visible

    names, found = _visible(len(visible())), len(visible())
    if wrong := [number for number in numbers if number >= found]:
        known = f"it has GPUs 0 to {found - 1}" if found else "it has none"
        raise UserError(f"--gpus {wrong[0]}: there is no such GPU on this machine; {known}")
    os.environ[NUMBERS] = ",".join(names[number] for number in numbers)


def shares(device: Device, devices: int) -> list[str]:
    """The GPUs of each of the trainings that may run at once, `devices` each, as values of CUDA_VISIBLE_DEVICES.

    Empty on a CPU, which a training has as a whole, and where there are GPUs for one alone.
    """
    if device == "cpu":
        return []
    names = _visible(cuda_devices())
    groups = [names[first : first + devices] for first in range(0, len(names) - devices + 1, devices)]
    return [",".join(group) for group in groups] if len(groups) > 1 else []


def _visible(count: int) -> list[str]:
    """How CUDA_VISIBLE_DEVICES names the GPUs that are visible here."""
    names = os.environ.get(NUMBERS)
    return [str(number) for number in range(count)] if names is None else names.replace(" ", "").split(",")[:count]


class AtOnce:
    """Pieces of work that run at once, as many as there are shares of GPUs. Each is called with its share.

    A piece also gets a function to call now and then. It raises Terminated when the run ends by a signal that leaves
    time to save, and Stopped when it ends otherwise.
    """

    def __init__(self, shares: Sequence[str], work: Sequence[Callable[[str, Look], None]]) -> None:
        self.shares, self.left = shares, deque(work)
        self.over, self.is_gentle = threading.Event(), False
        self.ends: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Do all of it. What one piece raises ends the others, and is raised."""
        threads = [threading.Thread(target=self._serve, args=[gpus], daemon=True) for gpus in self.shares]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                if error := self.ends.get():
                    raise error
        except Terminated:
            self.is_gentle = True
            raise
        finally:
            self.over.set()
            for thread in threads:
                thread.join(PATIENCE_S + self.is_gentle * grace_s())

    def _serve(self, gpus: str) -> None:
        try:
            while not self.over.is_set() and (piece := self._next()):
                piece(gpus, self._look)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self.ends.put(error)
        else:
            self.ends.put(None)

    def _next(self) -> Callable[[str, Look], None] | None:
        with suppress(IndexError):
            return self.left.popleft()
        return None

    def _look(self) -> None:
        if self.over.is_set():
            raise Terminated if self.is_gentle else Stopped
