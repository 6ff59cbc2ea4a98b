"""The folder of one drill: a study, the programs that are started on it, and all that they leave."""

import json
import os
import re
import shutil
import signal
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import study as studies
from .case import Found
from .events import Point, Watch
from .program import Ended, Program, orphans
from .study import Study, facts_of

LIMIT_S = 180.0  # for one program: what takes longer hangs
OWN = ("home", "tmp", "machine")  # folders beside the study's: the user's cache, temporary files, the machine's locks
KEPT = ("PATH", "LD_LIBRARY_PATH", "MPLCONFIGDIR", "TZ")  # variables that a program gets from this process
ENDS = {".html": b"</html>", ".pdf": b"%%EOF", ".svg": b"</svg>", ".parquet": b"PAR1"}  # of whole files
HIDDEN = re.compile(r"(?:^|[\s/'\"])(\.[^\s/'\":;]*(?:\.tmp|\.going|\.lock|\.part))")
PROBE = re.compile(r"tmp/[a-z0-9_]{8}")  # by which Python's tempfile tries whether it may write to a folder


@dataclass(frozen=True)
class Reference:
    """What an unbroken run leaves: the facts of its records, its files, its deeds, and how long it takes."""

    facts: dict[str, Any] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    points: tuple[Point, ...] = ()
    seconds: float = 0.0


class Scene:
    """A folder with a study, `work` below it. `broken` are sentences on what must not be."""

    def __init__(self, folder: Path, study: Study, reference: Reference | None = None) -> None:
        self.folder, self.study, self.reference = folder, study, reference or Reference()
        self.work, self.broken, self.kills, self.says_at = folder / "work", list[str](), 0, ""
        studies.make(self.work)
        for name in (*OWN, "printed"):
            (folder / name).mkdir()
        self.variables = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / "cache"), "LANG": "C.UTF-8",
            "TMPDIR": str(folder / "tmp"), "BENCH_LOCKS": str(folder / "machine"), "DRILL": str(folder / "printed"),
            "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120", "GIT_CEILING_DIRECTORIES": str(folder),
        }  # fmt: skip

    @property
    def out(self) -> Path:
        return self.work / "results"

    @property
    def watch(self) -> Watch:
        """Watches a program in this folder."""
        return Watch(str(self.folder))

    def start(self, *arguments: str | bytes, watch: Watch | None = None) -> Program:
        """Start `bench` with these arguments, by default the study's."""
        return Program(arguments or self.study.command, self.work, self.variables, watch)

    def run(self, *arguments: str | bytes, watch: Watch | None = None) -> Ended:
        """The same, to its end."""
        return self.start(*arguments, watch=watch).wait(LIMIT_S)

    def says(self, line: str) -> None:
        """Note what broke."""
        if line not in self.broken:
            self.broken.append(line)

    @property
    def found(self) -> Found:
        """What the drill found."""
        return Found(kills=self.kills, broken=self.broken, at=self.says_at)

    def strike(self, program: Program, seconds: float, number: int, begun: bool = False) -> bool:
        """Send a signal after some time, and wait for the end; whether the program still ran.

        With `begun`, not before it has made the folder of its results, however loud the machine is.
        """
        end = time.monotonic() + seconds
        while program.poll() is None and (time.monotonic() < end or (begun and not self.out.exists())):
            time.sleep(0.005)
        runs = program.poll() is None
        program.signal(number)
        ended = program.wait(LIMIT_S)
        self.kills += runs
        if runs and (fault := fault_of(ended)) and ended.code != -number:
            self.says(f"after {signal.Signals(number).name}: {fault}")
        return runs

    def clear(self) -> None:
        """Begin anew."""
        for folder in (self.out, self.work / "reports"):
            shutil.rmtree(folder, ignore_errors=True)

    # ---- what must hold ----------------------------------------------------------------------------------------------

    def check_after_kill(self) -> None:
        """What must hold as soon as a program was killed."""
        self.check_files()
        self.check_readers()

    def check_files(self) -> None:
        """Whatever is there under its name is whole."""
        for path in _files(self.work):
            parts = path.relative_to(self.work).parts
            if any(part.startswith(".") and part != ".bench-report.json" for part in parts):
                continue  # it says by its name that it is not to be read
            try:
                _whole(path)
            except Exception as error:  # noqa: BLE001 - it is told
                self.says(f"half a file: {path.relative_to(self.work)}: {type(error).__name__}: {error}")

    def check_readers(self, *, allowed: Callable[[Ended], bool] | None = None) -> None:
        """`check`, `report` and `compare` of what is there end well, and name no file that is being written."""
        for command in (
            ("check", "results", "--claims", "claims.toml"),
            ("report", "results", "--to", "../printed/report", "--format", "csv", "--claims", "claims.toml"),
            ("compare", "results", "results"),
        ):
            self.check_reader(command, self.run(*command), allowed)
        shutil.rmtree(self.folder / "printed" / "report", ignore_errors=True)

    def check_reader(
        self, command: Sequence[str], ended: Ended, allowed: Callable[[Ended], bool] | None = None
    ) -> None:
        """What one of these did is one of: its answer; that there is no record yet; what is `allowed` beside these."""
        nothing = not [*self.out.glob("*.json")] or "no records" in ended.err or "no folder" in ended.err
        if fault := fault_of(ended):
            self.says(f"{command[0]}: {fault}")
        elif hidden := HIDDEN.search(ended.err):
            self.says(f"{command[0]} names a hidden file: {re.sub(r'[0-9]+', '#', hidden[1])}: {last(ended.err)}")
        elif allowed and allowed(ended):
            return
        elif ended.code not in (0, 1) and not (ended.code == 2 and nothing):
            self.says(f"{command[0]}: exit {ended.code}: {last(ended.err)}")
        elif "left out" in ended.err:
            self.says(f"{command[0]}: {last(ended.err)}")

    def finish(self, *, left: bool = True) -> Ended:
        """The same command goes on, ends well, and finds what an unbroken run finds; with `left`, leaves no more."""
        ended = self.run()
        if fault := fault_of(ended) or (f"exit {ended.code}: {last(ended.err)}" if ended.code else ""):
            self.says(f"the run that goes on: {fault}")
            return ended
        self.check_scores()
        if left:
            self.check_left()
        return ended

    def check_scores(self) -> None:
        """The records are those of an unbroken run, to the last bit."""
        try:
            found = facts_in(self.out)
        except (OSError, ValueError) as error:
            self.says(f"a record cannot be read after an exit 0: {error}")
            return
        if found.keys() != self.reference.facts.keys():
            self.says(f"other records: {sorted(found)}")
        for key in found.keys() & self.reference.facts.keys():
            if found[key] != self.reference.facts[key]:
                self.says(f"OTHER SCORES in {key}: {_difference(found[key], self.reference.facts[key])}")

    def check_left(self) -> None:
        """No file is there that an unbroken run does not leave, and no process."""
        found, wanted = files_of(self.folder), self.reference.files
        for name in sorted(name for name in found - wanted if not PROBE.fullmatch(name)):
            self.says(f"left over: {_plain(name)}")
        for name in sorted(wanted - found):
            self.says(f"missing at the end: {_plain(name)}")

    def check_processes(self) -> None:
        """Nothing that a program started outlives it."""
        for line in orphans():
            self.says(f"orphan: {re.sub(r'process [0-9]+', 'process', line)}")


def fault_of(ended: Ended) -> str:
    """What no program may do, whatever it was given; empty if it did none of it."""
    if ended.code is None:
        return f"hangs: {last(ended.out + ended.err)}"
    if "Traceback (most recent call last)" in ended.err + ended.out:
        return f"traceback: {last(ended.err)}"
    return f"ended by signal {-ended.code}" if ended.code < 0 else ""


def last(text: str) -> str:
    """The last line of a text."""
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "")


def facts_in(out: Path) -> dict[str, Any]:
    """The facts of the records in a folder that must be the same in every run."""
    paths = [path for path in out.glob("*.json") if not path.name.startswith(".")]
    return {path.stem: facts_of(json.loads(path.read_text())) for path in paths}


def files_of(folder: Path) -> frozenset[str]:
    """The files and empty folders below the study's folder and those beside it; names of times and paths are cut."""
    return frozenset(
        re.sub(r"(?<=tensorboard/events)\..*|(?<=/code/)[0-9a-f]{32}", "", str(path.relative_to(folder)))
        for own in ("work", *OWN)
        for path in _files(folder / own)
    )


def refer(folder: Path, study: Study) -> Reference:
    """Run a study unbroken, watched, and note what it leaves."""
    scene = Scene(folder, study)
    began = time.monotonic()
    ended = scene.run(watch=Watch(str(folder), log=str(folder / "deeds")))
    if ended.code:
        raise RuntimeError(f"the unbroken run of {study.name} fails: exit {ended.code}\n{ended.err}\n{ended.out}")
    seconds = time.monotonic() - began
    points = Watch("", log=str(folder / "deeds")).points()
    return Reference(facts_in(scene.out), files_of(folder), tuple(points), seconds)


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, and its folders that hold nothing."""
    for above, folders, files in os.walk(folder):
        yield from (Path(above, name) for name in files)
        if not (folders or files) and Path(above) != folder:
            yield Path(above)


def _whole(path: Path) -> None:
    """Raise an error of any kind if a file is not whole."""
    if path.is_dir():
        return
    content = path.read_bytes()
    if path.suffix == ".json":
        json.loads(content)
    elif path.suffix in (".ckpt", ".npz"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None, "a part of it is damaged"
    elif path.suffix == ".safetensors":
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        ends = [facts["data_offsets"][1] for name, facts in header.items() if name != "__metadata__"]
        assert len(content) == 8 + length + max(ends), "its tensors are cut off"
    elif path.suffix == ".npy":
        import numpy as np

        np.load(path, mmap_mode="r")
    elif path.suffix in ENDS:
        assert content.rstrip().endswith(ENDS[path.suffix]), "it is cut off"


def _difference(found: Any, wanted: Any, at: str = "") -> str:
    """Where two nested values differ first."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in {**found, **wanted}:
            if found.get(name) != wanted.get(name):
                return _difference(found.get(name), wanted.get(name), f"{at}.{name}")
    return f"{at[1:]} is {str(found)[:80]}, not {str(wanted)[:80]}"


def _plain(name: str) -> str:
    """A file's name without what changes from run to run."""
    return re.sub(r"[0-9a-f]{8,}|\d{2,}|tmp\w{8}|(?<=bench-code-)\w+", "#", name)
