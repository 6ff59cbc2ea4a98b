"""Which files of a report's folder the last report wrote. All others are somebody's own, and stay.

The folder's `.bench-report.json` names them with their digests, and the records of the report. A file with another
digest was edited since, so it is somebody's own too. Where one lies in the way it is moved to the folder `replaced`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.files import first_few
from bench.data.sealed import digest_of_file
from bench.files import content_of, write_whole

NAME = ".bench-report.json"
REPLACED = "replaced"
LARGEST = 2**24  # bytes of it: the ids of 100,000 records take less
# What reports begin with that were written before there was a manifest. Where one lies, files with names of ours are.
SIGNS = {
    "report.md": b"# Networks compared\n", "report.html": b"<title>Networks compared</title>",
    "tables.tex": b"written by `bench report`", "table.csv": b"section,machine,network,",
}  # fmt: skip
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Manifest:
    """The digests that each file of a report may have: two while a report is being replaced. And its records' ids."""

    files: Mapping[str, frozenset[str]] = field(default_factory=dict)
    records: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: Path, known: Callable[[str], bool], tell: Tell = lambda line: None) -> "Manifest":
        """That of a folder. Without one, files with a `known` name are ours if an earlier report lies there.

        One that cannot be read is told, and moved to the folder `replaced`.
        """
        try:
            return cls._read(folder / NAME)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError, MemoryError):
            moved = _aside(folder / NAME)
            tell(f"{folder / NAME}: cannot be read, so it was moved to {moved}")
        if not any(_begins(folder / name, sign) for name, sign in SIGNS.items()):
            return cls()
        names = (path.name for path in folder.iterdir() if path.is_file() and known(path.name))
        return cls({name: frozenset([_digest(folder / name)]) for name in names})

    @classmethod
    def _read(cls, path: Path) -> "Manifest":
        if path.is_symlink():
            raise ValueError("a link")
        facts = json.loads(content_of(path, LARGEST))
        digests = {name: {digest} for name, digest in facts["files"].items()}
        for name, before in facts.get("before", {}).items():
            digests.setdefault(name, set()).update(before)
        files = {name: frozenset(some) for name, some in digests.items() if name == Path(name).name}
        return cls(files, tuple(map(str, facts["records"])))

    def wrote(self, path: Path) -> bool:
        """Whether the file is as the last report wrote it."""
        return path.is_file() and _digest(path) in self.files.get(path.name, ())


def put(
    made: Sequence[Path], folder: Path, records: Iterable[str], known: Callable[[str], bool],
    replaces: Callable[[str], bool], tell: Tell,
) -> list[Path]:  # fmt: skip
    """Move the files that were `made` into the folder in the place of the last report's; returns their new paths.

    Of its files that are not made again, those whose name it `replaces` are removed. What it did with somebody's own
    files and with a report of other records is told, a line each. The caller holds the folder's lock.
    """
    last, ids = Manifest.of(folder, known, tell), sorted(records)
    if others := sorted(set(last.records) - set(ids)):
        tell(f"{folder}: replaces a report that has other records too: {first_few(others)}")
    new = {path.name: _digest(path) for path in made}
    over = {name for name in last.files if name not in new and replaces(name)}
    rest = (folder / name for name in last.files if name not in new and name not in over)  # of other formats
    kept = {path.name: _digest(path) for path in rest if last.wrote(path)}
    # Both are ours while one is being replaced by the other, also for who comes after a run that was killed here.
    _write(folder, {**kept, **new}, ids, before={name: sorted(some) for name, some in last.files.items()})
    moved = [_aside(path) for path in _in_the_way([folder / name for name in (*new, *over)], last)]
    for name in over:
        (folder / name).unlink(missing_ok=True)
    placed = [path.replace(folder / path.name) for path in made]
    _write(folder, kept | new, ids)
    if moved:
        names = first_few([path.name for path in moved])
        tell(f"{folder}: moved to {folder / REPLACED}, for they are not as a report wrote them: {names}")
    return placed


def _in_the_way(paths: Iterable[Path], last: Manifest) -> list[Path]:
    """Those that exist and are somebody's own."""
    return [path for path in paths if (path.exists() or path.is_symlink()) and not last.wrote(path)]


def _aside(path: Path) -> Path:
    """Move somebody's own file into the folder `replaced` under a name that is free there."""
    to = path.parent / REPLACED
    to.mkdir(exist_ok=True)
    number, free = 1, to / path.name
    while free.exists() or free.is_symlink():
        number += 1
        free = to / f"{path.stem}-{number}{path.suffix}"
    return path.rename(free)


def _write(
    folder: Path, files: Mapping[str, str], records: Sequence[str], before: Mapping[str, Sequence[str]] | None = None
) -> None:  # fmt: skip
    facts = {"files": dict(sorted(files.items())), **({"before": before} if before else {}), "records": records}
    write_whole(folder / NAME, json.dumps(facts, indent=1) + "\n")


def _digest(path: Path) -> str:
    return digest_of_file(path)[:16]


def _begins(path: Path, sign: bytes) -> bool:
    """Whether a file has the sign near its beginning."""
    with suppress(OSError):
        if path.is_file():  # a pipe would be waited for
            with path.open("rb") as opened:
                return sign in opened.read(min(4096, path.stat().st_size))
    return False
