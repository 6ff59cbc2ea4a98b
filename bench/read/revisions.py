"""Records as they are in a folder or a file, or as they were in a commit."""

import io
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.errors import UserError
from bench.run.store import NAMED, Loaded, load, read_record, record_folders

FOLDER = "results"


@dataclass(frozen=True)
class Commit:
    """A commit that changed records. `name` has 12 hexadecimal digits."""

    name: str
    at: datetime
    subject: str


def read_side(given: str) -> Loaded:
    """The records that a user names: a folder, a file, or a git revision, `REV` or `REV:folder`.

    Of a folder, those directly in it and in its folders count; of a revision, those below `results`, unless told.
    """
    path = Path(given)
    if path.is_file():
        return Loaded([read_record(path)])
    if path.is_dir():
        return load(record_folders(path) or [path])
    revision, _, folder = given.partition(":")
    if not _is_revision(revision):
        raise UserError(
            f"'{given}' is no folder, no file and no git revision here; give one of them, REV or REV:folder"
        )
    return records_at(revision, folder or FOLDER)


def records_at(revision: str, folder: str, named: str = "") -> Loaded:
    """The records below a folder in a revision; with `named`, those whose files' names begin so."""
    listed = _git("ls-tree", "-r", "--name-only", revision, "--", folder).splitlines()
    scored = [name.removesuffix(".scores.csv") for name in listed if name.endswith(".scores.csv")]
    wanted = [name for name in listed if NAMED.fullmatch(Path(name).name) and Path(name).name.startswith(named)]
    beside = [f"{name.removesuffix('.json')}.scores.csv" for name in wanted if name.removesuffix(".json") in scored]
    if not wanted:
        return Loaded()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        archive = _git_bytes("archive", "--format=tar", revision, "--", *wanted, *beside)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(temporary, filter="data")
        found = load(sorted({(Path(temporary) / name).parent for name in wanted}))
    prefix = f"{temporary}/"
    return Loaded(found.records, [line.replace(prefix, f"{revision}:") for line in found.problems], found.replaced)


def commits(folder: str, named: str) -> list[Commit]:
    """The commits that changed records whose files' names begin with `named`, oldest first."""
    lines = _git("log", "--reverse", "--format=%h%x09%cI%x09%s", "--abbrev=12", "--", f":(glob){folder}/**/{named}*")
    parts = (line.split("\t", 2) for line in lines.splitlines())
    return [Commit(name, datetime.fromisoformat(at), subject) for name, at, subject in parts]


def _is_revision(text: str) -> bool:
    asked = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}"]
    try:
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _git(*arguments: str) -> str:
    return _git_bytes(*arguments).decode()


def _git_bytes(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout
    except OSError as error:
        raise UserError(f"git cannot be started ({error}); it is what remembers earlier records: install it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"git {arguments[0]}: {said[-1] if said else 'failed'}; run this in a checkout") from None
