"""Files that appear whole or not at all, what writers that ended before left, and what a file system refuses.

What is being written has a name of its own beside the file: `.NAME.HOST-PROCESS-CHANCE.tmp`. No reader takes it, since
it is hidden and ends in `.tmp`; `sweep` removes it once its writer is gone. Nothing is written through a symbolic link.
"""

import errno
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from bench.errors import UserError, first_line, printable

ASIDE = re.compile(r"\..*\.(?P<host>\w+)-(?P<process>\d+)-[0-9a-f]{8}\.tmp", re.DOTALL)
# What nobody owns who could be asked: what releases a lock, and what earlier versions wrote aside.
UNOWNED = re.compile(
    r"\..+\.lock\.[0-9a-f]{16}\.going|\.\d+-(.+-[0-9a-f]{12}(\.json|\.scores\.csv|\.predictions\.npz)|card\.json"
    r"|training\.csv|weights\.safetensors|(best|last)\.ckpt|report\.\w+|tables\.tex|table\.(csv|parquet))",
    re.DOTALL,
)
LONGEST = 120  # bytes of a file's name that are repeated in the name aside: names have at most 255
LARGEST = 2**28  # bytes of a file that is read as a whole
OLD_S = 24 * 3600.0  # after which the writer on another machine is taken for gone
FIRST_NAMESPACE = "pid:[4026531836]"  # the kernel's own, in which processes outside of containers are
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # of a file system without them

ROOM, OTHER = "make room there, or give another folder", "give another"
ALLOWED = "get the right to use it, or give another"
# By number: what an error means, and what to do.
REASONS = {
    errno.ENOSPC: ("the disk is full", ROOM), errno.EDQUOT: ("the quota of this disk is used up", ROOM),
    errno.EFBIG: ("the file is larger than is allowed here", ROOM),
    errno.EROFS: ("it is on a disk that is read-only", "give another folder"),
    errno.EACCES: ("permission denied", ALLOWED), errno.EPERM: ("not permitted", ALLOWED),
    errno.ENOENT: ("no such file or folder", "see whether it was removed or unmounted, or give another"),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", OTHER),
    errno.EISDIR: ("it is a folder, not a file", "move it away, or give another"),
    errno.EEXIST: ("it is a file, not a folder", "move it away, or give another"),
    errno.ENAMETOOLONG: ("the name is longer than the disk allows", "give a shorter one"),
    errno.ELOOP: ("it is a symbolic link, which is not followed here", "remove it, or give another"),
    errno.EMFILE: ("this process has too many files open", "raise `ulimit -n`"),
    errno.ESTALE: ("the file server no longer knows it", "see whether it was removed or unmounted"),
    errno.EIO: ("the disk could not read or write it", "see whether the disk is sound"),
}  # fmt: skip


class Unusable(UserError):
    """A file or a folder that cannot be read or written: a wrong path, or a disk that is full."""


def unusable(error: OSError | UserError, place: Path | str = "") -> UserError:
    """The error for what a file system refused, in one line: the path, the reason and what to do.

    The path is `place` where the error names none. A UserError says it already, and stays.

    >>> print(unusable(OSError(errno.ENOSPC, "No space left on device", "results/a.json")))
    results/a.json: the disk is full; make room there, or give another folder
    """
    if isinstance(error, UserError):
        return error
    reason, advice = REASONS.get(error.errno or 0, (error.strerror or first_line(error), OTHER))
    named = error.filename if isinstance(error.filename, str | bytes | Path) else place
    where = f"{printable(os.fsdecode(named))}: " if named else ""
    return Unusable(f"{where}{printable(reason)}; {advice}")


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
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # there is none, or no process has such a number
        return False
    except (psutil.Error, OSError):
        return True


def content_of(path: Path, most: int = LARGEST) -> bytes:
    """The whole content of a file.

    Raises OSError for what cannot be read, and ValueError for what is none (a folder, a pipe, a device) or has more
    than `most` bytes. No more is read than the file says it has: some of the system, as /proc/kmsg, have no end.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a file" if not stat.S_ISDIR(found.st_mode) else "it is a folder")
    if found.st_size > most:
        raise ValueError(f"it has {found.st_size / 2**20:,.0f} MiB, and at most {most / 2**20:,.0f} are read")
    with path.open("rb") as file:
        return file.read(found.st_size)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there; it may be removed meanwhile, as that of locks is."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            if os.path.lexists(folder) and not folder.is_dir():
                raise
        else:
            return


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path beside this one to write a file or a folder to, until it is renamed; what is left there is removed.

    Missing folders are made. What a full or a read-only disk refuses is an OSError that names `path`, whatever the
    library that wrote makes of it.
    """
    name = os.fsencode(path.name)[:LONGEST].decode(errors="ignore")
    beside = path.with_name(f".{name}.{host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        make_folder(path.parent)
        yield beside
    except UserError:
        raise
    except Exception as error:
        if refused := _refused(error, beside):
            raise OSError(refused.errno, refused.strerror, str(path)) from error
        raise
    finally:
        _remove(beside)


def _refused(error: Exception, beside: Path) -> OSError | None:
    """What the file system refused of the file aside. It is asked where a library has errors of its own."""
    if isinstance(error, OSError) and error.errno:
        named = None if error.filename is None else os.fsdecode(error.filename)
        return error if named is None or named.startswith(str(beside)) else None
    asked = beside.with_name(f"{beside.name[:-12]}{secrets.token_hex(4)}.tmp")
    try:
        asked.write_bytes(bytes(4096))
    except OSError as found:
        return found
    finally:
        _remove(asked)
    return None


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files, in the place of `tempfile`'s: what a killed process left there is removed first."""
    place = Path(tempfile.gettempdir())
    sweep(place)
    with aside(place / "bench") as folder:
        folder.mkdir(mode=0o700)
        yield folder


def write_whole(path: Path, content: str | bytes | Callable[[Path], object]) -> Path:
    r"""Write a file so that a reader sees the old one or the new one, never a part; returns its path.

    It is written beside the path, flushed to the disk and renamed. `content` is a text, bytes, or a function that
    writes to the path it is given. A text is written as UTF-8, what is none in it as `\udce9`. Missing folders are
    made. Raises OSError that names the path where the file system refuses it, or where it is a device: to one who may
    do all, `/dev/null` could be replaced, for every program.
    """
    if is_device(path):
        raise OSError(errno.ENODEV, "it is a device, and only files are written", str(path))
    with aside(path) as beside:
        write_through(beside, content)
        beside.replace(path)
    return path


def is_device(path: Path) -> bool:
    """Whether a path is a device, such as a disk or `/dev/null`."""
    with suppress(OSError):
        return stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFCHR, stat.S_IFBLK)
    return False


def write_through(beside: Path, content: str | bytes | Callable[[Path], object]) -> None:
    """Write a file as `write_whole` does, in its place, and flush it to the disk."""
    if callable(content):
        content(beside)
    else:
        beside.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
    with beside.open("rb") as written:
        os.fsync(written.fileno())


def link(beside: Path, path: Path) -> bool | None:
    """Give what was written beside a path its name, in one step, unless something has the name.

    Whether it has it now; None where the file system has no links, and nothing was done.
    """
    try:
        os.link(beside, path)
    except FileExistsError:
        with suppress(OSError):
            return os.path.samestat(beside.lstat(), path.lstat())  # NFS may say so when its first answer was lost
        return False
    except OSError as error:
        if error.errno in NO_LINKS:
            return None
        raise
    return True


def writable(folder: Path, written: Sequence[str] = ("doctor", "replaced")) -> None:
    """Refuse a folder that could not be written to, before any work is done; create nothing yet.

    What writers that are gone have left in it is removed. None of those that are `written` in it may be a link.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        what = "a link to what is not there" if folder.is_symlink() and not folder.exists() else "a file, not a folder"
        raise UserError(f"'{folder}' is {what}; give another one")
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise UserError(f"cannot write to '{nearest.absolute()}'; give another folder, or the right to write there")
    make_ready(folder, written)


def make_ready(folder: Path, written: Sequence[str]) -> None:
    """Make a folder ready to write to, and what these patterns match in it: what is left there of others is removed.

    Raises UserError where one of those inside is a link, since what is written there would lie outside. The folder
    itself may be one.
    """
    inside = [path for pattern in written for path in folder.glob(pattern)]
    for path in (path for path in inside if path.is_symlink()):
        to = f"it is a symbolic link to {printable(str(path.readlink()))}, which is not followed"
        raise UserError(
            f"{path}: {to}; remove it. To use another disk, let {folder} as a whole be a link, or lie there"
        )
    sweep(folder, *inside)


def sweep(*folders: Path) -> list[Path]:
    """Remove what writers that are gone have left directly in these folders; returns what was removed.

    A writer on this machine is gone if its process is. One on another machine cannot be asked: it is taken for gone
    when what it wrote is older than a day, by the clock of the file system.
    """
    left = [path for folder in folders for path in _left(folder)]
    for path in left:
        _remove(path)
    return left


def _left(folder: Path) -> list[Path]:
    try:
        names = {path: ASIDE.fullmatch(path.name) for path in folder.iterdir()}
    except OSError:  # it is not there, or may not be read
        return []
    ours = {path: int(name["process"]) for path, name in names.items() if name and name["host"] == host()}
    others = [path for path, name in names.items() if path not in ours and (name or UNOWNED.fullmatch(path.name))]
    now = _now(folder) if others else 0.0
    left = [path for path, process in ours.items() if not is_running(process)]
    return left + [path for path in others if now - _touched(path, now) > OLD_S]


def _now(folder: Path) -> float:
    """The time by the clock of the file system, or by our own where nothing can be written."""
    with suppress(OSError), aside(folder / "clock") as made:
        made.touch()
        return made.stat().st_mtime
    return time.time()


def _touched(path: Path, otherwise: float) -> float:
    """When a file, or anything directly in a folder, was written last."""
    with suppress(OSError):
        return max(one.lstat().st_mtime for one in (path, *path.glob("*")))
    return otherwise


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
