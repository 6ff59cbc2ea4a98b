"""Several runs at once in one folder, some of them killed, and readers beside them all the time.

No reader sees half a file. All that live end well, with the same records; while nobody is killed, no job is done twice.
"""

import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .case import Found, Plan
from .events import Watch
from .program import Program
from .scene import LIMIT_S, Scene, fault_of, last
from .study import STUDIES

READ = (
    ("check", "results", "--claims", "claims.toml"),
    ("report", "results", "--to", "../printed/report", "--format", "csv", "--claims", "claims.toml"),
    ("compare", "results", "results"),
)


def cases(plan: Plan) -> list[Any]:
    """The numbers of runs and of kills among them."""
    left, each = plan.kills_of("together"), list[Any]([] if plan.short else [(2, 0), (3, 0), (4, 0), (3, 0)])
    while left > 0:
        each.append((2 + len(each) % 3, min(left, 1 + len(each) % 2)))
        left -= each[-1][1]
    return each


def drill(what: tuple[int, int], plan: Plan, folder: Path, chance: random.Random) -> Found:
    count, kills = what
    scene = Scene(folder, STUDIES["trains"], plan.references["trains"])
    scene.says_at = f"{count} runs, {kills} killed"
    logs = [folder / f"deeds-{number}" for number in range(count)]
    runs = [scene.start(watch=Watch(str(folder), log=str(log))) for log in logs]
    doomed = {run: time.monotonic() + chance.uniform(0.2, 1.0) * scene.reference.seconds for run in runs[:kills]}
    number = 0
    while any(run.poll() is None for run in runs):
        for run in [run for run, at in doomed.items() if time.monotonic() > at]:
            doomed.pop(run)
            scene.kills += run.poll() is None
            run.signal(chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        scene.check_reader(READ[number % 3], scene.run(*READ[number % 3]))
        number += 1
        if number > 400:
            scene.says("the runs wait for each other for ever")
            break
    for run in runs[kills:]:
        _check_end(scene, run)
    if not kills:
        _check_once(scene, logs)
    while scene.kills < kills:  # they were done before
        scene.clear()
        scene.strike(scene.start(), chance.uniform(0.1, 0.9) * scene.reference.seconds, signal.SIGKILL)
    scene.check_after_kill()
    scene.finish()
    scene.check_processes()
    return scene.found


def _check_end(scene: Scene, run: Program) -> None:
    ended = run.wait(LIMIT_S)
    if fault := fault_of(ended) or (f"exit {ended.code}: {last(ended.err)}" if ended.code else ""):
        scene.says(f"a run beside others: {fault}")


def _check_once(scene: Scene, logs: list[Path]) -> None:
    """Each job was done by one of the runs: its record got its name once."""
    made: Counter[str] = Counter()
    for log in logs:
        for point in Watch("", log=str(log)).points():
            for key in scene.reference.facts:
                made[key] += point.deed.startswith(("os.rename", "os.link")) and f".{key}.json." in point.deed
    for key, count in made.items():
        if count > 1:
            scene.says(f"{key} was made {count} times")
