"""`bench jobs`, `work`, `status` and `cancel`: the tasks of a study, for any queue."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, echo

from bench.cli.asked import RunOptions
from bench.cli.options import DataOptions, Json, Quiet, command, print_json
from bench.cli.signals import stopped_by_signals
from bench.errors import UserError, plain, unknown
from bench.files import writable

Out = Annotated[Path | None, Option(help="Where records and checkpoints are kept. [default: results]")]
Study = Annotated[Path | None, Argument(help="A study (study.toml). [default: the newest that is kept in --out]")]


@command()
def jobs(asked: RunOptions, data: DataOptions, out: Out = None, as_json: Json = False) -> None:
    """List what is missing of a study, in tasks that any queue can hand out.

    A task is a training, or all that needs a machine for itself: times, memory, energy and counts, planned by the
    machine that does it. `bench work KEY` does one.

    Examples:

      bench jobs study.toml --json

      bench jobs --all --dataset ddti --data-root DDTI --seeds 0,1,2 --device cuda
    """
    from bench.cli.cluster import planned_tasks
    from bench.run.plan import keep_split
    from bench.run.store import WRITTEN
    from bench.units import duration

    study = asked.study(data, out=out)
    writable(study.out, WRITTEN)
    planned = planned_tasks(study, asked.study_name, quiet=True)
    keep_split(planned.plan, study.out / "splits")
    missing = [task for key, task in planned.tasks.items() if not planned.is_done(key)]
    if as_json:
        memory = _memory_on_record(study.out)
        print_json([_facts(task, planned.plan, memory) for task in missing])
        return
    for task in missing:
        needs = [f"{task.gpus} GPU{'s' * (task.gpus > 1)}" * bool(task.gpus), f"{task.threads} threads"]
        needs += ["a machine for itself"] * task.alone + [f"about {duration(task.seconds)}"]
        echo(plain(f"{task.key}  {task.does}; {', '.join(filter(None, needs))}"))
    done = len(planned.tasks) - len(missing)
    told = f"{len(missing)} task{'s' * (len(missing) != 1)} to do, {done} on record in {study.out}"
    how = f". Do one with: bench work KEY --out {shlex.quote(str(study.out))}" * bool(missing)
    echo(plain(f"{told}{how}"), err=True)


def _facts(task: Any, plan: Any, memory: Callable[[Any], int | None]) -> dict[str, Any]:
    """What a queue has to know of a task."""
    first = task.jobs[0]
    at = None if task.alone else plan.home_of(first) or plan.data_of(first)
    train = getattr(first.spec, "train", None)
    return {
        "key": task.key, "does": task.does, "network": None if task.alone else first.network,
        "dataset": at and at.name, "root": str(at.root) if at and at.root else None,
        "seed": train.seed if train else None,
        "gpus": task.gpus, "threads": task.threads, "alone": task.alone, "seconds": round(task.seconds, 1),
        "memory_bytes": memory(first) if train else None,
        "records": [] if task.alone else [job.key for job in task.jobs],
    }  # fmt: skip


def _memory_on_record(out: Path) -> Callable[[Any], int | None]:
    """A function of a training's job: the memory of a step of it, in proportion to one of the network on record."""
    from bench.quantities import Memory
    from bench.read.load import load

    records = load([out], lambda name: "-memory-" in name).records if out.is_dir() else []
    steps = [(r.job, r.result) for r in records if isinstance(r.result, Memory) and r.job.spec.mode == "training"]

    def memory(job: Any) -> int | None:
        pixels = job.spec.train.batch * job.spec.size**2
        ours = [(one, pixels / (of.spec.batch * of.spec.size**2)) for of, one in steps if of.network == job.network]
        return max((int(one.weights_bytes + one.activations_bytes * share) for one, share in ours), default=None)

    return memory


@command()
def work(
    keys: Annotated[list[str], Argument(metavar="KEY...", help="Keys from `bench jobs`.")],
    study: Annotated[Path | None, Option(help="The study of the tasks. [default: those kept in --out]")] = None,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Do tasks of a study on this machine, one after the other. What is on record is not done again.

    It ends with 0 once each task has its records, of failures too. Stopped, it goes on when it is called again.

    Example: bench work unet-ddti-0f3a9c51d2e4 --out results
    """
    from bench.cli.display import followed
    from bench.run.plan import keep_split, missing
    from bench.run.store import WRITTEN, Store
    from bench.run.study_file import read_study
    from bench.run.tasks import note_plan, only

    with stopped_by_signals():
        out = out or (read_study(study).out if study else Path("results"))
        writable(out, WRITTEN)
        for planned, tasks in _found(keys, study, out, quiet):
            keep_split(planned, out / "splits")
            for task in (one for one in tasks if one.alone):
                note_plan(task, out)
            mine = only(planned, tasks)
            followed(mine, missing(mine, Store(out)), out, quiet)


def _found(keys: list[str], given: Path | None, out: Path, quiet: bool) -> list[tuple[Any, list[Any]]]:
    """The plans of the studies that have these tasks, with the tasks of each. UserError for a key that none has."""
    from bench.cli.run import read_and_plan
    from bench.run.kept_study import kept_studies, settled
    from bench.run.study_file import read_study
    from bench.run.tasks import tasks_of

    files = [given] if given else kept_studies(out)
    if not files:
        raise UserError(f"no study is kept in {out}; make the tasks with `bench jobs`, or name the study with --study")
    left, found, known = dict.fromkeys(keys), list[tuple[Any, list[Any]]](), dict[str, None]()
    faults = list[str]()
    for file in files:
        try:
            asked = read_study(file).study()
            planned = read_and_plan(settled(asked, out, write=True), out, quiet)
        except UserError as error:
            if given:
                raise
            faults.append(f"; {file} was left out: {str(error).splitlines()[0]}")
            continue
        tasks = {task.key: task for task in tasks_of(planned, asked, out)}
        known |= dict.fromkeys(tasks)
        if mine := [tasks[key] for key in left if key in tasks]:
            found.append((planned, mine))
        left = {key: None for key in left if key not in tasks}
        if not left:
            return found
    changed = "; a task whose network, data or settings changed has another key, which `bench jobs` lists"
    place = ", and so has one with a network of a file when it is called from another folder"
    raise UserError(f"{unknown('task', next(iter(left)), known)}{changed}{place}{''.join(faults)}")


@command()
def status(
    study: Study = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Tell how a study stands: what is on record, runs, waits or failed, and why; the logs, and the time left.

    Example: bench status study.toml
    """
    from bench.cli.standing import facts, standings_of, told

    planned = _kept(study, out)
    standings = standings_of(planned)
    if as_json:
        print_json(facts(planned, standings))
    else:
        echo(plain("\n".join(told(planned, standings))))


@command()
def cancel(study: Study = None, out: Out = None) -> None:
    """Take a study's tasks out of Slurm's queue, also those that run. What is on record stays.

    Example: bench cancel study.toml
    """
    from bench.run.slurm_queue import cancel as cancelled

    planned = _kept(study, out)
    ended = cancelled(planned.queue, planned.tasks)
    echo(f"{len(ended)} tasks were taken out of the queue" if ended else "no task of this study is in the queue")


def _kept(path: Path | None, out: Path | None) -> Any:
    """The tasks of a study, or of the newest one that is kept."""
    from bench.cli.cluster import planned_tasks
    from bench.run.kept_study import kept_studies
    from bench.run.study_file import changed, read_study

    folder = out or Path("results")
    if path is None and not (kept := kept_studies(folder)):
        raise UserError(f"no study is kept in {folder}; name one, such as study.toml, or its folder with --out")
    file = read_study(path or kept[0])
    if path is None or out:
        file = changed(file, {"out": folder})
    return planned_tasks(file, "", quiet=True, keep=False)
