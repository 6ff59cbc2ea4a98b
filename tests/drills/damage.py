"""Damage: any file that a run left is changed, or is a folder, a link or a pipe now; then the commands are used again.

Each has the same scores and exit 0, or says in one line which file is damaged and ends with exit 2. A report or a
comparison may also leave the file out, and say so.
"""

import os
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import rubbish
from .case import Found, Plan
from .program import Ended
from .scene import HIDDEN, LIMIT_S, Scene, facts_in, fault_of, last
from .study import STUDIES

Harm = Callable[[Path, random.Random], None]
TIMES = 8  # that each harm is done
LINES = 6  # of an error: a heading, and a line each for what is damaged by it


def bits(path: Path, chance: random.Random) -> None:
    """A bit is flipped."""
    content = bytearray(path.read_bytes() or b"\0")
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def other(path: Path, chance: random.Random) -> None:
    """Its bytes are cut, doubled, swapped or gone."""
    changes = rubbish.cut, rubbish.take_out, rubbish.repeat, rubbish.swap, rubbish.empty, rubbish.write_over
    change = chance.choice(changes)
    path.write_bytes(change(path.read_bytes(), chance))


def word(path: Path, chance: random.Random) -> None:
    """A number or a word in it is another one."""
    change = rubbish.other_value if path.suffix == ".json" else rubbish.other_word
    path.write_bytes(change(path.read_bytes(), chance))


def gone(path: Path, chance: random.Random) -> None:
    """It is gone."""
    path.unlink()


def folder(path: Path, chance: random.Random) -> None:
    """A folder is in its place."""
    path.unlink()
    path.mkdir()
    (path / "own.txt").write_text("somebody's own")


def link(path: Path, chance: random.Random) -> None:
    """A link is in its place: to nothing, to itself, to a file of somebody's own."""
    path.unlink()
    path.symlink_to(chance.choice((Path("/nowhere/at/all"), path, path.parents[-2] / "own.txt", Path("/dev/full"))))


def pipe(path: Path, chance: random.Random) -> None:
    """A pipe is in its place, which nobody writes to."""
    path.unlink()
    os.mkfifo(path)


HARMS: tuple[Harm, ...] = (bits, bits, bits, other, other, other, word, word, gone, folder, link, pipe)
MACHINES = re.compile(r"/machine/|/logs/|/tensorboard/")  # what no result depends on: harmed more rarely


def cases(plan: Plan) -> list[Any]:
    """Each harm in turn, to a finished run or, two times of five, to one that was killed."""
    return plan.some([(number % len(HARMS), number % 5 < 2) for number in range(TIMES * len(HARMS))], 3)


def drill(what: tuple[int, bool], plan: Plan, place: Path, chance: random.Random) -> Found:
    number, is_half = what
    scene = Scene(place, STUDIES["trains"], plan.references["trains"])
    own = place / "own.txt"
    own.write_text("somebody's own")
    program = scene.start()
    if is_half:
        scene.strike(program, scene.reference.seconds * chance.uniform(0.5, 1), signal.SIGKILL, begun=True)
    else:
        program.wait(LIMIT_S)
    files = [path for path in _left(scene) if not MACHINES.search(str(path)) or chance.random() < 0.2]
    harmed, harm = chance.choice(files), HARMS[number]
    name = str(harmed.relative_to(place))
    harm(harmed, chance)
    scene.says_at = f"{'half a run' if is_half else 'a run'}, {name}: {harm.__doc__}"
    for command in chance.sample(["check", "report", "compare", "run"], 4):
        _use(scene, command, harmed)
    if own.read_text() != "somebody's own":
        scene.says("a link was followed, and a file of somebody's own written over")
    scene.check_processes()
    scene.broken = [f"{_kind_of(name)}, {(harm.__doc__ or '').rstrip('.').lower()}: {line}" for line in scene.broken]
    scene.kills = 0  # not one of those that the plan counts
    return scene.found


def _left(scene: Scene) -> list[Path]:
    """The files that can be harmed, in order."""
    folders = (scene.out, scene.work / "reports", scene.folder / "home", scene.folder / "machine")
    return sorted(path for one in folders for path in one.rglob("*") if path.is_file())


def _use(scene: Scene, command: str, harmed: Path) -> None:
    commands = {
        "check": ("check", "results", "--claims", "claims.toml"), "compare": ("compare", "results", "results"),
        "report": ("report", "results", "--to", "reports", "--claims", "claims.toml"), "run": scene.study.command,
    }  # fmt: skip
    ended = scene.run(*commands[command])
    if fault := fault_of(ended):
        scene.says(f"{command}: {fault}")
    elif ended.code == 2:
        _check_error(scene, command, ended, harmed)
    elif command == "run":
        _check_run(scene, ended)
    elif ended.code != 0:
        scene.says(f"{command}: exit {ended.code}: {last(ended.err)}")
    if hidden := HIDDEN.search(ended.err):
        scene.says(f"{command} names a hidden file: {hidden[1]}") if hidden[1] != harmed.name else None


def _check_error(scene: Scene, command: str, ended: Ended, harmed: Path) -> None:
    """The error names the file, its folder or, where it is of a folder's, what that folder is."""
    lines = [line for line in ended.err.splitlines() if line.strip()]
    error = next((at for at, line in enumerate(lines) if line.startswith("bench: ")), None)
    if error is None or len(lines) - error > LINES:
        scene.says(f"{command}: exit 2, and not one line: {last(ended.err)}")
    named = "".join(ended.err.split())  # a terminal's width must not hide a name
    shown = [harmed.name, *(part.name for part in harmed.parents[:1] if part.name not in ("results", "reports"))]
    if not any("".join(name.split()) in named for name in shown) and "no records in" not in ended.err:
        scene.says(f"{command}: exit 2, and the file is not named: {last(ended.err)}")


def _check_run(scene: Scene, ended: Ended) -> None:
    if ended.code != 0:
        scene.says(f"run: exit {ended.code}: {last(ended.err)}")
        return
    wanted, found = scene.reference.facts, dict[str, Any]()
    try:
        found = facts_in(scene.out)
    except (OSError, ValueError):
        scene.says("run: exit 0, and a record that cannot be read")
        return
    if missing := wanted.keys() - found.keys():
        scene.says(f"run: exit 0, and no record of {sorted(re.sub('-[0-9a-f]{12}', '', key) for key in missing)}")
    for key in wanted.keys() & found.keys():
        if found[key] != wanted[key]:
            scene.says("run: OTHER SCORES with exit 0")


def _kind_of(name: str) -> str:
    """What a file is, for the table."""
    kinds = {
        r"/checkpoints/.*card": "a card", r"weights\.saf": "weights", r"\.ckpt$": "a checkpoint",
        r"training\.csv": "the log of a training", r"/tensorboard/": "events of TensorBoard",
        r"/cache/folder": "decoded images", r"\.npz$": "predictions", r"results/[^/]*\.json$": "a record",
        r"/splits/": "a split", r"/logs/": "a log", r"bench-report\.json": "a manifest",
        r"work/reports/": "a file of a report", r"home/.*code/": "the cache of code",
        r"contents\.sqlite": "the cache of contents", r"\.lock$": "a lock", r"machine/": "a lock of the machine",
    }  # fmt: skip
    return next((kind for pattern, kind in kinds.items() if re.search(pattern, name)), "another file")
