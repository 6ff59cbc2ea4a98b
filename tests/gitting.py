"""A git repository for tests, with records in it."""

import subprocess
from pathlib import Path

from bench.run.store import Record, Store


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, records: list[Record], subject: str) -> str:
    """Put these records, and no others, into results/ and commit them; the commit's name."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    for path in folder.glob("results/*"):
        path.unlink()
    for record in records:
        Store(folder / "results").write(record)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(folder, "rev-parse", "HEAD")
