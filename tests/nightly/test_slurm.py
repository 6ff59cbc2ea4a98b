"""What goes wrong on a cluster, on a real Slurm: each task is done once in the end, and says the same, or is told why.

A node dies, a job takes another's place, a time limit comes, tasks and submitters are killed, and two submit at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from slurming import Slurm

from bench.run.slurm import Engine, Task, watch
from bench.run.slurm_ended import why_ended
from bench.run.slurm_place import Place
from bench.run.slurm_queue import Standing, cancel, queue

pytest_plugins = ["slurming"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parent.parent.parent
TASK = ROOT / "tests" / "slurm_task.py"


class Study:
    """Tasks of so many steps, of 0.1 s each, in a folder."""

    def __init__(self, folder: Path, keys: Sequence[str], steps: int, **place: object) -> None:
        self.folder, self.keys, self.steps = folder, list(keys), steps
        self.engine = Engine(
            Place.of({"time": 30, "grace": 20, **place}), folder / "study", folder / "out",
            lambda key: [str(TASK), key, str(folder), str(steps)], cwd=folder,
        )  # fmt: skip

    def submit(self) -> tuple[str, ...]:
        return self.engine.submit([Task(key, traces=(f"{key}.checkpoint",)) for key in self.keys], self.done).keys

    def done(self, key: str) -> bool:
        return (self.folder / f"{key}.record").exists()

    def attempts(self, key: str) -> list[list[str]]:
        """Of each attempt at a task: the node, the GPU, the process, and the step that it began at."""
        path = self.folder / f"{key}.attempts"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def running(self) -> bool:
        return all(self.attempts(key) for key in self.keys)

    def watch(self) -> dict[str, Standing]:
        return watch(self.engine.folder, self.keys, self.done, lambda standings: None, poll_s=0.5)

    def settled(self) -> None:
        """Watch to the end, and see that each task has the record that an undisturbed one has."""
        end = self.watch()
        told = {key: why_ended(one) for key, one in end.items() if one.state != "done"}
        assert told == {}
        total = 0
        for step in range(1, self.steps + 1):
            total = (total * 31 + step) % 1_000_003
        assert {(self.folder / f"{key}.record").read_text() for key in self.keys} == {str(total)}


def test_what_ran_on_a_node_that_died_is_done_on_another(slurm: Slurm, tmp_path):
    study = Study(tmp_path, ["a", "b", "c", "d"], 50)
    study.submit()
    slurm.until(study.running)
    slurm.kill_node("n1")
    study.settled()
    assert sorted(len(study.attempts(key)) for key in study.keys) == [1, 1, 2, 2]
    assert all(study.attempts(key)[-1][0] == "n2" for key in study.keys)


def test_a_preempted_task_saves_and_goes_on_when_the_other_job_is_over(slurm: Slurm, tmp_path):
    study = Study(tmp_path, ["a"], 100, partition="low")
    study.submit()
    slurm.until(study.running)
    time.sleep(2)
    slurm.sbatch("sleep 3", "--partition=high", "--gpus=2", "--exclusive", "--nodelist=n1")
    study.settled()
    first, second = study.attempts("a")
    assert int(first[3]) == 0
    assert int(second[3]) > 0


@pytest.mark.parametrize("number", ["USR2", "TERM"])
def test_a_task_that_is_told_to_stop_goes_on_from_its_checkpoint(slurm: Slurm, tmp_path, number):
    """As at a time limit (USR2), and at preemption where Slurm sends no signal of the user's (TERM)."""
    study = Study(tmp_path, ["a", "b"], 60)
    study.submit()
    slurm.until(study.running)
    time.sleep(2)
    slurm.ask("scancel", f"--signal={number}", queue(study.engine.folder)["a"].id)
    study.settled()
    assert len(study.attempts("a")) == 2
    assert int(study.attempts("a")[1][3]) > 0
    assert len(study.attempts("b")) == 1


@pytest.mark.parametrize("number", ["USR2", "TERM"])
def test_a_signal_before_a_task_has_begun_does_not_end_it(slurm: Slurm, tmp_path, number):
    study = Study(tmp_path, ["a", "b", "c", "d"], 30)
    study.submit()
    slurm.until(lambda: slurm.squeue("--states=RUNNING"))
    for _ in range(15):
        with suppress(AssertionError):  # a moment in which none runs
            slurm.ask("scancel", f"--signal={number}", "--me", "--state=RUNNING")
        time.sleep(0.02)
    study.settled()


@pytest.mark.parametrize("number", ["USR2", "TERM"])
def test_a_real_training_that_is_told_to_stop_is_no_failure(slurm: Slurm, tmp_path, monkeypatch, number):
    """Slurm signals all processes of a task at once, also the worker in which the network is trained."""
    for name, value in {"PYTHONPATH": str(ROOT), "BENCH_LOCKS": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    asked = ["--budget", "smoke", "--size", "64", "--device", "cpu", "--measure", "dice", "--quiet"]
    out = tmp_path / "results"
    to = ["--out", str(out), "--reports", str(tmp_path / "reports")]
    made = Engine(
        Place.of({"time": 30, "grace": 60, "gpus": 0}), tmp_path / "study", out,
        lambda key: ["-m", "bench.cli", "run", "mdsa_unet", *asked, *to], cwd=tmp_path,
    )  # fmt: skip

    def statuses() -> list[str]:
        return [json.loads(path.read_text())["status"] for path in out.glob("*.json")]

    made.submit([Task("training")], lambda key: False)
    slurm.until(lambda: any(out.glob("checkpoints/*/*.ckpt")), 200)
    slurm.ask("scancel", f"--signal={number}", queue(made.folder)["training"].id)
    slurm.until(lambda: queue(made.folder)["training"].state == "queued")
    assert statuses() == []
    end = watch(made.folder, ["training"], lambda key: bool(statuses()), lambda standings: None, poll_s=1)
    assert (end["training"].state, statuses()) == ("done", ["ok"])


def test_a_task_longer_than_its_time_limit_is_done_in_several_turns(slurm: Slurm, tmp_path):
    study = Study(tmp_path, ["a"], 900, time=1, grace=20)
    study.submit()
    study.settled()
    assert len(study.attempts("a")) > 1
    steps = [int(attempt[3]) for attempt in study.attempts("a")]
    assert steps == sorted(steps)
    assert steps[1] > 0


@pytest.mark.parametrize("what", ["the command", "all of it"])
def test_of_a_task_that_is_killed_it_says_so_and_the_next_submission_does_it(slurm: Slurm, tmp_path, what):
    study = Study(tmp_path, ["a", "b"], 40)
    study.submit()
    slurm.until(study.running)
    command = psutil.Process(int(study.attempts("a")[0][2]))
    for process in [command] if what == "the command" else [command.parent(), command]:
        process.kill()
    end = study.watch()
    assert (end["a"].state, end["b"].state) == ("gone", "done")
    told = why_ended(end["a"])
    assert ("killed by SIGKILL" if what == "the command" else "Killed") in told
    assert Path(told.rpartition("; see ")[2]).is_file()
    assert study.submit() == ("a",)
    study.settled()
    assert len(study.attempts("b")) == 1


SUBMIT = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {nightly!r}]
from test_slurm import Study
print(len(Study(Path(sys.argv[1]), sys.argv[3:], int(sys.argv[2])).submit()))
"""


def submitter(study: Study, **env: str) -> subprocess.Popen[str]:
    """A process that submits a study, and says of how many tasks."""
    script = SUBMIT.format(tests=str(ROOT / "tests"), nightly=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", script, str(study.folder), str(study.steps), *study.keys], text=True,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )  # fmt: skip


def test_the_tasks_go_on_without_the_process_that_submitted_them(slurm: Slurm, tmp_path):
    study = Study(tmp_path, ["a", "b", "c"], 30)
    with submitter(study) as process:
        assert process.communicate(timeout=60)[0].strip() == "3"
    assert study.submit() == ()
    study.settled()
    assert all(len(study.attempts(key)) == 1 for key in study.keys)


def test_a_submitter_that_is_killed_in_the_middle_leaves_nothing_that_runs_twice(slurm: Slurm, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scontrol").write_text("#!/bin/sh\nkill -9 $PPID\n")
    (tmp_path / "bin" / "scontrol").chmod(0o755)
    study = Study(tmp_path, ["a", "b", "c"], 10)
    with submitter(study, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}") as process:
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert len(slurm.squeue()) == 3
    time.sleep(3)
    assert not any(map(study.attempts, study.keys))
    assert study.submit() == ("a", "b", "c")
    assert len(slurm.squeue()) == 3
    study.settled()
    assert all(len(study.attempts(key)) == 1 for key in study.keys)


def test_two_that_submit_at_once_submit_each_task_once(slurm: Slurm, tmp_path):
    study = Study(tmp_path, [f"t{number}" for number in range(6)], 10)
    both = [submitter(study) for _ in range(2)]
    said = sorted(int(process.communicate(timeout=120)[0]) for process in both)
    assert said == [0, 6]
    study.settled()
    assert all(len(study.attempts(key)) == 1 for key in study.keys)


def test_cancel_ends_what_is_of_the_study_and_nothing_else(slurm: Slurm, tmp_path):
    study, other = Study(tmp_path / "one", ["a", "b", "c"], 300), Study(tmp_path / "two", ["a"], 40)
    for one in (study, other):
        one.folder.mkdir()
    other.submit()
    mine = slurm.sbatch("sleep 5")
    study.submit()
    slurm.until(lambda: any(map(study.attempts, study.keys)) and other.running())
    assert set(cancel(study.engine.folder)) == {"a", "b", "c"}
    end = study.watch()
    assert {one.state for one in end.values()} == {"gone"}
    assert {why_ended(one).partition(";")[0] for one in end.values()} == {"it was cancelled"}
    other.settled()
    slurm.ended()
    assert (mine, "COMPLETED") in [(row.id, row.state) for row in slurm.squeue("--states=all")]
    assert len(other.attempts("a")) == 1
