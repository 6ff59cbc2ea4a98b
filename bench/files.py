"""Files that appear whole or not at all, and folders that one process at a time may write to."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError


def write_whole(path: Path, content: str | bytes | Callable[[Path], object]) -> Path:
    """Write aside, flush to the disk, then rename: a reader sees the old file or the new one, never half of it.

    `content` is the text, the bytes, or a function that writes them to the path it is given. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        if isinstance(content, str):
            aside.write_text(content)
        elif isinstance(content, bytes):
            aside.write_bytes(content)
        else:
            content(aside)
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; UserError where another one holds it. A process that dies lets go."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another run is working in {folder}; wait for it, or give another --out") from None
        yield
