"""The engine of Slurm: submits a study's tasks, each a command of its own, and watches for their records.

The trainings are an array, so that Slurm starts as many at once as it may; what needs a machine for itself is a job of
its own. The queue outlives who filled it: to submit again submits only what has no record and is not in the queue.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, clean
from bench.files import make_folder
from bench.locks import held
from bench.run.slurm_place import Place
from bench.run.slurm_queue import (
    HELD,
    NAME,
    Standing,
    Submitted,
    ask,
    forget,
    now,
    queue,
    rows,
    status,
    submitted,
    write_down,
)
from bench.run.slurm_work import Work

if TYPE_CHECKING:
    from submitit import SlurmExecutor

LARGEST = 1000  # tasks of an array; Slurm allows 1001 unless it is told otherwise
LOGS = Path("logs", "slurm")  # below the folder of records
POLL_S = 10.0  # between two looks at the queue
# Before Python: until it hears the signals of Slurm, they must not end it, which Slurm would take for a failure.
UNTIL_READY = """sh -c 'trap "" TERM USR2; exec "$@"' sh"""
ENDLESS = 10**6  # submitit's own limit to how often a task is requeued: `Work` has the one that counts


@dataclass(frozen=True)
class Task:
    """A task: a training, or all that needs a machine for itself (`exclusive`).

    `traces` are patterns of the files that it writes when it gets on, relative to the folder it runs in.
    """

    key: str
    exclusive: bool = False
    traces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """What came of submitting: the `keys` that were, those `waiting` in the queue already, and the text for sbatch."""

    keys: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """How the tasks of a study are submitted.

    `folder` is the study's, in which is written down what was submitted; `out` has the records, and the logs below it.
    `arguments` gives those of Python that do a task, such as -m bench.cli work KEY; they run in the folder `cwd`.
    """

    place: Place
    folder: Path
    out: Path
    arguments: Callable[[str], Sequence[str]]
    device: str = "cuda"
    cwd: Path = field(default_factory=Path.cwd)

    def submit(self, tasks: Sequence[Task], done: Callable[[str], bool]) -> Submission:
        """Submit each task that is not `done` and not in the queue, once, whoever else submits at the same time.

        Raises UserError where Slurm is away or refuses.
        """
        executor()
        make_folder(self.folder)
        with held(self.folder / "submitting.lock", "submitting"):
            _clear(self.folder)
            standings = queue(self.folder)
            waiting = {key for key, one in standings.items() if one.state in ("queued", "running")}
            new = [task for task in tasks if task.key not in waiting and not done(task.key)]
            scripts = [self._send(group, limit) for group, limit in self._groups(new)]
        waits = (task.key for task in tasks if task.key in waiting)
        return Submission(tuple(task.key for task in new), tuple(waits), tuple(scripts))

    def plan(self, tasks: Sequence[Task], done: Callable[[str], bool]) -> Submission:
        """What `submit` would submit if the queue were empty. It needs no Slurm."""
        new = [task for task in tasks if not done(task.key)]
        scripts = (
            _text(self._executor("TOKEN", group, limit, is_dry=True), len(group)) for group, limit in self._groups(new)
        )
        return Submission(tuple(task.key for task in new), scripts=tuple(scripts))

    def _groups(self, tasks: Sequence[Task]) -> list[tuple[Sequence[Task], int | None]]:
        """Tasks by what is one job: trainings in arrays, which share the limit, and each exclusive task alone."""
        trainings = [task for task in tasks if not task.exclusive]
        arrays = [trainings[at : at + LARGEST] for at in range(0, len(trainings), LARGEST)]
        limit = max(1, self.place.limit // max(1, len(arrays))) if self.place.limit else None
        return [*((array, limit) for array in arrays), *(([task], None) for task in tasks if task.exclusive)]

    def _send(self, group: Sequence[Task], limit: int | None) -> str:
        """Submit one job, or one array, held back until all of it is written down; the text for sbatch."""
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        token = secrets.token_hex(8)
        made = self._executor(token, group, limit)
        at, logs, is_array = now(), str(made.folder), len(group) > 1
        places = ((task.key, index if is_array else None) for index, task in enumerate(group))
        write_down(self.folder, [Submitted(key, token, index, at, logs) for key, index in places])
        try:
            with _outside_of_a_job():
                jobs = made.submit_array([self._work(task) for task in group])
            number = jobs[0].job_id.partition("_")[0]
            ask("scontrol", "release", number)
        except (FailedJobError, FailedSubmissionError) as error:
            forget(self.folder, token)
            raise UserError(f"Slurm refused the tasks: {clean(str(error))}; see the settings of [slurm]") from None
        write_down(self.folder, ids={token: number})
        return _text(made, len(group))

    def _executor(
        self, token: str, group: Sequence[Task], limit: int | None, is_dry: bool = False
    ) -> "SlurmExecutor":  # fmt: skip
        logs = (self.out / LOGS / token).absolute()
        if "%" in str(logs):
            raise UserError(f"{logs}: Slurm replaces what follows a % in a path; give another --out")
        python = f"{UNTIL_READY} {self.place.python}"
        made = executor(is_dry)(folder=logs, max_num_timeout=ENDLESS, python=python)
        asked = self.place.asked(f"{NAME}{token}", self.device, group[0].exclusive)
        made.update_parameters(**asked, array_parallelism=limit or LARGEST)
        return made

    def _work(self, task: Task) -> Work:
        place = self.place
        return Work(tuple(self.arguments(task.key)), self.cwd.absolute(), place.time * 60, place.grace, task.traces)


def executor(is_dry: bool = False) -> Any:
    """submitit's executor; UserError where it or Slurm is missing. A dry one needs no Slurm."""
    try:
        from submitit import SlurmExecutor
    except ImportError:
        raise UserError("Slurm needs the package submitit: pip install 'mdsa-bench[slurm]'") from None
    if is_dry:
        return type("SlurmExecutor", (SlurmExecutor,), {"affinity": classmethod(lambda cls: 2)})
    if SlurmExecutor.affinity() < 0:
        raise UserError("srun was not found, so there is no Slurm here; run this where sbatch is")
    return SlurmExecutor


@contextmanager
def _outside_of_a_job() -> Iterator[None]:
    """Without the variables of a job that this process may run in: sbatch and the new jobs would go by them.

    What a user or a cluster sets for all jobs stays: the SBATCH_ variables, and where Slurm's settings are.
    """
    kept, ours = ("SLURM_CONF", "SLURM_CLUSTERS"), ("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_")
    aside = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(ours) and name not in kept}
    try:
        yield
    finally:
        os.environ.update(aside)


def _text(made: "SlurmExecutor", count: int) -> str:
    """The script that submitit hands to sbatch for so many tasks."""
    parameters = made.parameters
    try:
        made.parameters = {**parameters, "map_count": count} if count > 1 else parameters
        return made._make_submission_file_text(made._submitit_command_str, "")
    finally:
        made.parameters = parameters


def _clear(folder: Path) -> None:
    """Take out of the queue what a process left there that was killed while it submitted, and that never ran.

    What it had released before it was killed stays, and its id is written down.
    """
    begun = {task.token: Path(task.logs) for task in submitted(folder) if not task.id}
    ours = rows() if begun else []
    for token, logs in begun.items():
        scripts = [path.name.partition("_")[0] for path in logs.glob("[0-9]*_submission.sh")]
        held_back = [row for row in ours if row.token == token and row.reason in HELD]
        if held_back:
            ask("scancel", f"--name={NAME}{token}", held_back[0].id.partition("_")[0])
        if held_back or not scripts:
            forget(folder, token)
        else:
            write_down(folder, ids={token: scripts[0]})


def watch(
    folder: Path, keys: Sequence[str], done: Callable[[str], bool],
    hear: Callable[[Mapping[str, Standing]], object], poll_s: float = POLL_S,
) -> dict[str, Standing]:  # fmt: skip
    """Watch until each task has its record or is gone from the queue; how each stands in the end.

    `hear` is told at each look. To interrupt it, as by Ctrl-C, ends only the watching. Where Slurm is away it goes on.
    """
    finished, gone = set[str](), set[str]()
    while True:
        standings = status(folder, keys, lambda key: key in finished or done(key))
        finished.update(key for key, one in standings.items() if one.state == "done")
        hear(standings)
        before, gone = gone, {key for key, one in standings.items() if one.state in ("gone", "missing")}
        if len(finished) + len(gone) == len(standings) and gone == before:
            return standings  # those that are gone twice, since a record may be seen later than the end of its job
        time.sleep(poll_s)
