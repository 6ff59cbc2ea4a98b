"""Counts what a program does to its files, and kills it at an exact point: just before the N-th of these deeds.

They are heard by an audit hook: opening for writing, renaming, linking, removing, making folders, starting processes.
"""

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

STARTS = {"subprocess.Popen", "os.fork", "os.posix_spawn"}
DEEDS = {
    "os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime", "os.chmod",
    "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.copytree", "sqlite3.connect",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Point:
    """The `number`-th deed of a process ("run", or "worker 1", the first that it started), and what is done there."""

    role: str
    number: int
    deed: str = ""


@dataclass(frozen=True)
class Watch:
    """Watches the processes of a program: writes each deed below `folder` to the file `log`, and kills at a point."""

    folder: str
    log: str = ""
    point: Point | None = None
    signal: int = signal.SIGKILL

    def at(self, point: Point, number: int = signal.SIGKILL) -> "Watch":
        """The same, that sends a signal at a point."""
        return replace(self, point=point, signal=number)

    def begin(self, role: str) -> None:
        """Watch this process, but none that it forks."""
        ours, count, busy = os.getpid(), 0, False
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666) if self.log else None

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count, busy
            if busy or not (event in DEEDS or event in STARTS or event == "open") or os.getpid() != ours:
                return
            if not self._is_deed(event, arguments):
                return
            busy, count = True, count + 1
            if log is not None:
                os.write(log, f"{role}\t{count}\t{event} {_named(arguments, self.folder)}\n".encode(errors="replace"))
            if self.point and (role, count) == (self.point.role, self.point.number):
                os.kill(ours, self.signal)
            busy = False

        sys.addaudithook(hear)

    def _is_deed(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event in STARTS:
            return True
        path = arguments[0]
        if event == "open":
            mode, flags = str(arguments[1] or ""), arguments[2]
            if not (isinstance(flags, int) and flags & WRITING) and not set(mode) & set("wax+"):
                return False
        if isinstance(path, int):
            return False
        text = os.fsdecode(path)
        return not text.startswith("/") or text.startswith(self.folder)

    def points(self) -> list[Point]:
        """All deeds that were written to the log."""
        with Path(self.log).open(errors="replace") as lines:
            parts = (line.rstrip("\n").split("\t", 2) for line in lines)
            return [Point(role, int(number), deed) for role, number, deed in parts]


def _named(arguments: tuple[Any, ...], folder: str) -> str:
    path = arguments[0] if arguments else ""
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
    return text.removeprefix(folder).replace("\n", " ").replace("\t", " ")
