"""Answers kept between processes in the user's cache folder, in a small database that may be lost at any time.

Where it cannot be read or written, nothing fails: what is asked for is found anew.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import sqlite3

CHECK = 16  # digits before each value
WAIT_S = 10.0  # for another process that writes
TABLE = "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
T = TypeVar("T")
_UNWRITTEN: dict[str, str] = {}  # what could not be written is known to this process alone


def database() -> Path:
    """The file of the database. Raises RuntimeError where the user has no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mdsa-bench" / "contents.sqlite"


def recall(keys: Iterable[str]) -> dict[str, str]:
    """The values that are kept, by key."""
    asked = list(keys)

    def read(db: "sqlite3.Connection") -> dict[str, str]:
        db.text_factory = lambda text: text.decode(errors="replace")
        rows = (db.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone() for key in asked)
        told = {key: str(row[0]) for key, row in zip(asked, rows, strict=True) if row}
        values = {key: (text[CHECK:], text) for key, text in told.items()}
        return {key: value for key, (value, text) in values.items() if text == _checked(key, value)}

    known = {key: _UNWRITTEN[key] for key in asked if key in _UNWRITTEN}
    return known | (_asked(read) or {})


def keep(values: Mapping[str, str]) -> None:
    """Keep values by key, all of them or none."""

    def write(db: "sqlite3.Connection") -> bool:
        rows = [(key, _checked(key, value)) for key, value in values.items()]
        db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", rows)
        return True

    if values and not _asked(write):
        _UNWRITTEN.update(values)


def _asked(question: Callable[["sqlite3.Connection"], T]) -> T | None:
    """The answer to a question, in one transaction; None where there is no database. A damaged one is replaced.

    Other processes may use it meanwhile. It has no write-ahead log, which does not hold on network file systems.
    """
    try:
        import sqlite3
    except ImportError:  # some builds of Python lack it
        return None
    for _ in range(2):
        try:
            place = database()
            place.parent.mkdir(parents=True, exist_ok=True)
            _clear_way(place)
            with closing(sqlite3.connect(place, timeout=WAIT_S)) as db, db:
                db.execute(TABLE)
                return question(db)
        except (OSError, RuntimeError, sqlite3.OperationalError):  # no such place, not to be written, locked
            return None
        except sqlite3.DatabaseError:
            for file in _files(place):
                with suppress(OSError):
                    file.unlink()
    return None


def _files(place: Path) -> list[Path]:
    """The database and what SQLite keeps beside it."""
    return [place.with_name(place.name + end) for end in ("", "-journal", "-wal", "-shm")]


def _clear_way(place: Path) -> None:
    """Remove what is no file from the places of the database's files: SQLite would wait for a pipe without end."""
    for path in _files(place):
        if os.path.lexists(path) and not path.is_file():
            path.unlink()


def _checked(key: str, value: str) -> str:
    """A value behind the digits by which damage to it shows; it is then found anew."""
    return hashlib.blake2b(f"{key} {value}".encode(), digest_size=CHECK // 2).hexdigest() + value
