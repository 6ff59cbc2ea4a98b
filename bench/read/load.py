"""Reads records for all commands: from folders, from files, or from a git commit.

A file that is not a complete record is skipped and listed in `problems`. Each command decides how to report these.
"""

import gc
import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import UserError, clean, printable
from bench.files import LARGEST, Unusable, temporary_folder
from bench.forks import forked
from bench.read.code import is_of_present_code, moment
from bench.run.store import FORMAT, LEFT, NAMED, Record, read_record, record_files

FOLDER = "results"
TOGETHER = 500  # files that a process reads before it hands over what it read
# What to do about what git says, by words in it.
ADVICE = {
    "outside repository": "give a folder inside of the repository",
    "not a git repository": "run this in a checkout",
    "dubious ownership": "trust it with: git config --global --add safe.directory FOLDER",
}


@dataclass(frozen=True)
class Loaded:
    """Records, a line for each file that is not a complete record, and a line for each replaced duplicate."""

    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


def record_folders(root: Path) -> list[Path]:
    """The folder and its direct subfolders, if they contain files named like records. Hidden ones do not."""
    if not root.is_dir():
        return []
    below = sorted(path for path in root.iterdir() if path.name[0] != "." and path.is_dir())
    return [folder for folder in (root, *below) if _has_records(folder)]


def _has_records(folder: Path) -> bool:
    try:
        return any(NAMED.fullmatch(path.name) for path in record_files(folder))
    except Unusable:
        if os.path.lexists(folder):
            raise
        return False  # it was removed since it was listed, as a run does with the folder of its locks


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
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"no folder '{folder.resolve()}' to read records from; give one of `bench run --out`")
    paths = [path for folder in folders for path in record_files(folder) if wanted(path.name)]
    with _no_collector():
        read = _read_many(paths)
        records, problems = [r for r in read if isinstance(r, Record)], [line for line in read if isinstance(line, str)]
        return _together([Loaded(records, problems)])


def _read_many(paths: Sequence[Path]) -> list[Record | str]:
    """Each file's record, or why it has none; very many files are read on all cores."""
    parts = [paths[place : place + TOGETHER] for place in range(0, len(paths), TOGETHER)]
    read = [one for part in forked(lambda part: [*map(_read_one, part)], parts) for one in part]
    return [*read, *map(_read_one, paths[len(read) :])]


def _read_one(path: Path) -> Record | str:
    if not path.is_file():  # a pipe would be waited for
        return f"{path}: is no file, or a link that leads to none; {LEFT}"
    try:
        return read_record(path)
    except UserError as error:
        return str(error)


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
    return record.status == "ok", record.is_sealed, moment(record)


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
        commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    except Unasked as error:
        named = f"'{printable(given)}' is no folder, no file and no git revision here"
        why = f" ({error.said})" if error.said else ""
        raise UserError(f"{named}{why}; give one of them, REV or REV:folder") from None
    return records_at(commit, folder or FOLDER, shown=revision)


def records_at(revision: str, folder: str, named: str = "", shown: str = "") -> Loaded:
    """The records below a folder in a revision; with `named`, only files whose names begin with it.

    `shown` is what the revision is called in the lines about problems. Links in it are no records, nor is what is
    larger than any record, or has a name that leads elsewhere, which no git makes and each takes from a stranger.
    """
    listed = _git("ls-tree", "-r", "-z", "-l", "--full-name", "--end-of-options", revision, "--", folder).split(b"\0")
    facts = (line.partition(b"\t") for line in listed if line.startswith(b"100"))
    parts = ((os.fsdecode(name), about.split()) for about, _, name in facts)
    blobs = {name: about[2] for name, about in parts if int(about[3]) <= LARGEST and not _leads_out(name)}
    wanted = [name for name in blobs if NAMED.fullmatch(Path(name).name) and Path(name).name.startswith(named)]
    beside = [name for name in blobs if name.endswith(".scores.csv") and name[:-10] + "json" in wanted]
    if not wanted:
        return Loaded()
    with temporary_folder() as temporary:
        for name, content in zip(wanted + beside, _blobs([blobs[name] for name in wanted + beside]), strict=True):
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        found = load(sorted({(temporary / name).parent for name in wanted}))
    problems = [line.replace(f"{temporary}/", f"{shown or revision}:") for line in found.problems]
    return Loaded(found.records, problems, found.replaced)


def _leads_out(name: str) -> bool:
    return not {"", ".", ".."}.isdisjoint(name.split("/"))


def _blobs(names: Sequence[bytes]) -> Iterator[bytes]:
    """The contents of files in git, by the digests that it names them with."""
    told = io.BytesIO(_git("cat-file", "--batch", given=b"\n".join([*names, b""])))
    for name in names:
        about = told.readline().split()
        if len(about) != 3:  # of a clone that has not all files
            raise UserError(f"git has no file {name.decode()} of this commit here; fetch the whole repository")
        yield told.read(int(about[2]) + 1)[:-1]


def commits(folder: str, named: str) -> list[Commit]:
    """The commits that changed records whose files' names begin with `named`, oldest first."""
    within = f":(glob){_literal(folder)}/**/{_literal(named)}*"
    lines = _git("log", "--no-show-signature", "--reverse", "--format=%h%x09%cI%x09%s", "--abbrev=12", "--", within)
    parts = (line.split("\t", 2) for line in lines.decode(errors="replace").split("\n") if line)
    return [Commit(name, _moment(at), printable(subject)) for name, at, subject in parts]


def _moment(told: str) -> datetime:
    """The time that git tells; the last that can be written for one after the year 9999, as wrong clocks make it."""
    try:
        return datetime.fromisoformat(told)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)


def _literal(name: str) -> str:
    """A name in which git's patterns have no meaning."""
    return re.sub(r"([*?\[\\])", r"\\\1", name)


class Unasked(UserError):
    """Git could not be asked, or refused: `said` is why, in one line; empty where it does not know what was named."""

    def __init__(self, what: str, said: str, advice: str) -> None:
        super().__init__(f"{what}: {said or 'failed'}; {advice}")
        self.said = said


def _git(*arguments: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", *arguments], input=given, capture_output=True, check=False)
    except OSError as error:
        raise Unasked("earlier records", f"git cannot be started: {error.strerror}", "install it") from None
    if done.returncode:
        lines = [clean(line) for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("fatal:")), "".join(lines[-1:]))
        advice = next((told for words, told in ADVICE.items() if words in said), "see what `git status` says here")
        raise Unasked(f"git {arguments[0]}", said.removeprefix("fatal: "), advice)
    return done.stdout
