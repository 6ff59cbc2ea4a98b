"""Several runs in one folder at once: each job is done once, every record is whole, and all of them end well."""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.run.store import read_record

ROOT = str(Path(__file__).parents[2])  # and not all of this process's path, to which other tests add folders
# `bench`, which notes each job that it does itself.
NOTING = """
import sys
from bench.run import local
from bench.cli import main

done, real = sys.argv.pop(1), local.run

def run(order, tell, server=None):
    with open(done, "a") as lines:
        lines.write(order.job.key + "\\n")
    return real(order, tell, server)

local.run = run
main()
"""


def begun(folder: Path, networks: str, measure: str) -> "subprocess.Popen[str]":
    """A run that was started in a folder."""
    asked = ["--measure", measure, "--size", "64", "--budget", "smoke", "--quiet", "--json"]
    start = [sys.executable, "-c", NOTING, str(folder / "done"), "run", *networks.split(), *asked]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(start, cwd=folder, env={**os.environ, "PYTHONPATH": ROOT}, **pipes)


def at_once(folder: Path, *plans: str, measure: str = "cost") -> tuple[list[str], list[str]]:
    """Start a run of each plan (networks by spaces) at the same time; the jobs done, and the networks in each table."""
    with ExitStack() as ends:
        processes = []
        for plan in plans:
            processes.append(begun(folder, plan, measure))
            ends.callback(processes[-1].kill)
        said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(plans), said
    tables = [" ".join(sorted(row["network"] for row in json.loads(out)["rows"])) for out, _ in said]
    return (folder / "done").read_text().split(), tables


def check(folder: Path, *plans: str) -> None:
    done, tables = at_once(folder, *plans)
    assert tables == [" ".join(sorted(plan.split())) for plan in plans]
    networks = set(" ".join(plans).split())
    assert max(Counter(done).values()) == 1
    assert len(done) == len(networks)
    records = [read_record(path) for path in (folder / "results").glob("*.json")]
    assert {record.id for record in records} == set(done)
    assert {record.job.network for record in records} == networks
    assert all(record.status == "ok" for record in records)
    left = {path.name for path in (folder / "results").iterdir()} - {f"{record.id}.json" for record in records}
    assert left == {"logs"}
    assert not (folder / "reports" / "replaced").exists()


def test_two_runs_of_one_plan(tmp_path):
    check(tmp_path, "unext malunet", "unext malunet")


@pytest.mark.slow
@pytest.mark.parametrize("plans", [
    ("egeunet unext malunet", "malunet egeunet"), ("egeunet unext malunet",) * 4,
    ("egeunet", "egeunet unext", "unext malunet", "malunet egeunet"),
], ids=["two overlap", "four alike", "four overlap"])  # fmt: skip
def test_more_runs(tmp_path, plans):
    check(tmp_path, *plans)


@pytest.mark.slow
def test_two_runs_train_a_network_once(tmp_path):
    done, tables = at_once(tmp_path, "unext", "unext", measure="dice")
    assert tables == ["unext", "unext"]
    (record,) = (read_record(path) for path in (tmp_path / "results").glob("*.json"))
    assert done == [record.id]
    assert not record.result.loaded
    (kept,) = (tmp_path / "results").glob("*.npz")
    assert kept.name == f"{record.id}.{record.result.predictions}.predictions.npz"


@pytest.mark.slow
def test_what_a_killed_run_had_begun_is_done_at_once_by_the_next(tmp_path):
    with begun(tmp_path, "unext malunet", "cost") as first:
        while not list(tmp_path.glob("results/locks/*.lock")):
            assert first.poll() is None
        first.kill()
    (left,) = tmp_path.glob("results/locks/*.lock")
    assert f'"process": {first.pid}' in left.read_text()
    done, tables = at_once(tmp_path, "unext malunet")
    assert tables == ["malunet unext"]
    assert not left.exists()
    records = [read_record(path) for path in (tmp_path / "results").glob("*.json")]
    assert {record.id for record in records} == set(done)
    assert all(record.status == "ok" for record in records)
