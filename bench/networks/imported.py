"""A network's code as imported: a fresh process builds and runs it, and tells which files it imported and read.

What is imported while it runs counts, and so does a text file that it reads, such as a configuration. The answer is
kept in the user's cache folder until one of the files changes, so that a second question starts no process.
"""

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import content_of, sweep, temporary_folder, write_whole
from bench.networks.code import (
    BENCH,
    closure,
    digest_of,
    folders_above,
    importable,
    is_installed,
    is_networks_code,
    named,
)  # fmt: skip
from bench.networks.libraries import imported_by, packages_beside
from bench.processes import stop, supervised

FORMAT = 3  # of kept answers; raise it when another digest would be given for the same files
LIMIT_S = 180.0
SIDE = 224  # pixels of the images it is tried on
LARGEST_TEXT = 4 * 2**20  # bytes
LARGEST_ANSWER = 2**20  # bytes of the files' names
COMPILED = (".so", ".pyd")
LISTED = (".py", ".yaml", ".yml", ".json", ".toml", ".txt", ".ini", ".cfg")  # whose appearance may change the answer
CACHES = ("TORCH_HOME", "HF_HOME")
VIRTUAL = tuple(map(Path, ("/proc", "/sys", "/dev")))
SYSTEM = tuple(map(Path, ("/etc", "/usr", "/lib", "/opt", "/run")))
_ANSWERS: dict[Path, str] = {}  # those of this process, for where the cache folder cannot be written
START = (
    "import json, os, sys; os.dup2(os.open(os.devnull, os.O_RDONLY), 0); "
    "order = json.loads(sys.argv[1]); sys.path[:] = order['path']; "
    "from bench.networks.imported import report; report(order['name'], order['to'])"
)


@dataclass(frozen=True)
class Code:
    """The digest of a network's code, and the names of the distributions that it imports."""

    digest: str
    libraries: Sequence[str]


def code_of(name: str, file: Path) -> Code:
    """The code of the network `name`, which is defined in `file`.

    Of a network that cannot be built, or not in time, it is the files that its imports name.
    """
    return kept_code(name, file) or _found(name, file.resolve(), _place(name, file))


def kept_code(name: str, file: Path) -> Code | None:
    """The code of a network if it was asked for since its files were last changed; nothing is run to find out."""
    return _kept(_place(name, file))


def _place(name: str, file: Path) -> Path:
    """Where the answer of a network is kept."""
    facts = [FORMAT, name, str(file.resolve()), str(Path.cwd()), sys.path, sys.version, _installations()]
    return _cache() / f"{sha256(json.dumps(facts).encode()).hexdigest()[:32]}.json"


def _kept(place: Path) -> Code | None:
    """The answer that is kept, if the files are as they were; None also if it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        check, _, told = (_ANSWERS.get(place) or content_of(place).decode()).partition("\n")
        if check != _check(told):
            return None
        answer = json.loads(told)
        if all(_state(Path(path)) == state for path, state in answer["states"].items()):
            return Code(str(answer["digest"]), [str(one) for one in answer["libraries"]])
    return None


def _found(name: str, file: Path, kept: Path) -> Code:
    started, (top, parts) = time.time_ns(), importable(file)
    packages = packages_beside(top, parts[0]) if is_installed(file) else []
    on_path = [Path(path or ".").resolve() for path in sys.path]
    others = [path for path in on_path if path.parent != path and not is_installed(path)]
    told, roots = seen(name), [*folders_above(file), top, *others]
    files = own_files(file, told, packages, roots)
    states = {str(path): _state(path) for path in {*files, *(path.parent for path in files), *_missing(told)}}
    code = Code(digest_of(named(files, [top, *others])), imported_by(files, told))
    if all((state := states[str(path)]) and state[2] < started for path in files):  # else changed since it was imported
        text = json.dumps({**asdict(code), "states": states})
        _ANSWERS[kept] = f"{_check(text)}\n{text}"
        with suppress(OSError):  # it is kept for this process alone
            write_whole(kept, _ANSWERS[kept])
            sweep(kept.parent)
    return code


def _check(told: str) -> str:
    """The first line of a kept answer, by which damage to it shows; it is then found anew."""
    return sha256(told.encode()).hexdigest()[:16]


def own_files(file: Path, told: Iterable[Path], packages: Sequence[Path], roots: Sequence[Path]) -> set[Path]:
    """The files of a network's code: what it imported and read, and what its imports name but did not run here."""
    found = {file}
    for path in told:
        is_code = path.suffix in (".py", *COMPILED)
        if path.is_file() and (is_networks_code(path, packages) if is_code else _is_its_text(path, roots)):
            found.add(path)
    return found | closure(found, roots, lambda path: path == file or is_networks_code(path, packages))


def _is_its_text(path: Path, roots: Sequence[Path]) -> bool:
    """Whether a file that was read is a text of the network: none of Python, a library, the system or a cache."""
    ((name, _),) = named([path], roots)
    hidden = any(part.startswith(".") for part in name.split("/"))
    caches = [_cache().parent.parent, *(Path(os.environ[one]) for one in CACHES if one in os.environ)]
    if hidden or is_installed(path) or _lies_in(path, (*VIRTUAL, BENCH, *caches)) or path.stat().st_size > LARGEST_TEXT:
        return False
    if _lies_in(path, (*SYSTEM, Path(sys.prefix), Path(sys.base_prefix))) and not _lies_in(path, roots):
        return False
    content = content_of(path)
    return b"\0" not in content and content.decode(errors="ignore").encode() == content


def _lies_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _missing(told: Iterable[Path]) -> set[Path]:
    """Files that it looked for in vain: it may read them once they are there."""
    return {path for path in told if path.suffix in LISTED and not path.exists() and not is_installed(path)}


def _state(path: Path) -> Any:
    """What changes when a file is written or replaced, or when a file is added to a folder; None if it is missing."""
    try:
        if path.is_dir():
            return sorted(one.name for one in path.iterdir() if one.suffix in LISTED)
        facts = path.stat()
    except OSError:
        return None
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]


def _cache() -> Path:
    place = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")  # noqa: PTH111 - Path's raises
    return Path(os.devnull if place[0] == "~" else place) / "mdsa-bench" / "code"  # without a home nothing is kept


def _installations() -> list[int]:
    """What changes when a distribution is installed or removed."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return [Path(folder).stat().st_mtime_ns for folder in sorted(folders) if Path(folder).exists()]


def seen(name: str) -> list[Path]:
    """The files that a fresh process imports and reads to build and run a network; none if it does not tell in time.

    What it prints is dropped, and processes that it leaves behind are ended. It sees no GPU, so that machines with and
    without one agree.
    """
    with _temporary_folder() as folder:
        to = folder / "seen.json"
        order = json.dumps({"name": name, "to": str(to), "path": sys.path})
        path = os.pathsep.join([str(BENCH.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        hidden = {"CUDA_VISIBLE_DEVICES": "", "TORCHINDUCTOR_CACHE_DIR": str(folder), "TRITON_CACHE_DIR": str(folder)}
        child = supervised(
            [sys.executable, "-P", "-B", "-c", START, order], {**os.environ, **hidden, "PYTHONPATH": path},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with suppress(subprocess.TimeoutExpired):
                child.wait(LIMIT_S)
        finally:
            stop(child)
        try:
            return [Path(os.path.realpath(one)) for one in json.loads(content_of(to))]
        except (OSError, ValueError, TypeError, RecursionError):  # for want of room, or by the network's doing
            write_whole(folder / "room", bytes(LARGEST_ANSWER))
            return []


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        with temporary_folder() as folder:
            yield folder
    except OSError as error:
        raise _no_room(error.strerror) from None


def _no_room(why: str | None) -> UserError:
    return UserError(f"cannot write a temporary folder: {why}; set TMPDIR to a folder that has room")


def report(name: str, to: str) -> None:
    """Build and run a network in this process, write the files that were imported and read to `to`, and end.

    A file that the process itself wrote is left out. If the network fails, what it imported until then is written.
    """
    process, before, read, written = os.getpid(), set(sys.modules), set[str](), set[str]()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and len(arguments) == 3 and isinstance(arguments[0], str | bytes):
            opened = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - a path like any other
            (written if arguments[2] & (os.O_WRONLY | os.O_RDWR) else read).add(opened)

    sys.addaudithook(hear)
    try:
        _run(name)
    finally:
        if os.getpid() == process:  # not in a copy that the network made of it
            modules = [getattr(sys.modules[one], "__dict__", {}).get("__file__") for one in {*sys.modules} - before]
            files = {*map(_source, read), *(one for one in modules if isinstance(one, str))} - written
            with suppress(OSError):
                write_whole(Path(to), json.dumps(sorted(one for one in files if "\0" not in one)))
        os._exit(0)  # without waiting for threads


def _source(path: str) -> str:
    """The source of a compiled file that was read in its place."""
    try:
        return source_from_cache(path) if path.endswith(".pyc") else path
    except ValueError:
        return path


def _run(name: str) -> None:
    """One forward pass for inference, and one for training where the network takes one."""
    import torch

    from bench.networks.find import find_network

    torch.manual_seed(0)
    network = find_network(name).build(3, 1, SIDE)
    with torch.no_grad():
        network.eval()(torch.rand(1, 3, SIDE, SIDE))
        with suppress(Exception):
            network.train()(torch.rand(2, 3, SIDE, SIDE))
