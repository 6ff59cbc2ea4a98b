"""The log of a job: what its worker and the libraries print. Of a very long one the end is kept."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from bench.errors import clean
from bench.networks.explain import line_at

MOST = 16 * 2**20  # bytes of a log
KEPT = 2**20  # bytes of its end that are kept when it is longer
TAIL = 64 * 1024  # bytes in which its last line is looked for
# What Python's faulthandler writes: the error, then each thread's frames, the innermost first.
FATAL, CURRENT = (
    re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE),
    re.compile(r"^Current thread .*$", re.MULTILINE),
)
FRAME = re.compile(r'^  File "(.+)", line (\d+)', re.MULTILINE)


def new_log(path: Path) -> BinaryIO:
    """A new, empty file at this path, open to add to; missing folders are made. What was there is removed.

    So a link that somebody put there is not followed. Raises OSError if there can be no such file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666), "r+b")


def shorten(log: BinaryIO) -> None:
    """Leave of a log that is too long its end; others may write to it meanwhile."""
    number = log.fileno()
    with suppress(OSError):  # it is a log, for which no measurement ends
        size, read = os.fstat(number).st_size, 0
        while size > MOST and read != size:  # what was written while it was read may be the last words
            end, read = os.pread(number, KEPT, size - KEPT), size
            size = os.fstat(number).st_size
        if read:
            os.ftruncate(number, 0)
            os.write(number, b"(%d bytes before this are left out)\n%b" % (size - KEPT, end))


def last_words(path: Path, is_killed: bool = False) -> str:
    """The last line of a log that says something, cleaned; empty if there is none or it cannot be read.

    Of a process that was killed, this is what Python wrote as it died, with the line of a stranger's file that ran.
    """
    text = _end_of(path)
    if is_killed and (fatal := [*FATAL.finditer(text)]):
        frames = FRAME.findall(CURRENT.split(text[fatal[-1].end() :])[-1])
        place = next(filter(None, (line_at(file, int(line)) for file, line in frames)), "")
        return clean(f"{fatal[-1][1]}{f' ({place})' if place else ''}")
    return next(filter(None, map(clean, reversed(text.splitlines()))), "")


def _end_of(path: Path) -> str:
    with suppress(OSError), os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
        return log.read(TAIL).decode(errors="replace")
    return ""
