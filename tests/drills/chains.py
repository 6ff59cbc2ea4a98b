"""Random chains: one command, killed two to four times in a row at random times by random signals, then finished."""

import random
from pathlib import Path
from typing import Any

from .case import Found, Plan
from .points import strike
from .scene import Scene
from .study import STUDIES

MEAN = 3  # kills of a chain


def cases(plan: Plan) -> list[Any]:
    """The numbers of kills of each chain."""
    left, lengths = plan.kills_of("chains"), list[Any]()
    while left > 0:
        lengths.append(min(left, (2, 3, 4)[len(lengths) % 3]))
        left -= lengths[-1]
    return lengths


def drill(what: int, plan: Plan, folder: Path, chance: random.Random) -> Found:
    name = chance.choice(("trains", "trains", "counts"))
    scene = Scene(folder, STUDIES[name], plan.references[name])
    scene.says_at = f"{name}, a chain of {what}"
    for _ in range(what):
        strike(scene, scene.reference, chance)
        scene.check_files()
    scene.check_readers()
    scene.finish()
    scene.check_processes()
    return scene.found
