"""Locks: of a piece of work in a folder that machines share, and of this machine while a time is measured.

A lock of work is a file that says who holds it. It works where file systems are shared (NFS), since it needs nothing
but creating a file that must not exist. Its holder touches it every 15 seconds. It is stale, and may be taken over,
when it was not touched for two minutes, or as soon as its holder's process is gone, if that was on this machine.
"""

import errno
import glob
import json
import math
import os
import re
import secrets
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import aside, host, is_running, link

BEAT_S = 15.0
STALE_S = 120.0
POLL_S = 0.3  # between two looks at a lock that is waited for
SINGLE_S = 10.0  # for which `alone_in` waits: a process that was left alone ends sooner
FACTS = {"host": str, "process": int, "token": str}  # of a lock of work; one with others says nothing
TRIES, PASSING_S = 5, 0.02  # before it is told that the machine is waited for
BESIDE = "other runs may compute beside a time"
FOLDER = "BENCH_LOCKS"  # the variable that names the folder of the machine's locks
Tell = Callable[[str], object]


class Lost(Exception):
    """A lock of work was taken over by another run, or removed, while this one worked."""


@dataclass
class Lock:
    """A lock of work that this process holds. `lost` is set soon after it does not hold it anymore.

    `made` are the folders that were made for it, the innermost first. `others` are held, lost and released with it.
    """

    path: Path
    token: str
    made: tuple[Path, ...] = ()
    lost: bool = False
    others: tuple["Lock", ...] = ()
    over: threading.Event = field(default_factory=threading.Event)

    def is_ours(self) -> bool:
        """Whether this process still holds it: the file is there and is the one that it made."""
        return is_held(self.path, self.token)

    def beat(self) -> None:
        """Touch the lock where it is still ours. A lock that is another's is never touched."""
        try:
            with _opened_file(self.path) as number:
                is_ours = _facts(number).get("token") == self.token
                if is_ours:
                    os.utime(number)  # by its number: what is at the path may be another's by now
                self.lost = not is_ours or any(other.lost for other in self.others)
        except FileNotFoundError:
            self.lost = True
        except OSError:
            return  # a shared file system is away for a moment; the next beat tells

    def keep(self) -> None:
        """Touch the lock now and then until it is released or lost."""
        while not self.over.wait(BEAT_S) and not self.lost:
            self.beat()

    def release(self) -> None:
        """Let go. A lock that was lost is left to whom it belongs."""
        self.over.set()
        for other in self.others:
            other.release()
        try:
            _take_away(self.path, self.token, lambda: True)
        except OSError:  # a full disk has no room for the file that keeps others from doing so
            with suppress(OSError):
                if self.is_ours():
                    self.path.unlink()
        for folder in (self.path.parent, *self.made):
            with suppress(OSError):
                folder.rmdir()  # if nothing else is in it


def take(path: Path, work: str = "") -> Lock | None:
    """Take the lock of some work; None if another run holds it. `work` is told to who looks into the file.

    A stale lock is taken over: of several that try, one succeeds.
    """
    token, new = secrets.token_hex(8), tuple(folder for folder in path.parents if not folder.exists())
    facts = {"host": host(), "process": os.getpid(), "since": _now(), "work": work, "token": token}
    for _ in range(3):  # once more after a stale lock was removed, or its folder with the last lock in it
        try:
            with aside(path) as made:
                made.write_text(json.dumps(facts) + "\n")
                now = made.stat().st_mtime  # by the clock of the file system, which every machine sees
                if _create(made, path, token):
                    lock = Lock(path, token, new)
                    threading.Thread(target=lock.keep, name=f"beat of {path.name}", daemon=True).start()
                    _forget(path.parent, path.name)
                    return lock
                found = _look(path)
                if found is None:
                    continue
                if not _is_stale(*found, now) or not _take_away(path, found[0].get("token"), lambda: _stale_at(path)):
                    return None
        except FileNotFoundError:
            continue
    return None


def take_all(paths: Sequence[Path], work: str = "") -> Lock | None:
    """Take the locks of all that some work needs, of which one stands for all; None if another run holds one."""
    taken: list[Lock] = []
    for path in paths:
        if lock := take(path, work):
            taken.append(lock)
            continue
        for one in taken:
            one.release()
        return None
    taken[0].others = tuple(taken[1:])
    return taken[0]


def clear(folder: Path) -> None:
    """Remove the locks of work directly in a folder whose holders are gone, and what those left who removed a lock.

    What cannot be removed stays.
    """
    _forget(folder)  # first, since a lock stays while such a file is there
    for path in folder.glob("*.lock"):
        with suppress(OSError):
            if (found := _look(path)) and _stale_at(path):
                _take_away(path, found[0].get("token"), partial(_stale_at, path))
    with suppress(OSError):
        folder.rmdir()  # if nothing else is in it


def _forget(folder: Path, name: str = "") -> None:
    """Remove the files that say who removes a lock, all in a folder or those of a name, if they say it of the dead."""
    for going in folder.glob(f".{glob.escape(name) or '*'}.*.going"):
        with suppress(OSError):
            if _stale_at(going):
                going.unlink(missing_ok=True)


@contextmanager
def held(path: Path, work: str = "", waiting: Callable[[], object] = lambda: None) -> Iterator[Lock]:
    """Hold the lock of some work, after whoever holds it now; `waiting` is called once if it has to wait."""
    lock = take(path, work)
    if lock is None:
        waiting()
    while lock is None:
        time.sleep(POLL_S)
        lock = take(path, work)
    try:
        yield lock
    finally:
        lock.release()


def holder(path: Path) -> str:
    """Who holds a lock, in words: "process 123 on node7"; empty if nobody does or nothing can be read."""
    found, _ = _look(path) or ({}, 0)
    return f"process {found['process']} on {found['host']}" if {"process", "host"} <= found.keys() else ""


def working(path: Path) -> str:
    """Who holds a lock and is alive, in words, as `holder`; empty where nobody does. Nothing is written."""
    found = _look(path)
    return holder(path) if found and not _is_stale(*found, time.time()) else ""


def is_held(path: Path, token: str) -> bool:
    """Whether the lock is the one with this token."""
    found = _look(path)
    return found is not None and found[0].get("token") == token


def _create(made: Path, path: Path, token: str) -> bool:
    """Create the lock from the file that was made, if there is none."""
    linked = link(made, path)
    if linked is None:  # a file system without links
        try:
            with path.open("x") as opened:
                opened.write(made.read_text())
        except FileExistsError:
            return is_held(path, token)
    return linked is not False


def _look(path: Path) -> tuple[dict[str, Any], float] | None:
    """What a lock says, and when it was touched; None if there is none.

    What is half written says nothing. What is no file (a link, which is not followed, a pipe, a folder) says nothing
    either, and nobody holds it: it was never touched.
    """
    try:
        with _opened_file(path) as number:  # opened anew, NFS asks the server
            found = os.fstat(number)
            return _facts(number), found.st_mtime if stat.S_ISREG(found.st_mode) else -math.inf
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise
        return {}, -math.inf


@contextmanager
def _opened_file(path: Path) -> Iterator[int]:
    """A file open to read; what is at a link's end is not opened, and nothing is waited for."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield number
    finally:
        os.close(number)


def _facts(number: int) -> dict[str, Any]:
    """The facts of a lock in an open file; empty if it is none of ours."""
    if not stat.S_ISREG(os.fstat(number).st_mode):
        return {}
    with suppress(ValueError, RecursionError):
        found = json.loads(os.read(number, 2**16))
        if isinstance(found, dict) and all(isinstance(found.get(name, kind()), kind) for name, kind in FACTS.items()):
            return found
    return {}


def _is_stale(facts: dict[str, Any], touched: float, now: float) -> bool:
    is_here = facts.get("host") == host() and "process" in facts
    return now - touched > STALE_S or (is_here and not is_running(facts["process"]))


def _stale_at(path: Path) -> bool:
    """Whether the lock is stale by the clock of its file system."""
    with aside(path) as made:
        made.touch()
        found = _look(path)
        return found is not None and _is_stale(*found, made.stat().st_mtime)


def _take_away(path: Path, token: str | None, may: Callable[[], bool]) -> bool:
    """Remove the lock that has this token, if it still `may` be removed; whether it was.

    Who removes it creates a file named by the token first, which one can do alone. So nobody removes the lock that
    another one made in the place of the one that both found.
    """
    named = token if re.fullmatch("[0-9a-f]{16}", token or "") else "0" * 16
    going = path.with_name(f".{path.name}.{named}.going")
    if not _announce(going):
        return False
    try:
        found = _look(path)
        if found is None or found[0].get("token") != token or not may():
            return False
        path.unlink()
        return True
    finally:
        going.unlink(missing_ok=True)


def _announce(going: Path) -> bool:
    """Create the file that says who removes a lock; False if another process has. One that died is forgotten."""
    token = secrets.token_hex(8)
    with aside(going) as made:
        made.write_text(json.dumps({"host": host(), "process": os.getpid(), "token": token}) + "\n")
        if _create(made, going, token):
            return True
    with suppress(OSError):
        if _stale_at(going):
            going.unlink(missing_ok=True)
    return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# ---- of this machine -------------------------------------------------------------------------------------------------


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; UserError where another one holds it. The lock ends with the process.

    It waits a moment for a process that was left alone and is about to end.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    if (folder / ".lock").is_symlink():  # what it names would be emptied
        (folder / ".lock").unlink()
    try:
        taken = FileLock(folder / ".lock", timeout=SINGLE_S).acquire()
    except Timeout:
        raise UserError(f"another run is working in {folder}; wait for it, or give another --out") from None
    with taken:
        yield


@contextmanager
def machine_lock(exclusive: bool, tell: Tell = lambda text: None) -> Iterator[None]:
    """Hold this machine: alone to measure a time, or together with others that compute.

    `tell` is told in words if it has to wait, and once if there is no way to lock. Who waits to be alone is not
    overtaken: everybody passes a gate first, which it holds while it waits.
    """
    with _opened("gate", tell) as gate, _opened("machine", tell) as machine:
        why = "waiting until no other run computes on this machine" if exclusive else ""
        why = why or "waiting until another run has measured its time"
        said = _flock(gate, True, tell, why)
        _flock(machine, exclusive, (lambda text: None) if said else tell, why)
        _unlock(gate)
        try:
            yield
        finally:
            _unlock(machine)


_UNLOCKED: set[str] = set()  # folders of which was said that nothing can be locked there


@contextmanager
def _opened(name: str, tell: Tell) -> Iterator[int | None]:
    """A file of the machine's locks, open; None where it cannot be opened, which is said once."""
    folder, number = os.environ.get(FOLDER, ""), None
    try:
        folder = folder or tempfile.gettempdir()
        number = _open(Path(folder, f"mdsa-bench-{name}.lock"))
    except OSError as error:
        if folder not in _UNLOCKED:
            _UNLOCKED.add(folder)
            tell(f"the locks in {folder or 'TMPDIR'} cannot be opened ({error.strerror}), so {BESIDE}")
    try:
        yield number
    finally:
        if number is not None:
            os.close(number)


def _open(path: Path) -> int:
    """Open a file that every user of the machine may lock; create it if it is missing."""
    for flags in (os.O_RDWR, os.O_RDONLY):
        with suppress(FileNotFoundError, PermissionError):
            return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe of another user is not waited for
    # Only here with O_CREAT: Linux refuses it for a file of another user in a folder such as /tmp.
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    with suppress(PermissionError):
        os.fchmod(number, 0o666)  # whatever the umask is
    return number


def _flock(number: int | None, exclusive: bool, tell: Tell, why: str) -> bool:
    """Lock an open file, and tell why if that has to wait; whether it had to."""
    import fcntl

    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    if number is None:
        return False
    try:
        for _ in range(TRIES):  # others pass the gate in no time, and that is no wait to tell of
            with suppress(BlockingIOError):
                fcntl.flock(number, kind | fcntl.LOCK_NB)
                return False
            time.sleep(PASSING_S)
        tell(why)
        fcntl.flock(number, kind)
    except OSError:  # a file system without locks
        return False
    return True


def _unlock(number: int | None) -> None:
    import fcntl

    if number is not None:
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_UN)
