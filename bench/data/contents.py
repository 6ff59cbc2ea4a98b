"""The digest of what a reader gives: the decoded pixels of each sample, not the names or sizes of its files.

So a mask that is mended in place, and a reader that decodes otherwise, are other data; a copy in another folder is the
same. The digest of a sample is kept in a small database in the user's cache folder. There it goes by all that decides
on the pixels: the state of the files (path, size, times, inode), the function that reads them with its arguments, the
code of that function's module and of what it imports from here, and the versions of the libraries that decode.
"""

import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.networks.code import BENCH, closure, digest_of, named

if TYPE_CHECKING:  # a sample knows its digest, so the two modules would import each other
    from bench.data.sample import Sample

DECODERS = ("numpy", "pillow", "nibabel", "h5py")
WITHOUT_PIXELS = ("__init__.py", "contents.py", "files.py", "sample.py")  # no edit of these changes a sample
DRAWN = "drawn "  # before the keys of samples without files
PLAIN = (str, int, float, bool, type(None))
WAIT_S = 20.0  # for another process that writes into the database
CHUNK = 500  # keys asked for at once; SQLite takes no more than 999 in older versions
_KEPT: dict[str, str] = {}  # what this process has found, also where the cache folder cannot be written


def sample_digests(samples: Sequence["Sample"], done: Callable[[int], None] = lambda count: None) -> list[str]:
    """16 hexadecimal digits of the decoded image and mask of each sample, in their order.

    `done` is called with how many samples are known. Raises UserError naming the file if one cannot be decoded.
    """
    keys = [_key(sample) for sample in samples]
    known = {key: key[-16:] for key in keys if key and key.startswith(DRAWN)}
    known |= _known([key for key in keys if key and key not in known])
    with ThreadPoolExecutor() as pool:  # decoding releases Python's lock
        waiting = {
            place: pool.submit(_decoded, samples[place])
            for place, key in enumerate(keys) if not key or key not in known
        }  # fmt: skip
        done(len(samples) - len(waiting))
        found: dict[int, str] = {}
        try:
            for count, (place, future) in enumerate(waiting.items(), start=1):
                found[place] = future.result()
                done(len(samples) - len(waiting) + count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    # A file that was written while it was read has another key now, and is read again the next time.
    _keep({key: found[place] for place in found if (key := keys[place]) and _key(samples[place]) == key})
    return [found[place] if place in found else known[str(key)] for place, key in enumerate(keys)]


def _decoded(sample: "Sample") -> str:
    digest = hashlib.sha256()
    for array in (sample.image(), sample.mask()):
        digest.update(f"{array.shape} {array.dtype.str} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


# ---- the key of a sample ---------------------------------------------------------------------------------------------


def _key(sample: "Sample") -> str:
    """All that decides on the pixels of a sample, as a hash; empty if its functions do not tell how they read.

    What is drawn without files follows from its code and arguments, so its key is as good as its pixels.
    """
    calls, files = [], set(sample.files)
    for function in (sample.image, sample.mask):
        described = _described(function, files)
        if described is None:
            return ""
        calls.append(described)
    if not files:
        return DRAWN + hashlib.sha256(json.dumps(calls).encode()).hexdigest()[:16]
    states = [(str(path.absolute()), _state(path)) for path in sorted(files)]
    return hashlib.sha256(json.dumps([calls, states, _versions()]).encode()).hexdigest()[:32]


def _described(part: Any, files: set[Path]) -> Any:
    """A function with its arguments as JSON, its code as a digest; paths in it are added to `files`.

    None for what has a state that cannot be told, such as a closure or an array.
    """
    if isinstance(part, Path):
        files.add(part)
        return ["path", str(part.absolute())]
    if isinstance(part, PLAIN):
        return part
    if isinstance(part, partial):
        inner = [part.func, list(part.args), dict(part.keywords)]
        return _described(inner, files)
    if isinstance(part, Mapping):
        part = [list(part), list(part.values())]
    if isinstance(part, list | tuple):
        parts = [_described(one, files) for one in part]
        missing = any(found is None and one is not None for found, one in zip(parts, part, strict=True))
        return None if missing else parts
    name, module = getattr(part, "__qualname__", "<"), getattr(part, "__module__", None)
    is_function = callable(part) and "<" not in name and module and not getattr(part, "__closure__", None)
    return [module, name, _code(module)] if is_function and not hasattr(part, "__self__") else None


@cache
def _code(module: str) -> str:
    """The digest of a module's code, and of what it imports from the readers here that touches pixels."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not file.endswith(".py"):
        return ""  # its library's version tells
    path, readers = Path(file).resolve(), BENCH / "data"
    files = closure(
        [path], [BENCH.parent],
        lambda one: one == path or (one.is_relative_to(readers) and one.name not in WITHOUT_PIXELS),
    )  # fmt: skip
    return digest_of(named(files, [BENCH.parent]))


@cache
def _versions() -> list[str]:
    return [f"{name} {_version(name)}" for name in DECODERS]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _state(path: Path) -> list[int] | None:
    """What changes when a file is written or replaced, even by one of the same size and time; None if it is missing."""
    try:
        facts = path.stat()
    except OSError:
        return None  # reading it says what is wrong
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]


# ---- the database ----------------------------------------------------------------------------------------------------


def database() -> Path:
    """The file in which digests are kept, below $XDG_CACHE_HOME or ~/.cache. It may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mdsa-bench" / "contents.sqlite"


def _known(keys: Sequence[str]) -> dict[str, str]:
    """The digests of those keys that this process or an earlier one has found."""
    found = {key: _KEPT[key] for key in keys if key in _KEPT}
    asked = [key for key in keys if key not in found]
    with suppress(sqlite3.Error, OSError):
        if asked and database().exists():
            with closing(sqlite3.connect(database(), timeout=WAIT_S)) as kept:
                for some in _chunks(asked):
                    marks = ",".join("?" * len(some))
                    found |= dict(kept.execute(f"SELECT key, digest FROM samples WHERE key IN ({marks})", some))  # noqa: S608 - question marks alone
    return found


def _keep(found: Mapping[str, str]) -> None:
    """Keep digests for later processes. Where the folder cannot be written, this process alone keeps them."""
    _KEPT.update(found)
    for _ in range(2 if found else 0):
        try:
            database().parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(database(), timeout=WAIT_S)) as kept, kept:
                kept.execute("CREATE TABLE IF NOT EXISTS samples (key TEXT PRIMARY KEY, digest TEXT NOT NULL)")
                kept.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?)", found.items())
        except sqlite3.OperationalError:  # read-only, full or locked
            return
        except sqlite3.DatabaseError:  # damaged: what is in it can be found again
            with suppress(OSError):
                database().unlink()
        except OSError:
            return
        else:
            return


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]
