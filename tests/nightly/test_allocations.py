"""Commands that Slurm starts, once or several times, with the GPUs that it gives them: a real Slurm, pretended GPUs."""

import json
import subprocess

import pytest
from orders import TINY
from pretending import environment
from slurm_study import BENCH, scores

from bench.read.load import load

pytest_plugins = ["slurming"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
COMMAND = " ".join(BENCH)
ASKED = "--measure dice --size 32 --budget smoke --precision float32 --threads 2 --quiet"


@pytest.fixture
def typed(slurm, tmp_path, monkeypatch):
    """Runs lines of shell in a job, in a folder with a small network; returns what they said."""
    own = {"BENCH_LOCKS": str(tmp_path), "BENCH_TESTS_GPU_LOG": str(tmp_path / "log")}
    for name, value in environment(2, **own).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "tiny.py").write_text(TINY)

    def in_a_job(script, *flags):
        job = slurm.sbatch(f"{script}\necho ended with $?", f"--chdir={tmp_path}", "--nodes=1", *flags)
        slurm.ended(600)
        (out,) = slurm.folder.glob(f"{job}-*.out")
        return out.read_text()

    return in_a_job


def used(folder):
    """The GPUs that workers had, each with what it could see."""
    lines = map(json.loads, (folder / "log").read_text().splitlines())
    return {(one["visible"], one["uuid"][-1]) for one in lines if "bench.run.child" in " ".join(one["command"])}


def test_one_of_the_tasks_of_a_step_trains_on_all_and_comes_to_what_it_does_outside(typed, tmp_path):
    run = f"run tiny.py:Tiny {ASKED} --device cpu --devices 2"
    subprocess.run([*BENCH, *run.split(), "--out", "outside/results"], cwd=tmp_path, check=True)
    said = typed(f"srun {COMMAND} {run}", "--ntasks=2", "--cpus-per-task=2")
    assert said.count("bench: Slurm started this command several times on this machine") == 1
    assert said.splitlines()[-1] == "ended with 0"
    assert as_text(scores(tmp_path)) == as_text(scores(tmp_path / "outside"))
    names = [{path.name for path in (folder / "results").glob("*.json")} for folder in (tmp_path, tmp_path / "outside")]
    assert names[0] == names[1] != set()


def as_text(found):
    """As text, in which what is no number is equal to itself."""
    return {key: json.dumps(value) for key, value in found.items()}


def test_all_gpus_of_a_step_are_used_by_one_task(typed, tmp_path):
    typed(f"srun {COMMAND} run tiny.py:Tiny {ASKED} --device cuda --devices 2", "--ntasks=2", "--gpus=2")
    assert [record.status for record in load([tmp_path / "results"]).records] == ["ok"]
    assert used(tmp_path) == {("0,1", "0"), ("0,1", "1")}


def test_tasks_with_a_gpu_each_share_the_trainings(typed, tmp_path):
    said = typed(
        f"srun {COMMAND} run tiny.py:Tiny {ASKED} --device cuda --seeds 0,1,2,3", "--ntasks=2", "--gpus-per-task=1"
    )
    assert said.splitlines()[-1] == "ended with 0"
    assert [record.status for record in load([tmp_path / "results"]).records] == 4 * ["ok"]
    assert used(tmp_path) == {("0", "0"), ("1", "1")}


def test_a_task_that_sees_too_few_says_what_to_do_in_a_line(typed, tmp_path):
    said = typed(
        f"srun {COMMAND} run tiny.py:Tiny {ASKED} --device cuda --devices 2", "--ntasks=2", "--gpus-per-task=1"
    )
    told = "sees 1 GPU of the 2 that the job has on this machine; start one task with all, as in: "
    assert said.count(f"{told}srun --ntasks-per-node=1 --gpus-per-task=2") == 1
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "ended with 2"
    assert not (tmp_path / "results").exists()


def test_a_task_of_a_study_uses_both_of_its_gpus(typed, tmp_path):
    run = f"tiny.py:Tiny {ASKED} --device cuda --devices 2".replace(" --quiet", "")
    subprocess.run([*BENCH, "run", *run.split(), "--save-study", "two.toml"], cwd=tmp_path, check=True)
    told = subprocess.run([*BENCH, "jobs", "two.toml", "--json"], cwd=tmp_path, check=True, capture_output=True)
    (task,) = json.loads(told.stdout)
    assert task["gpus"] == 2
    said = typed(f"srun {COMMAND} work {task['key']} --study two.toml --quiet", "--ntasks=1", "--gpus-per-task=2")
    assert said.splitlines()[-1] == "ended with 0"
    assert used(tmp_path) == {("0,1", "0"), ("0,1", "1")}
