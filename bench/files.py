"""Files that appear whole or not at all, and what is left of those whose writer ended before.

What is being written has a name of its own beside the file: `.NAME.HOST-PROCESS-CHANCE.tmp`. No reader takes it, since
it ends in `.tmp`; `sweep` removes it once its writer is gone.
"""

import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

ASIDE = re.compile(r"\..*\.(?P<host>\w+)-(?P<process>\d+)-[0-9a-f]{8}\.tmp")
LONGEST = 120  # bytes of a file's name that are repeated in the name aside: names have at most 255
OLD_S = 24 * 3600.0  # after which the writer on another machine is taken for gone
FIRST_NAMESPACE = "pid:[4026531836]"  # the kernel's own, in which processes outside of containers are


@cache
def host() -> str:
    """This machine's name in letters, digits and underscores.

    Where a container numbers its processes itself, they are named too: equal numbers are then other processes.
    """
    name = re.sub(r"\W", "_", socket.gethostname(), flags=re.ASCII)[:40] or "host"
    with suppress(OSError):
        if (numbered := str(Path("/proc/self/ns/pid").readlink())) != FIRST_NAMESPACE:
            name += "_" + re.sub(r"\D", "", numbered)
    return name


def is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine that has not ended."""
    import psutil

    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path beside this one to write a file or a folder to, until it is renamed; what is left there is removed.

    Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.encode()[:LONGEST].decode(errors="ignore")
    beside = path.with_name(f".{name}.{host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        yield beside
    finally:
        _remove(beside)


def write_whole(path: Path, content: str | bytes | Callable[[Path], object]) -> Path:
    """Write a file so that a reader sees the old one or the new one, never a part; returns its path.

    It is written beside the path, flushed to the disk and renamed. `content` is a text, bytes, or a function that
    writes to the path it is given. Missing folders are made.
    """
    with aside(path) as beside:
        if isinstance(content, str):
            beside.write_text(content)
        elif isinstance(content, bytes):
            beside.write_bytes(content)
        else:
            content(beside)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    return path


def sweep(*folders: Path) -> list[Path]:
    """Remove what writers that are gone have left directly in these folders; returns what was removed.

    A writer on this machine is gone if its process is. One on another machine cannot be asked: it is taken for gone
    when what it wrote is older than a day.
    """
    left = [path for folder in folders for path in _asides(folder) if _is_left(path)]
    for path in left:
        _remove(path)
    return left


def _asides(folder: Path) -> list[Path]:
    with suppress(OSError):  # it is not there, or may not be read
        return [path for path in folder.iterdir() if ASIDE.fullmatch(path.name)]
    return []


def _is_left(path: Path) -> bool:
    named = ASIDE.fullmatch(path.name)
    assert named
    if named["host"] == host():
        return not is_running(int(named["process"]))
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > OLD_S
    return False


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
