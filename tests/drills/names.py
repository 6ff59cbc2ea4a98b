"""Odd names: of the folders, the network's file, the data and its images. Whole commands on each."""

import json
import os
import random
import re
from pathlib import Path
from typing import Any

from . import study as studies
from .case import Found, Plan
from .scene import Scene, fault_of, last
from .study import STUDIES

ODD = (
    "two words", "new\nline", "quo'te\"s", "back\\slash", "-dash", "--out", "$(id)", "`id`", "[red]x[/red]", "<b>x</b>",
    "x" * 200, "é" * 100, "\U0001f600", "\u202etxt", "tab\there", "a,b", "a=b", "a;b", "a&b|c", "%s%d", "{x}", "#x",
    "*?",
    "~", ".hidden", "e\u0301", "\x1b[31mred", "\udcff\udcfe", "con:on", "=1+1", "__pycache__", "a\rb", "_under_*star*",
    "100%",
)  # fmt: skip
PLACES = {
    "the folder": "odd", "the network's file": "mine", "the data": "pictures", "the images": "p", "--out": "kept",
    "--reports": "written",
}  # fmt: skip
CLAIMS = ("--claims", "claims.toml")
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def cases(plan: Plan) -> list[Any]:
    """Names in places; every fifth pair, so that each name and each place has its turn."""
    return plan.some([(place, number) for number in range(len(ODD)) for place in PLACES][::5], 2)


def drill(what: tuple[str, int], plan: Plan, folder: Path, chance: random.Random) -> Found:
    place, number = what
    odd = ODD[number]
    scene = Scene(folder, STUDIES["counts" if place == "the network's file" else "trains"])
    scene.says_at = f"{place}: {odd[:40]!a}"
    names = PLACES | {place: odd}
    file = names["the network's file"] + ".py"
    try:
        scene.work = folder / names["the folder"]
        studies.make(scene.work, file, names["the data"], names["the images"])
        _claim(scene.work / CLAIMS[1], f"./{file}:Mine")
    except OSError as error:
        return Found(skipped=f"names that this file system refuses ({error.strerror})")
    out, reports = f"./{names['--out']}", f"./{names['--reports']}"
    data = ("--dataset", "folder", "--data-root", f"./{names['the data']}") if scene.study.name == "trains" else ()
    run = (
        "run", f"./{file}:Mine", *data, "--budget", "smoke", "--size", "32", "--device", "cpu", "--threads", "1",
        "--measure", "cost,dice" if data else "cost", "--out", out, "--reports", reports,
    )  # fmt: skip
    check, report = ("check", out), ("report", out, "--to", f"{reports}2")
    commands = (run, (*check, *CLAIMS), (*report, *CLAIMS), ("compare", out, out), run)
    codes = [_use(scene, command) for command in commands]
    if codes[0] == 0 and any(codes[1:]):
        scene.says(f"{place}: the run ends well, and then: exits {codes[1:]}")
    _check_written(scene, scene.work / names["--reports"], odd)
    scene.check_processes()
    scene.broken = [f"{place} {odd[:20]!a}: {line}" for line in scene.broken]
    return scene.found


def _claim(path: Path, network: str) -> None:
    """Let the claims be about the network; TOML has no way to write a name that is no UTF-8, which is left as it is."""
    if not re.search("[\ud800-\udfff]", network):
        path.write_text(path.read_text().replace('"mine.py:Mine"', json.dumps(network, ensure_ascii=False)))


def _use(scene: Scene, command: tuple[str, ...]) -> int | None:
    ended = scene.run(*map(os.fsencode, command))
    said = ended.err + ended.out
    if fault := fault_of(ended):
        scene.says(f"{command[0]}: {fault}")
    elif ended.code not in (0, 2):
        scene.says(f"{command[0]}: exit {ended.code}: {last(ended.err)}")
    elif ended.code == 2 and len([line for line in ended.err.splitlines() if line.startswith("bench: ")]) != 1:
        scene.says(f"{command[0]}: exit 2, and not one line: {last(ended.err)}")
    if found := RAW.search(said):
        scene.says(f"{command[0]} prints the character {found[0]!a}")
    return ended.code


def _check_written(scene: Scene, reports: Path, odd: str) -> None:
    """No markup of a name is markup of a report."""
    for name in ("report.html", "report.md"):
        text = (reports / name).read_text(errors="replace") if (reports / name).is_file() else ""
        if "<b>x</b>" in odd and "<b>x</b>" in text:
            scene.says(f"{name} holds the name's markup")
