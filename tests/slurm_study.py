"""A study for tests of Slurm: tiny networks, two small data sets, two seeds; and what its trainings came to."""

import sys
from pathlib import Path

import numpy as np
from orders import TINY
from PIL import Image

from bench.run.store import read_record

BENCH = (sys.executable, "-m", "bench.cli")
STUDY = """\
networks = [{networks}]
measures = ["cost", "latency", "dice"]
budget = "smoke"
steps = {steps}
seeds = [{seeds}]
sizes = [32]
device = "cpu"
threads = 1
precision = "float32"
{more}

[[data]]
name = "synthetic"

[[data]]
name = "folder"
root = "clinic"
patient = "(p\\\\d+)_"
"""
SLURM = """\
on = "slurm"
[slurm]
time = 30
gpus = 1
memory = "500M"
grace = 20
"""


def clinic(folder: Path) -> None:
    """A folder of 20 images of ten patients, each with a bright square."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / "clinic" / kind).mkdir(parents=True)
    for n in range(20):
        image, mask = rng.integers(0, 90, (40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
        top, left = rng.integers(0, 20, 2)
        image[top : top + 15, left : left + 15] += 120
        mask[top : top + 15, left : left + 15] = 255
        Image.fromarray(image).save(folder / "clinic" / "images" / f"p{n // 2}_{n}.png")
        Image.fromarray(mask).save(folder / "clinic" / "masks" / f"p{n // 2}_{n}.png")


def write(folder: Path, networks: int = 4, seeds: str = "0, 1", steps: int = 4, more: str = SLURM) -> Path:
    """A study of so many networks in a folder, and what it needs; the path of its file."""
    clinic(folder)
    names = []
    for width in range(1, networks + 1):
        (folder / f"net{width}.py").write_text(TINY.replace("8", str(4 * width)))
        names.append(f'"net{width}.py:Tiny"')
    head, _, tables = STUDY.partition("\n\n")
    path = folder / "study.toml"
    settings, _, slurm = more.partition("[slurm]")
    text = f"{head}\n\n{tables}".format(networks=", ".join(names), steps=steps, seeds=seeds, more=settings)
    path.write_text(text + ("\n[slurm]" + slurm if slurm else ""))
    return path


def scores(folder: Path) -> dict[tuple[str, str, int], tuple[str, ...]]:
    """Of each training on record: its curve and the scores of each image, as text, by network, data set and seed."""
    found = {}
    for path in sorted((folder / "results").glob("*-dice-*.json")):
        record = read_record(path)
        spec, result = record.job.spec, record.result
        assert result, record.error
        lines = tuple(one.model_dump_json() for one in (*result.curve, *result.images))
        found[record.job.network, spec.dataset, spec.train.seed] = lines
    return found
