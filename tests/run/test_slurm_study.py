"""A whole study on a real Slurm of two nodes with two pretended GPUs each, compared with the same on this machine."""

import json
import os
import subprocess
from itertools import pairwise

import pytest
from slurm_study import BENCH, scores, write

from bench.run.store import read_record

pytest_plugins = ["slurming"]
pytestmark = pytest.mark.timeout(600)


def called(folder, *words):
    """A command of bench in a folder; what it printed."""
    env = {**os.environ, "BENCH_LOCKS": str(folder)}
    done = subprocess.run([*BENCH, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_study_on_two_nodes_gives_the_scores_of_the_same_on_one_machine(slurm, tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
        write(folder)
    called(there, "run", "study.toml", "--quiet")
    called(here, "run", "study.toml", "--on", "local", "--measure", "dice", "--quiet")
    assert len(scores(here)) == 16
    found, expected = scores(there), scores(here)
    assert [key for key in expected if found.get(key) != expected[key]] == [], "to the last bit"

    told = json.loads(called(there, "status", "study.toml", "--json"))
    assert [one["state"] for one in told] == ["on record"] * 17
    logs = [*(there / "results" / "logs" / "slurm").glob("*/*_log.err")]
    assert len(logs) == 17
    assert {line.split()[3] for log in logs for line in log.read_text().splitlines() if line.startswith("bench: begun")}

    (times,) = (there / "results" / "studies").glob("times-*@*.json")
    timed = [read_record(there / "results" / f"{key}.json") for key in json.loads(times.read_text())["jobs"]]
    latency = sorted((one for one in timed if one.job.spec.quantity == "latency"), key=lambda one: one.before.clock_s)
    assert len({one.machine_id for one in latency}) == 1
    assert all(one.job.network != other.job.network for one, other in pairwise(latency)), "in turn"
