"""Carries drills out, some at a time, each in a process that is forked from this one and gets its orphans."""

import os
import pickle
import random
import select
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from . import program
from .case import Case, Found, Plan
from .scene import last

LIMIT_S = 900.0  # for one drill
Drill = Callable[[object, Plan, Path, random.Random], Found]


@dataclass
class _Running:
    case: Case
    process: int
    pipe: int
    end: float
    content: bytes = b""


def carry_out(
    cases: Sequence[Case], drills: dict[str, Drill], plan: Plan, scratch: Path, jobs: int, keep: bool = False
) -> Iterator[tuple[Case, Found]]:  # fmt: skip
    """Yield each drill with what it found, as they end."""
    waiting, running = list(reversed(cases)), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(waiting.pop(), drills, plan, scratch))
            ready, _, _ = select.select([one.pipe for one in running], [], [], 1.0)
            for one in list(running):
                if one.pipe in ready and (part := os.read(one.pipe, 1 << 20)):
                    one.content += part
                elif one.pipe in ready or time.monotonic() > one.end:
                    running.remove(one)
                    found = _end(one)
                    if not (keep and found.broken):
                        shutil.rmtree(_folder(scratch, one.case), ignore_errors=True)
                    yield one.case, found
    finally:
        for one in running:
            _kill(one.process)


def _folder(scratch: Path, case: Case) -> Path:
    return scratch / f"{case.kind}-{case.number}"


def _start(case: Case, drills: dict[str, Drill], plan: Plan, scratch: Path) -> _Running:
    pipe, to = os.pipe()
    process = os.fork()
    if process:
        os.close(to)
        return _Running(case, process, pipe, time.monotonic() + LIMIT_S)
    try:
        os.close(pipe)
        os.setsid()
        program.adopt()
        program.STATUS.clear()
        folder = _folder(scratch, case)
        folder.mkdir()
        try:
            found = drills[case.kind](case.what, plan, folder, random.Random(f"{plan.seed} {case.kind} {case.number}"))
        except Exception as error:  # noqa: BLE001 - it is told
            lines = traceback.format_exc()
            found = Found(broken=[f"the drill itself fails: {type(error).__name__}: {last(str(error))}"], at=lines)
        _send(to, pickle.dumps(found))
    finally:
        os._exit(0)


def _send(to: int, content: bytes) -> None:
    while content:
        content = content[os.write(to, content) :]


def _end(one: _Running) -> Found:
    os.close(one.pipe)
    _kill(one.process)
    os.waitpid(one.process, 0)
    try:
        return pickle.loads(one.content)
    except (EOFError, pickle.UnpicklingError):
        is_late = time.monotonic() > one.end
        return Found(broken=[f"the drill did not end within {LIMIT_S:.0f} s" if is_late else "the drill was killed"])


def _kill(process: int) -> None:
    try:
        all_of_it = [*psutil.Process(process).children(recursive=True), psutil.Process(process)]
    except psutil.Error:
        return
    for each in all_of_it:
        try:
            each.kill()
        except psutil.Error:
            continue
