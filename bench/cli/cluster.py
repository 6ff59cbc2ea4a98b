"""A study on a cluster: what is submitted to Slurm, and the watching of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from typer import Exit

from bench.cli.terminal import Status, console, say
from bench.run.kept_study import FOLDER, keep_study, settled
from bench.run.plan import Plan, keep_split, planned_again
from bench.run.slurm import Engine, Submission, watch
from bench.run.slurm import Task as Submitted
from bench.run.slurm_place import with_site
from bench.run.study import Study
from bench.run.study_file import StudyFile
from bench.run.tasks import OnRecord, Task, tasks_of


@dataclass
class Planned:
    """A study in tasks: its file, as it is kept beside the records, what it asks for, and its plan."""

    file: StudyFile
    path: Path
    asked: Study
    plan: Plan
    on_record: OnRecord

    def __post_init__(self) -> None:
        self.tasks = self._tasks()

    def refresh(self) -> None:
        """Plan again, if a machine has settled meanwhile what the study leaves open: its records name that."""
        study = settled(self.asked, self.out)
        if study != self.plan.study:
            self.plan = planned_again(self.plan, study)
            self.tasks = self._tasks()

    def _tasks(self) -> dict[str, Task]:
        return {task.key: task for task in tasks_of(self.plan, self.asked, self.out)}

    @property
    def out(self) -> Path:
        """The folder of its records."""
        return self.file.out

    @property
    def queue(self) -> Path:
        """The folder in which is written down what was submitted."""
        return self.file.out / FOLDER

    def is_done(self, key: str) -> bool:
        """Whether all jobs of a task have a finished record."""
        return self.on_record(self.tasks[key])


def planned_tasks(file: StudyFile, name: str, quiet: bool, keep: bool = True) -> Planned:
    """The tasks of a study, planned on a machine that need not be the one that does them; the study is kept."""
    from bench.cli.run import read_and_plan

    elsewhere = file.on == "slurm" or file.device != "auto"
    asked = file.study(elsewhere)
    kept = file.model_copy(update={"device": asked.device})
    plan = read_and_plan(settled(asked, file.out), file.out, quiet)
    path = keep_study(kept, name or "study") if keep else Path(f"{name}.toml")
    return Planned(file, path, asked, plan, OnRecord(file.out))


def work_arguments(planned: Planned, key: str) -> Sequence[str]:
    """The arguments of Python that do a task."""
    return ("-P", "-m", "bench.cli", "work", key, "--study", str(planned.path), "--out", str(planned.out), "--quiet")


def submit(file: StudyFile, name: str, detach: bool, show_plan: bool, quiet: bool, as_json: bool) -> None:
    """Submit what is neither on record nor in the queue, and watch it until all is done, unless told not to."""
    from bench.cli.display import announce

    planned = planned_tasks(file, name, quiet, keep=not show_plan)
    if show_plan or not quiet:
        announce(console(), planned.plan, file.out)
    engine, tasks = _engine(planned), [_submitted(task, file.out) for task in planned.tasks.values()]
    if show_plan:
        _tell(engine.plan(tasks, planned.is_done), "would be submitted")
        return
    keep_split(planned.plan, file.out / "splits")
    fill_cache(planned.plan, file.out, quiet)
    _tell(engine.submit(tasks, planned.is_done), "submitted")
    if detach:
        say(console(), f"See how it is with: bench status {planned.path}", wrap=False)
    else:
        _follow(planned, quiet, as_json)


def _follow(planned: Planned, quiet: bool, as_json: bool) -> None:
    """Watch until each task is on record or gone from the queue; then write the report. Ctrl-C ends the watching."""
    from bench.cli.display import conclude
    from bench.cli.standing import Standings, told

    def show(found: Standings) -> None:
        planned.refresh()
        shown.show("\n".join(told(planned, found)))

    try:
        with Status(console(), quiet) as shown:
            watch(planned.queue, [*planned.tasks], planned.is_done, show)
    except KeyboardInterrupt:
        say(console(), f"The tasks go on. See how they are with: bench status {planned.path}", wrap=False)
        raise Exit(130) from None
    say(console(), "\n".join(told(planned)), wrap=False)
    if records := planned.on_record.records(planned.tasks.values()):
        conclude(records, planned.file.reports, as_json, [planned.out], claims=planned.file.claims)
    raise Exit(int(not all(map(planned.is_done, planned.tasks))))


def _engine(planned: Planned) -> Engine:
    place, study = with_site(planned.file.slurm), planned.asked
    given = {"cpus": place.cpus or study.threads}
    if study.devices > 1 and place.gpus is None:
        given["gpus"] = study.devices
    place = place.model_copy(update=given)
    return Engine(place, planned.out / FOLDER, planned.out, partial(work_arguments, planned), study.device)


def _submitted(task: Task, out: Path) -> Submitted:
    """A task as Slurm's engine takes it. A training that gets on writes checkpoints, all else records."""
    folder = "" if task.alone else f"checkpoints/{task.key.rpartition('-')[0]}-*/"
    return Submitted(task.key, task.alone, (f"{out}/{folder}*",))


def fill_cache(planned: Plan, out: Path, quiet: bool) -> None:
    """Decode the images of a plan before its tasks start, so that not each node decodes them."""
    from bench.run.dice import Images

    digests = {one.data.digest: one.data for one in planned.opened}
    used = {(job.spec.data, job.spec.size): job.spec for job in planned.jobs if job.spec.quantity == "dice"}
    with Status(console(), quiet, transient=True) as shown:
        for spec in used.values():
            data = digests[spec.data]

            def progress(doing: str, name: str = data.name) -> Callable[..., None]:
                return lambda done, of: shown.count(f"{doing} of {name}", done, of)

            images = Images(data, spec, out / f"cache/{data.name}-{data.digest}", progress)
            for side in ("test",) if spec.trained_on or not spec.train else ("train", "val", "test"):
                images.prepared(side)


def _tell(sent: Submission, how: str) -> None:
    waiting = f"; {len(sent.waiting)} more are in the queue already" if sent.waiting else ""
    say(console(), f"{len(sent.keys)} tasks {how}, in {len(sent.scripts)} jobs of Slurm{waiting}", wrap=False)
