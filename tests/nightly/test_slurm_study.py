"""A study on a real Slurm of which parts are killed: it ends with the records of one that nothing happened to.

Each test has its study of two networks and two seeds, whose trainings are long enough to be hit.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from slurm_study import BENCH, SLURM, scores, write

pytest_plugins = ["slurming"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
STEPS = 600


class Study:
    """A study in a folder, and the commands that a user types there."""

    def __init__(self, folder: Path, slurm: str = SLURM) -> None:
        folder.mkdir()
        self.folder, self.results = folder, folder / "results"
        write(folder, networks=2, steps=STEPS, more=slurm)
        self.env = {**os.environ, "BENCH_LOCKS": str(folder)}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*BENCH, *words], cwd=self.folder, env=self.env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def call(self, *words: str) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, out + err
        return out

    def steps(self) -> dict[str, int]:
        """How far each training is that began."""
        tables = self.results.glob("checkpoints/*/training.csv")
        return {path.parent.name: len(path.read_text().splitlines()) - 1 for path in tables}

    def in_the_middle(self) -> bool:
        """Whether some training has a checkpoint and is not at its end."""
        begun = [*self.results.glob("checkpoints/*/last.ckpt")]
        return bool(begun) and any(50 < self.steps().get(path.parent.name, 0) < STEPS - 100 for path in begun)

    def tasks(self) -> list[dict[str, str]]:
        return json.loads(self.call("status", "study.toml", "--json"))

    def running_on(self, node: str) -> bool:
        return any(
            one["node"] == node and one["state"] == "running" and "times" not in one["key"] for one in self.tasks()
        )

    def settled(self) -> None:
        """Follow it to its end. Each training has one checkpoint folder, and its table each step once."""
        self.call("run", "study.toml", "--quiet")
        assert {one["state"] for one in self.tasks()} == {"on record"}
        for table in self.results.glob("checkpoints/*/training.csv"):
            steps = [int(line.partition(",")[0]) for line in table.read_text().splitlines()[1:]]
            assert steps == [*range(1, STEPS + 1)]
        assert not [*self.results.glob("*.damaged*")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The scores of the study on this machine, in one run."""
    study = Study(tmp_path_factory.mktemp("here") / "study")
    study.call("run", "study.toml", "--on", "local", "--measure", "dice", "--quiet")
    found = scores(study.folder)
    assert len(found) == 8
    return found


def differing(study: Study, undisturbed: dict[Any, Any]) -> list[object]:
    """The trainings that did not come to the same."""
    found = scores(study.folder)
    return [key for key in undisturbed if found.get(key) != undisturbed[key]]


def workers(study: Study) -> list[psutil.Process]:
    """The processes that train for the study."""
    found = (p for p in psutil.process_iter(["cmdline", "cwd"]) if "bench.run.child" in (p.info["cmdline"] or []))
    return [process for process in found if process.info["cwd"] == str(study.folder)]


def test_a_node_is_lost(slurm, tmp_path, undisturbed):
    study = Study(tmp_path / "study")
    study.call("run", "study.toml", "--detach", "--quiet")
    slurm.until(lambda: study.in_the_middle() and study.running_on("n1"), 300)
    slurm.kill_node("n1")
    study.settled()
    assert differing(study, undisturbed) == []


def test_a_task_is_preempted(slurm, tmp_path, undisturbed):
    study = Study(tmp_path / "study", SLURM.replace("time = 30", 'time = 30\npartition = "low"'))
    study.call("run", "study.toml", "--detach", "--quiet", "--measure", "dice")
    slurm.until(study.in_the_middle, 300)
    slurm.sbatch("sleep 5", "--partition=high", "--exclusive")
    study.call("run", "study.toml", "--measure", "dice", "--quiet")
    assert differing(study, undisturbed) == []
    logs = [path.read_text() for path in (study.results / "logs" / "slurm").glob("*/*_log.err")]
    assert max(text.count("bench: begun") for text in logs) > 1, "some began twice"


def test_a_worker_and_a_task_are_killed(slurm, tmp_path, undisturbed):
    """A worker that is killed leaves a record that says so; a task that is killed leaves none. Both are done again."""
    study = Study(tmp_path / "study")
    study.call("run", "study.toml", "--detach", "--quiet")
    slurm.until(lambda: study.in_the_middle() and len(workers(study)) > 1, 300)
    first, second, *_ = workers(study)
    first.kill()
    task = next(parent for parent in second.parents() if {"bench.cli", "work"} <= {*parent.cmdline()})
    task.kill()
    slurm.ended(900)
    assert {one["state"] for one in study.tasks()} == {"on record", "failed"}
    study.settled()
    assert differing(study, undisturbed) == []


def test_who_submits_is_killed(slurm, tmp_path, undisturbed):
    study = Study(tmp_path / "study")
    submitting = study.start("run", "study.toml", "--quiet")
    slurm.until((study.results / "studies" / "submitted.jsonl").exists, 120)
    os.killpg(submitting.pid, signal.SIGKILL)
    submitting.communicate()
    study.settled()
    assert differing(study, undisturbed) == []


def test_two_submit_at_once(slurm, tmp_path, undisturbed):
    study = Study(tmp_path / "study")
    both = [study.start("run", "study.toml", "--quiet") for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, out + err
    lines = (study.results / "studies" / "submitted.jsonl").read_text().splitlines()
    keys = [told["key"] for line in lines if "key" in (told := json.loads(line))]
    assert len(keys) == len(set(keys)) == 9
    study.settled()
    assert differing(study, undisturbed) == []


def test_a_study_is_cancelled(slurm, tmp_path):
    study = Study(tmp_path / "study")
    study.call("run", "study.toml", "--detach", "--quiet")
    assert "tasks were taken out of the queue" in study.call("cancel", "study.toml")
    began = time.monotonic()
    slurm.ended(60)
    assert time.monotonic() - began < 60
    assert "no task of this study is in the queue" in study.call("cancel", "study.toml")
