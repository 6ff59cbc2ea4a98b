"""Files that appear whole or not at all, and folders that one process at a time may write to."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import UserError


def write_whole(path: Path, content: str | bytes | Callable[[Path], object]) -> Path:
    """Write a file so that a reader sees the old one or the new one, never a part; returns its path.

    It is written beside the path, flushed to the disk and renamed. `content` is a text, bytes, or a function that
    writes to the path it is given. Missing folders are made.
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
    """Hold a folder for this process; UserError where another one holds it. The lock ends with the process."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(folder / ".lock", timeout=0).acquire()
    except Timeout:
        raise UserError(f"another run is working in {folder}; wait for it, or give another --out") from None
    with held:
        yield
