"""Kills at exact points: a run, or a worker, ends just before its N-th deed to a file or a process.

An unbroken run tells which deeds there are. The points are drawn evenly from all of them; with enough kills each has
its turn. Most are SIGKILL, after which nothing of the program runs any more.
"""

import random
import signal
from pathlib import Path
from typing import Any

from .case import Found, Plan
from .events import Point
from .program import Program
from .scene import LIMIT_S, Reference, Scene, last
from .study import STUDIES

SIGNALS = (*[signal.SIGKILL] * 5, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def cases(plan: Plan) -> list[Any]:
    """Points of both studies, a kill each."""
    count = plan.kills_of("points")
    shares = {"trains": count - count // 4, "counts": count // 4}
    return [
        (name, points[int((number + 0.5) * len(points) / share)])
        for name, share in shares.items() if (points := plan.references[name].points)
        for number in range(share)
    ]  # fmt: skip


def drill(what: tuple[str, Point], plan: Plan, folder: Path, chance: random.Random) -> Found:
    name, point = what
    scene = Scene(folder, STUDIES[name], plan.references[name])
    scene.says_at = f"{name}, {point.role}: {point.deed}"
    number = chance.choice(SIGNALS)
    program = scene.start(watch=scene.watch.at(point, number))
    if not ended_by_kill(scene, program, point, number):
        strike(scene, scene.reference, chance)
    scene.check_after_kill()
    scene.finish()
    scene.check_processes()
    return scene.found


def ended_by_kill(scene: Scene, program: Program, point: Point, number: int) -> bool:
    """Wait for the program; whether the point was reached."""
    ended = program.wait(LIMIT_S)
    if ended.code is None:
        scene.says(f"hangs after {signal.Signals(number).name} at {point.role}")
    if "Traceback (most recent call last)" in ended.err:
        scene.says(f"traceback after {signal.Signals(number).name} of {point.role.split()[0]}: {last(ended.err)}")
    is_reached = ended.code != 0
    scene.kills += is_reached
    return is_reached


def strike(scene: Scene, reference: Reference, chance: random.Random) -> None:
    """Kill the program after a random time; once more, from the start, where it was done before that."""
    for _ in range(20):
        program = scene.start()
        seconds, number = chance.uniform(0, reference.seconds), chance.choice(SIGNALS)
        if scene.strike(program, seconds, number):
            return
        scene.clear()
