"""A new quantity is two files and a line, a new score a function and a line; the rest of the program finds them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

QUANTITY = '''"""The number of modules of a network."""

from typing import Literal

from bench.quantities.base import IMAGE, Column, Images, Metric, Quantity, Result


class ModulesSpec(Images):
    """One network."""

    quantity: Literal["modules"] = "modules"


class Modules(Result):
    """Its modules, itself included."""

    quantity: Literal["modules"] = "modules"
    count: int


QUANTITY = Quantity(
    name="modules",
    spec=ModulesSpec,
    result=Modules,
    jobs=lambda asked: [ModulesSpec(classes=asked.maps, size=asked.size)],
    doing="counting the modules of",
    start_s=4.0,
    passes=lambda spec, asked: 0.0,
    told=lambda spec, asked: ("modules", f"those of one network of {spec.channels} channels"),
    summary=lambda result: f"{result.count} modules",
    metrics=(Metric("modules", "exact", "count", IMAGE, lambda result, module: result.count),),
    columns=(Column("modules", "Modules", "", "count", lambda found: found[0].count),),
)
'''
MEASURE = '''"""Counts modules."""

from bench.quantities.modules import Modules


def modules(network, spec, progress=None):
    """The number of modules of a network."""
    return Modules(count=len(list(network.modules())))
'''
SCORE = '''

def specificity(prediction, truth, spacing=None, tolerance=None):
    """The share of the background that was found to be background."""
    background = ~truth
    return float((background & ~prediction).sum() / background.sum()) if background.any() else float("nan")
'''
CLAIMS = """
[few-modules]
says = "It has at most 10,000 modules."
source = "this test"
network = "egeunet"
metric = "modules"
relation = "at_most"
value = 10000
size = 64

[specific]
says = "It is a score, so it needs no value of its own to be read."
source = "this test"
network = "egeunet"
metric = "specificity"
dataset = "synthetic"
relation = "at_least"
value = 0.0
size = 64
"""


def insert(file: Path, before: str, after: str) -> None:
    """Replace a text that is there once."""
    text = file.read_text()
    assert text.count(before) == 1, (file, before)
    file.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the program with a toy quantity and a toy score."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("bench", "baselines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bench" / "quantities" / "modules.py").write_text(QUANTITY)
    (folder / "bench" / "measure" / "modules.py").write_text(MEASURE)
    table = folder / "bench" / "quantities" / "__init__.py"
    insert(table, "latency, memory, peak", "latency, memory, modules, peak")
    insert(table, "(peak, cost,", "(peak, cost, modules,")
    with (folder / "bench" / "measure" / "scores.py").open("a") as scores:
        scores.write(SCORE)
    scores = folder / "bench" / "quantities" / "scores.py"
    insert(scores, 'Score("iou"', 'Score("specificity", "Specificity"),\n        Score("iou"')
    (folder / "toy.toml").write_text(CLAIMS)
    return folder


def bench(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"}
    command = [sys.executable, "-m", "bench.cli", *arguments]
    return subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True, check=False)


def test_a_toy_quantity_and_a_toy_score_are_planned_measured_shown_and_judged(tree):
    asked = ["run", "egeunet", "--measure", "cost,modules,dice", "--budget", "smoke", "--size", "64", "--out", "r"]
    plan = bench(tree, *asked, "--show-plan")
    assert "those of one network of 3 channels" in plan.stderr

    done = bench(tree, *asked, "--reports", "reports")
    assert done.returncode == 0, done.stderr
    assert "counting the modules of EGE-UNet" in done.stderr
    assert "Modules" in done.stdout + done.stderr

    report = (tree / "reports" / "report.md").read_text()
    assert "| Modules |" in report.replace("**", "")
    assert "Specificity" in report
    tidy = (tree / "reports" / "table.csv").read_text().splitlines()[0].split(",")
    assert {"modules", "specificity", "specificity_low"} <= set(tidy)
    assert " modules</span>" in (tree / "reports" / "report.html").read_text()

    verdicts = bench(tree, "check", "r", "--claims", "toy.toml")
    assert "few-modules" in verdicts.stdout
    assert verdicts.stdout.count("✓ holds") == 1, verdicts.stdout
    assert "only 6 of the test images were scored" in verdicts.stdout  # a smoke run decides no score
