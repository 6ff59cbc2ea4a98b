"""Reads records for all commands: from folders, from files, or from a git commit.

A file that is not a complete record is skipped and listed in `problems`. Each command decides how to report these.
"""

import io
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bench.errors import UserError
from bench.read.code import is_of_present_code
from bench.run.store import FORMAT, NAMED, Record, read_record

FOLDER = "results"


@dataclass(frozen=True)
class Loaded:
    """Records, a line for each file that is not a complete record, and a line for each replaced duplicate."""

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


def record_folders(root: Path) -> list[Path]:
    """The folder and its direct subfolders, if they contain files named like records."""
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())] if root.is_dir() else []
    return [folder for folder in folders if any(NAMED.fullmatch(path.name) for path in folder.glob("*.json"))]


def load(folders: list[Path]) -> Loaded:
    """Load the records directly in the folders, in the order of their names. Damaged files are listed in `problems`.

    If several folders have a record of the same job, the newest finished one is used: they are one measurement made
    twice, not two seeds.
    """
    loaded = Loaded()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"no folder '{folder.resolve()}' to read records from; give one of `bench run --out`")
        for path in sorted(folder.glob("*.json")):
            try:
                loaded.records.append(read_record(path))
            except UserError as error:
                loaded.problems.append(str(error))
    return _together([loaded])


def _together(parts: Sequence[Loaded]) -> Loaded:
    """Merge the parts, without older duplicates."""
    every = [record for part in parts for record in part.records]
    anew = {id(record) for record in _measured_anew(every)}
    records = [record for record in every if id(record) not in anew]
    kept = {record.id: record for record in sorted(records, key=lambda r: (r.status == "ok", r.before.at))}
    replaced = [line for part in parts for line in part.replaced]
    ours = ((record, kept[record.id].before) for record in records)  # a file that is read twice is not a duplicate
    replaced += [f"{record.id}: measured again at {before.at}" for record, before in ours if before != record.before]
    replaced += [f"{r.id}: measured again, in the present format of records" for r in every if id(r) in anew]
    problems = [line for part in parts for line in part.problems]
    return Loaded([kept[key] for key in dict.fromkeys(r.id for r in records)], problems, replaced)


def _measured_anew(records: Sequence[Record]) -> list[Record]:
    """The records of the first format of what has a finished record of the present one: same code, same conditions."""
    done = {(r.job.network, r.job.spec) for r in records if r.schema_version == FORMAT and r.status == "ok"}
    first = (r for r in records if r.schema_version != FORMAT and (r.job.network, r.job.spec) in done)
    return [record for record in first if is_of_present_code(record)]


@dataclass(frozen=True)
class Commit:
    """A commit that changed records. `name` has 12 hexadecimal digits."""

    name: str
    at: datetime
    subject: str


def read(given: Sequence[Path | str], default: Path = Path(FOLDER), may_be_empty: bool = False) -> Loaded:
    """Read the records that a user names (folders, files, git revisions, `REV:folder`), or those of the default folder.

    Of a folder, the records directly in it and in its direct subfolders are read; of a revision, those below `results`
    unless a folder is given. Raises UserError if a name does not exist, or if there is no record at all, unless
    `may_be_empty`.
    """
    if may_be_empty and not given and not default.exists():
        return Loaded()
    loaded = _together([_named(str(one)) for one in given or [default]])
    if not (loaded.records or loaded.problems or may_be_empty):
        where = ", ".join(map(str, given or [default]))
        raise UserError(f"no records in {where}; make some with `bench run --all`, or name another folder")
    return loaded


def _named(given: str) -> Loaded:
    path = Path(given)
    if path.is_file():
        return Loaded([read_record(path)])
    if path.is_dir() or path == Path(FOLDER):
        return load(record_folders(path) or [path])
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
