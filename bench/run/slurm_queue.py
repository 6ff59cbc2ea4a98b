"""What was submitted to Slurm, as it is written down, and how each task of it stands in the queue.

A submission is one job or one array. Its name ends in a random token, by which it is found: Slurm's own numbers can be
given again. What is written down comes before what it tells of, so that nothing is in the queue that nobody knows of.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bench.errors import UserError, clean
from bench.files import write_whole

FILE = "submitted.jsonl"  # in a study's folder
NAME = "bench-"  # and the token: the name of a job
SLURM_S = 60.0  # for which Slurm is waited for
QUEUED = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
RUNNING = {"RUNNING", "CONFIGURING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}
HELD = {"JobHeldUser", "JobHeldAdmin"}
ROW = re.compile(r"\d+(_(?P<index>\d+))?")
State = Literal["done", "running", "queued", "gone", "missing", "unknown"]


@dataclass(frozen=True)
class Submitted:
    """A task as it was submitted. `index` is its place in an array; `id` the whole job's, empty until Slurm gave it."""

    key: str
    token: str
    index: int | None
    at: str
    logs: str  # the folder of the submission's logs
    id: str = ""

    @property
    def task(self) -> str:
        """Slurm's id of the task, such as 123_4; empty if Slurm gave none."""
        return self.id if self.index is None or not self.id else f"{self.id}_{self.index}"

    def log(self, kind: Literal["err", "out"] = "err") -> Path:
        """The file of what the task wrote to standard error, or to standard output. It may not be there yet."""
        return Path(self.logs, f"{self.task or '*'}_0_log.{kind}")


@dataclass(frozen=True)
class Standing:
    """How a task stands. `id`, `reason` and `node` are as Slurm tells them, and empty where it does not.

    `since` is when a running task began, or when Slurm expects a queued one to begin; None where it does not say.
    `ended` is Slurm's word for how a task ended that is gone from the queue, for as long as Slurm remembers it.
    """

    key: str
    state: State
    id: str = ""
    reason: str = ""
    node: str = ""
    since: datetime | None = None
    ended: str = ""
    log: Path | None = None


# ---- what is written down --------------------------------------------------------------------------------------------


def submitted(folder: Path) -> list[Submitted]:
    """What was submitted from a study's folder, the latest last. A line that is none of ours is passed over."""
    tasks, ids = list[Submitted](), dict[str, str]()
    for line in _lines(folder):
        try:
            told = json.loads(line)
            if "key" in told:
                tasks.append(Submitted(**told))
            else:
                ids[told["token"]] = told["id"]
        except (ValueError, TypeError, KeyError):
            continue
    return [replace(task, id=ids.get(task.token, "")) for task in tasks]


def write_down(folder: Path, tasks: Iterable[Submitted] = (), ids: Mapping[str, str] | None = None) -> None:
    """Add tasks, without the id that they do not have yet, or the ids that Slurm gave to tokens."""
    lines = [{name: value for name, value in vars(task).items() if name != "id"} for task in tasks]
    lines += [{"token": token, "id": number} for token, number in (ids or {}).items()]
    write_whole(folder / FILE, "".join([*_lines(folder), *(json.dumps(line) + "\n" for line in lines)]))


def forget(folder: Path, token: str) -> None:
    """Take out a submission that did not come to be."""
    write_whole(folder / FILE, "".join(line for line in _lines(folder) if f'"{token}"' not in line))


def _lines(folder: Path) -> list[str]:
    try:
        return (folder / FILE).read_text(errors="replace").splitlines(keepends=True)
    except FileNotFoundError:
        return []


def now() -> str:
    """The time, as it is written down."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# ---- what Slurm tells ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A task of ours as squeue tells of it."""

    id: str
    token: str
    index: int | None
    state: str
    since: str
    node: str
    reason: str


def ask(*words: str) -> str:
    """What a command of Slurm prints. Raises UserError where Slurm is not here, does not answer or refuses."""
    # What a user's own settings say of the format, or of what to leave out, is not for a program.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SQUEUE_", "SCANCEL_"))}
    env["SLURM_TIME_FORMAT"] = "standard"
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=SLURM_S, env=env)
    except FileNotFoundError:
        raise UserError(f"{words[0]} was not found, so there is no Slurm here; run this where sbatch is") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{words[0]}: Slurm did not answer in {SLURM_S:.0f} s; try again later") from None
    if done.returncode:
        raise UserError(f"{words[0]} failed: {clean(done.stderr or done.stdout) or 'it does not say why'}")
    return done.stdout


def rows() -> list[Row]:
    """The tasks of ours that are in the queue, or ended so lately that Slurm remembers them: one call of squeue."""
    told = ask("squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i|%j|%T|%S|%N|%r")
    return [row for row in map(_row, told.splitlines()) if row]


def _row(line: str) -> Row | None:
    number, name, *told = [*line.split("|", 5), "", "", "", "", ""][:6]
    found = ROW.fullmatch(number)
    if not found or not name.startswith(NAME):
        return None
    index = None if found["index"] is None else int(found["index"])
    state, since, node, reason = (one.strip() for one in told)
    return Row(number, name.removeprefix(NAME), index, state, since, node, "" if reason == "None" else reason)


def queue(folder: Path) -> dict[str, Standing]:
    """How each task stands that was submitted from a study's folder: queued, running or gone.

    Raises UserError where Slurm is away.
    """
    if not (tasks := submitted(folder)):
        return {}
    found = {(row.token, row.index): row for row in rows()}
    return {task.key: _standing(task, found.get((task.token, task.index))) for task in tasks}


def _standing(task: Submitted, row: Row | None) -> Standing:
    if row is None:
        return Standing(task.key, "gone", task.task, log=task.log() if task.id else None)
    number, _, _ = row.id.partition("_")
    log, is_over = replace(task, id=number).log(), row.state not in RUNNING | QUEUED
    state: State = "gone" if is_over else "running" if row.state in RUNNING else "queued"
    since, ended = (None, row.state) if is_over else (_time(row.since), "")
    return Standing(task.key, state, row.id, row.reason, row.node, since, ended, log)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        return None


def status(folder: Path, keys: Sequence[str], done: Callable[[str], bool]) -> dict[str, Standing]:
    """How tasks stand, by their records first and then by the queue; missing are those that were not submitted.

    Where Slurm is away, the others are unknown, and `reason` says why. The queue is asked before the
    records: what it has lost by then has its record, if it ever gets one.
    """
    try:
        found, missing = queue(folder), Standing("", "missing")
    except UserError as error:
        found, missing = {}, Standing("", "unknown", reason=str(error))
    standings = {key: found.get(key) or replace(missing, key=key) for key in keys}
    return {key: replace(one, state="done") if done(key) else one for key, one in standings.items()}


def cancel(folder: Path, keys: Iterable[str] | None = None) -> list[str]:
    """Take tasks out of the queue, all of the study's or those named, also ones that run; the keys of those.

    Slurm is told ids and the name with the token, so nothing else ends whatever has the ids by now.
    """
    tokens = {task.key: task.token for task in submitted(folder)}
    wanted = set(tokens if keys is None else keys)
    found = [one for key, one in queue(folder).items() if key in wanted and one.state in ("queued", "running")]
    ids = dict[str, list[str]]()
    for one in found:
        ids.setdefault(tokens[one.key], []).append(one.id)
    for token, numbers in ids.items():
        ask("scancel", f"--name={NAME}{token}", *numbers)
    return [one.key for one in found]
