"""How a study stands: what is on record, runs, waits or failed, in lines and as JSON."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.cli.cluster import Planned
from bench.locks import working
from bench.run.local import lock_of
from bench.run.slurm_ended import why_ended
from bench.run.slurm_queue import Standing, status
from bench.run.tasks import Task
from bench.units import duration

IN_HAND = ("done", "running", "queued")  # states in which nobody asks why
STATES = {"done": "on record", "running": "running", "failed": "failed", "queued": "queued", "open": "to do"}
SHOWN = 20  # tasks of a state that are told one by one
Standings = Mapping[str, Standing]


def standings_of(planned: Planned) -> Standings:
    """How each task stands: by its records, the queue, and the locks of runs that work on it without a queue."""
    found = status(planned.queue, [*planned.tasks], planned.is_done)
    return {key: _by_lock(one, planned.tasks[key], planned.out) for key, one in found.items()}


def _by_lock(one: Standing, task: Task, out: Path) -> Standing:
    if one.state in IN_HAND:
        return one
    by = next(filter(None, (working(lock_of(out, job)) for job in task.jobs)), "")
    return Standing(one.key, "running", node=by) if by else one


def told(planned: Planned, standings: Standings | None = None) -> list[str]:
    """How a study stands, in lines: counts and time left, then the tasks that are not on record."""
    found = standings or standings_of(planned)
    why, by_state = _sorted(planned, found)
    counts = ", ".join(f"{len(by_state[state])} {name}" for state, name in STATES.items() if by_state[state])
    lines = [f"{len(planned.tasks)} tasks: {counts}{_left(planned, by_state)}"]
    for state in ("running", "failed", "queued", "open"):
        some = by_state[state]
        lines += [_line(planned, one, state, why) for one in some[:SHOWN]]
        lines += [f"  and {len(some) - SHOWN} more {STATES[state]}"] if len(some) > SHOWN else []
    return lines


def facts(planned: Planned, standings: Standings) -> list[dict[str, Any]]:
    """The same as plain values, a dict for each task."""
    why, by_state = _sorted(planned, standings)
    states = {one.key: state for state, some in by_state.items() for one in some}
    return [
        {
            "key": key, "does": planned.tasks[key].does, "state": STATES[states[key]], "id": one.id, "node": one.node,
            "reason": why.get(key, one.reason), "log": str(one.log) if one.log else None,
        }
        for key, one in standings.items()
    ]  # fmt: skip


def _sorted(planned: Planned, standings: Standings) -> tuple[dict[str, str], dict[str, list[Standing]]]:
    """Why tasks failed, by their keys, and all of them by how they stand."""
    left = {key: one for key, one in standings.items() if one.state not in IN_HAND}
    told = {key: planned.on_record.failure(planned.tasks[key]) for key in left}
    told |= {key: why_ended(one) for key, one in left.items() if one.state == "gone" and not told[key]}
    why = {key: reason for key, reason in told.items() if reason}
    found: dict[str, list[Standing]] = defaultdict(list)
    for key, one in standings.items():
        state = one.state if one.state in IN_HAND else "failed" if key in why else "open"
        found[state].append(one)
    return why, found


def _left(planned: Planned, by_state: Mapping[str, Iterable[Standing]]) -> str:
    """The time left, if as many tasks run at once as do now."""
    to_do = [planned.tasks[one.key].seconds for state, some in by_state.items() for one in some if state != "done"]
    at_once = max(1, len([*by_state["running"]]))
    return f"; about {duration(sum(to_do) / at_once)} left with {at_once} at once" if to_do else ""


def _line(planned: Planned, one: Standing, state: str, why: Mapping[str, str]) -> str:
    task = planned.tasks[one.key]
    parts = [f"  {STATES[state]:7}  {task.does} ({task.key})"]
    if state == "running":
        parts += [f"on {one.node}" if one.node else "", _step(task, planned.out)]
    elif state == "failed":
        parts.append(why[one.key])
    else:
        parts.append(one.reason)
    parts.append(f"log {one.log}" if one.log and state == "running" else "")
    return "; ".join(filter(None, parts))


def _step(task: Task, out: Path) -> str:
    """How far a training is, by the last line of its table."""
    job = task.jobs[0]
    if task.alone or not job.spec.train:
        return ""
    try:
        lines = (out / "checkpoints" / job.training_key / "training.csv").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    step = lines[-1].partition(",")[0] if lines else ""
    return f"step {step}/{job.spec.train.steps}" if step.isdecimal() else ""
