"""How long planning, submitting (dry), `bench status` and `bench report` take as a study and its records grow.

A study of tiny networks, two small data sets and as many seeds as it takes. Half of its trainings have a record, which
is made up. Nothing is measured, and Slurm is not asked: what would be submitted is shown.

    python tests/benchmarks/many_tasks.py --out results/reference/many_tasks.md
    python tests/benchmarks/many_tasks.py --jobs 1000

Each figure is of a fresh process on a machine that should be idle, in seconds. The first command on a study also looks
at the code of each network in a file, once; what that takes has a column of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from bench.machine import state, this_machine
from bench.quantities import CurvePoint, ImageScore, Scores
from bench.run.plan import plan
from bench.run.store import Record, Store
from bench.run.study_file import read_study

MOST_SEEDS, DATA = 100, 2
IMAGES = 12  # of the test sides, about
NETWORK = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, classes=1):
        super().__init__(nn.Conv2d(3, {width}, 3, padding=1), nn.Conv2d({width}, classes, 1))
"""
STUDY = """\
networks = [{networks}]
measures = ["cost", "dice"]
budget = "smoke"
seeds = [{seeds}]
device = "cuda"
precision = "bfloat16"
threads = 8
on = "slurm"

[slurm]
partition = "gpu"

[[data]]
name = "synthetic"

[[data]]
name = "folder"
root = "clinic"
"""
COMMANDS = {
    "plan (`bench jobs`)": ["jobs", "study.toml", "--json"],
    "submit, dry (`bench run --on slurm --show-plan`)": ["run", "study.toml", "--show-plan"],
    "`bench status`": ["status", "study.toml"],
    "`bench report`, CSV": ["report", "study.toml", "--format", "csv"],
}


def clinic(root: Path) -> None:
    """A folder of 60 images of noise with a square each."""
    drawn = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number in range(60):
        mask = np.zeros((32, 32), np.uint8)
        mask[8:20, 8 : 12 + number % 12] = 255
        Image.fromarray(drawn.integers(0, 255, (32, 32, 3), np.uint8)).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")


def write_study(folder: Path, jobs: int) -> None:
    """A study of so many trainings."""
    networks = -(-jobs // (MOST_SEEDS * DATA)) if jobs > MOST_SEEDS * DATA else 1
    seeds = jobs // (networks * DATA)
    names = [f"net{number}.py:Net" for number in range(networks)]
    for number in range(networks):
        (folder / f"net{number}.py").write_text(NETWORK.format(width=number + 1))
    clinic(folder / "clinic")
    text = STUDY.format(networks=", ".join(f'"{name}"' for name in names), seeds=", ".join(map(str, range(seeds))))
    (folder / "study.toml").write_text(text)


def write_records(folder: Path) -> int:
    """Made-up records of every second training of the study; how many."""
    drawn, count = np.random.default_rng(1), 0
    with chdir(folder), patch("os.fsync"):
        planned = plan(read_study(Path("study.toml")).study(elsewhere=True))
        trained = [job for job in planned.jobs if job.spec.quantity == "dice"]
        for job in trained[::2]:
            dice = drawn.uniform(0.6, 0.9, IMAGES)
            images = tuple(ImageScore(id=f"i{n}", label=1, patient=f"i{n}", dice=float(d)) for n, d in enumerate(dice))
            curve = (CurvePoint(step=4, loss=0.5, val_dice=0.7),)
            scores = Scores(
                loaded=False, best_step=4, curve=curve, train_images_per_s=40.0, images=images, patients="named"
            )
            now = state()
            made = Record(
                job=job, status="ok", machine=this_machine(), before=now, after=now, wall_s=9.0, result=scores
            )
            Store(Path("results")).write(made)
            count += 1
    return count


def seconds(words: Sequence[str], folder: Path) -> float:
    """What a command takes in a process of its own."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *words], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}: {done.stderr[-800:]}")
    return took


def measure(jobs: int) -> list[str]:
    """A line of the table."""
    with tempfile.TemporaryDirectory(prefix="bench-tasks-") as temporary:
        folder = Path(temporary)
        write_study(folder, jobs)
        records = write_records(folder)
        first = seconds(COMMANDS["plan (`bench jobs`)"], folder)
        took = [seconds(words, folder) for words in COMMANDS.values()]
        command = [sys.executable, "-m", "bench.cli", *COMMANDS["plan (`bench jobs`)"]]
        listed = json.loads(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout)
    cells = [f"{jobs:,}", f"{records:,}", f"{len(listed):,}", *(f"{one:.1f}" for one in (first, *took))]
    print(", ".join(cells), file=sys.stderr)
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="100,1000,10000", help="how many trainings, by commas")
    parser.add_argument("--out", type=Path, help="a file for the table")
    given = parser.parse_args()
    lines = [measure(int(jobs)) for jobs in given.jobs.split(",")]
    head = ["Trainings", "On record", "Tasks to do", "first plan (s)", *(f"{name} (s)" for name in COMMANDS)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---:"] * len(head), *lines]) + "\n"
    print(table)
    if given.out:
        given.out.write_text(table)


if __name__ == "__main__":
    main()
