"""Reads records for all commands: from folders, from files, or from a git commit.

A file that is not a complete record is skipped and listed in `problems`. Each command decides how to report these.
"""

import gc
import io
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bench.errors import UserError
from bench.read.code import is_of_present_code, is_sealed, moment
from bench.run.store import FORMAT, LEFT, NAMED, Record, read_record

FOLDER = "results"


@dataclass(frozen=True)
class Loaded:
    """Records, a line for each file that is not a complete record, and a line for each replaced duplicate."""

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


def record_folders(root: Path) -> list[Path]:
    """The folder and its direct subfolders, if they contain files named like records."""
    folders = [root, *_subfolders(root)] if root.is_dir() else []
    return [folder for folder in folders if _files(folder)]


def _subfolders(root: Path) -> list[Path]:
    """Those that may hold records: hidden ones do not."""
    with _listed(root) as found:
        names = [one.name for one in found if not one.name.startswith(".")]
    return sorted(folder for name in names if (folder := root / name).is_dir())


def _files(folder: Path) -> list[Path]:
    """The files of a folder that are named like records, in the order of their names.

    What a writer has aside and other hidden files are none.
    """
    with _listed(folder) as found:
        return sorted(folder / one.name for one in found if NAMED.fullmatch(one.name) and not one.name.startswith("."))


@contextmanager
def _listed(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as found:
            yield found
    except OSError as error:
        raise UserError(f"cannot read the folder '{folder}': {error.strerror}; make it readable, or move it") from None


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without Python's search for cycles: records have none, and it would look through all of them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def load(folders: list[Path], wanted: Callable[[str], bool] = lambda name: True) -> Loaded:
    """Load the records directly in the folders, in the order of their names. Damaged files are listed in `problems`.

    Files whose names are not `wanted` are left alone. If several folders have a record of the same job, a finished one
    is used rather than a failure, then the newest (`bench.read.code.moment`), then that of the last folder: they are
    one measurement made twice, not two seeds.
    """
    loaded = Loaded()
    with _no_collector():
        for folder in folders:
            if not folder.is_dir():
                raise UserError(f"no folder '{folder.resolve()}' to read records from; give one of `bench run --out`")
            for path in _files(folder):
                if wanted(path.name):
                    _add(loaded, path)
        return _together([loaded])


def _add(loaded: Loaded, path: Path) -> None:
    if not path.is_file():  # a pipe would be waited for
        return loaded.problems.append(f"{path}: is no file, or a link that leads to none; {LEFT}")
    try:
        return loaded.records.append(read_record(path))
    except UserError as error:
        return loaded.problems.append(str(error))


def _together(parts: Sequence[Loaded]) -> Loaded:
    """Merge the parts, without older duplicates."""
    every = [record for part in parts for record in part.records]
    anew = {id(record) for record in _measured_anew(every)}
    records = [record for record in every if id(record) not in anew]
    ids = [record.id for record in records]
    ordered = sorted(zip(ids, records, strict=True), key=lambda one: _trust(one[1]))
    kept = dict(ordered)
    replaced = [line for part in parts for line in part.replaced]
    ours = ((key, record, kept[key]) for key, record in zip(ids, records, strict=True))
    replaced += [f"{key}: measured again at {by.before.at}" for key, record, by in ours if _is_another(record, by)]
    replaced += [f"{r.id}: measured again, in the present format of records" for r in every if id(r) in anew]
    problems = [line for part in parts for line in part.problems]
    return Loaded([kept[key] for key in dict.fromkeys(ids)], problems, replaced)


def _trust(record: Record) -> tuple[bool, bool, float]:
    """What puts the record that is used last among several of one job."""
    return record.status == "ok", is_sealed(record), moment(record)


def _is_another(record: Record, by: Record) -> bool:
    """Whether they are two measurements: a file that is read twice is no duplicate."""
    return record is not by and record.before != by.before


def _measured_anew(records: Sequence[Record]) -> list[Record]:
    """The records of the first format of what has a finished record of the present one: same code, same conditions."""
    old = [record for record in records if record.schema_version != FORMAT]
    names = {record.job.network for record in old}
    new = (r for r in records if r.job.network in names and r.schema_version == FORMAT and r.status == "ok")
    done = {(r.job.network, r.job.spec) for r in new}
    return [r for r in old if (r.job.network, r.job.spec) in done and is_of_present_code(r)]


@dataclass(frozen=True)
class Commit:
    """A commit that changed records. `name` has 12 hexadecimal digits."""

    name: str
    at: datetime
    subject: str


def read(
    given: Sequence[Path | str], default: Path = Path(FOLDER), may_be_empty: bool = False,
    wanted: Callable[[str], bool] = lambda name: True,
) -> Loaded:  # fmt: skip
    """Read the records that a user names (folders, files, git revisions, `REV:folder`), or those of the default folder.

    Of a folder, the records directly in it and in its direct subfolders are read; of a revision, those below `results`
    unless a folder is given. Of folders, only files with `wanted` names are read. Raises
    UserError if a name does not exist, or if there is no record at all, unless
    `may_be_empty`.
    """
    if may_be_empty and not given and not default.exists():
        return Loaded()
    loaded = _together([_named(str(one), wanted) for one in given or [default]])
    if not (loaded.records or loaded.problems or may_be_empty):
        where = ", ".join(map(str, given or [default]))
        raise UserError(f"no records in {where}; make some with `bench run --all`, or name another folder")
    return loaded


def _named(given: str, wanted: Callable[[str], bool]) -> Loaded:
    path = Path(given)
    if path.is_file():
        return Loaded([read_record(path)])
    if path.is_dir() or path == Path(FOLDER):
        return load(record_folders(path) or [path], wanted)
    revision, _, folder = given.partition(":")
    try:
        _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except UserError:
        named = f"'{given}' is no folder, no file and no git revision here"
        raise UserError(f"{named}; give one of them, REV or REV:folder") from None
    return records_at(revision, folder or FOLDER)


def records_at(revision: str, folder: str, named: str = "") -> Loaded:
    """The records below a folder in a revision; with `named`, only files whose names begin with it."""
    listed = _git("ls-tree", "-r", "--name-only", revision, "--", folder).decode().splitlines()
    wanted = [name for name in listed if NAMED.fullmatch(Path(name).name) and Path(name).name.startswith(named)]
    beside = [name for name in listed if name.endswith(".scores.csv") and name[:-10] + "json" in wanted]
    if not wanted:
        return Loaded()
    import tarfile  # only for what a commit holds

    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        archive = io.BytesIO(_git("archive", "--format=tar", revision, "--", *wanted, *beside))
        with tarfile.open(fileobj=archive) as tar:
            tar.extractall(temporary, filter="data")
        found = load(sorted({(Path(temporary) / name).parent for name in wanted}))
    problems = [line.replace(f"{temporary}/", f"{revision}:") for line in found.problems]
    return Loaded(found.records, problems, found.replaced)


def commits(folder: str, named: str) -> list[Commit]:
    """The commits that changed records whose files' names begin with `named`, oldest first."""
    lines = _git("log", "--reverse", "--format=%h%x09%cI%x09%s", "--abbrev=12", "--", f":(glob){folder}/**/{named}*")
    parts = (line.split("\t", 2) for line in lines.decode().splitlines())
    return [Commit(name, datetime.fromisoformat(at), subject) for name, at, subject in parts]


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout
    except OSError as error:
        raise UserError(f"git cannot be started ({error}); it is needed to read earlier records: install it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"git {arguments[0]}: {said[-1] if said else 'failed'}; run this in a checkout") from None
