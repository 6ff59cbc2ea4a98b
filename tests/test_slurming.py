"""The Slurm that tests start: jobs run on its two nodes and see their own GPUs, and nothing of it is left."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from slurming import NODES, Slurm, missing, running

pytest_plugins = ["slurming"]


def printed(slurm: Slurm) -> dict[str, list[str]]:
    """The words that each job printed, by the name of its file."""
    return {path.name: path.read_text().split() for path in slurm.folder.glob("*-*-*.out")}


def test_jobs_see_gpus_of_their_own_on_two_nodes(slurm):
    slurm.sbatch("echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES; sleep 1", "--array=0-3", "--gpus=1")
    slurm.ended()
    places = sorted(tuple(words) for words in printed(slurm).values())
    assert places == [("n1", "0"), ("n1", "1"), ("n2", "0"), ("n2", "1")]


@pytest.mark.slow
@pytest.mark.parametrize("noticed", [True, False])
def test_what_ran_on_a_killed_node_runs_again_on_the_other(slurm, noticed):
    told = slurm.folder / f"told-{noticed}"
    job = slurm.sbatch(f"echo $SLURMD_NODENAME >> {told}; test -e {told}.gone || sleep 300")
    slurm.until(told.exists)
    (first,) = [row.node for row in slurm.squeue() if row.id == job]
    (told.with_name(told.name + ".gone")).touch()
    slurm.kill_node(first, noticed)
    slurm.ended(120)
    assert told.read_text().split() == [first, *(set(NODES) - {first})]


def test_nothing_is_left():
    if why := missing():
        pytest.skip(why)
    before = set(psutil.Process().children(recursive=True))
    with running() as started:
        started.sbatch("sleep 300")
        started.until(lambda: started.squeue("--states=RUNNING"))
        folder, children = started.folder, set(psutil.Process().children(recursive=True)) - before
        assert len(children) > 4
    assert not folder.exists()
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in children)
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]


def test_nothing_is_left_of_killed_tests():
    if why := missing():
        pytest.skip(why)
    script = (
        "import slurming, time\nwith slurming.running() as one:\n    print(one.folder, flush=True)\n    time.sleep(99)"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    told = {"stdout": subprocess.PIPE, "text": True, "env": {**os.environ, "PYTHONPATH": path}}
    with subprocess.Popen([sys.executable, "-c", script], **told) as tests:
        folder = tests.stdout.readline().strip()
        supervisors = psutil.Process(tests.pid).children()
        children = psutil.Process(tests.pid).children(recursive=True)
        for process in [psutil.Process(tests.pid), supervisors[0]]:  # the first is that of munged
            process.kill()
    assert psutil.wait_procs(children, timeout=20)[1] == []
    shutil.rmtree(folder)


def test_where_it_cannot_be_started_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name, **how: None)
    monkeypatch.delenv("BENCH_TEST_SLURM", raising=False)
    assert "`apt-get install slurmctld slurmd slurm-client munge`" in missing()


def test_it_is_installed_where_that_is_asked_for(monkeypatch):
    called, found = [], {"which": None}
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name, **how: found["which"])

    def run(words, **how):
        called.append(words)
        found["which"] = "/found"
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setenv("BENCH_TEST_SLURM", "install")
    assert missing() == ""
    assert called[0] == ["sudo", "--non-interactive", "apt-get", "--quiet", "update"]
    assert called[-1][-4:] == ["slurmctld", "slurmd", "slurm-client", "munge"]
