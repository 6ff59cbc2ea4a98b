"""A worker that is forked does what one does that was started, and leaves as little."""

import os
import signal
import subprocess

import pytest
from orders import LINUX, children, order, tiny

from bench.run.forkserver import ForkServer
from bench.run.worker import run

pytestmark = LINUX
MODULES = ("bench.run.child", "bench.measure.cost")
ODD = """
import os, signal, subprocess, sys
from torch import nn

class {name}(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.head = nn.Conv2d(in_channels, classes, 1)

    def forward(self, x):
        {does}
        return self.head(x)
"""


@pytest.fixture(scope="module")
def server():
    made = ForkServer(MODULES)
    yield made
    made.close()


def odd(folder, does: str) -> str:
    path = folder / "odd.py"
    path.write_text(ODD.format(name="Odd", does=does))
    return f"{path}:Odd"


def quietly(event: dict) -> None:
    pass


def test_a_fork_counts_what_a_process_of_its_own_counts(tmp_path, server):
    network = tiny(tmp_path)
    found = [run(order(tmp_path / name, network, "cost"), quietly, by) for name, by in (("a", server), ("b", None))]
    assert server.process is not None
    assert found[0].status == "ok"
    assert (found[0].job, found[0].result) == (found[1].job, found[1].result)


def test_each_worker_is_a_process_of_its_own_that_heard_its_order(tmp_path, server):
    told = []
    for name in ("a", "b"):
        asked = order(tmp_path / name, odd(tmp_path, "print('pid', os.getpid(), file=sys.stderr)"), "cost")
        assert run(asked, told.append, server).status == "ok"
    numbers = [(tmp_path / name / "logs").glob("*.log") for name in ("a", "b")]
    first, second = (
        {line for log in logs for line in log.read_text().splitlines() if "pid" in line} for logs in numbers
    )
    assert first
    assert second
    assert first.isdisjoint(second)
    assert len(children(server.process.pid)) == 1  # the server; no worker is left


@pytest.mark.parametrize(
    ("does", "status", "error"),
    [
        ("raise ValueError('odd')", "refused", "ValueError: odd"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "the worker died (killed by SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "out_of_memory", "killed by SIGKILL"),
        ("os._exit(7)", "crashed", "the worker died (exit code 7)"),
    ],
)
def test_how_a_forked_worker_ends_is_told(tmp_path, server, does, status, error):
    record = run(order(tmp_path, odd(tmp_path, does), "cost"), quietly, server)
    assert (record.status, error in record.error) == (status, True), record.error


def test_what_a_network_leaves_ends_with_its_worker(tmp_path, server):
    left = tmp_path / "left"
    starts = "subprocess.Popen(['sleep', '600'], start_new_session=True).pid"
    does = f"open({str(left)!r}, 'w').write(str({starts}))"
    assert run(order(tmp_path, odd(tmp_path, does), "cost"), quietly, server).status == "ok"
    with pytest.raises(ProcessLookupError):
        os.kill(int(left.read_text()), 0)


def test_a_server_that_was_killed_is_replaced(tmp_path):
    server = ForkServer(MODULES)
    network = tiny(tmp_path)
    try:
        assert run(order(tmp_path / "a", network, "cost"), quietly, server).status == "ok"
        for number in children(server.process.pid):
            os.kill(number, signal.SIGKILL)
        assert run(order(tmp_path / "b", network, "cost"), quietly, server).status == "ok"
        assert run(order(tmp_path / "c", network, "cost"), quietly, server).status == "ok"
        assert len(list((tmp_path / "c").glob("*.json"))) == 1
    finally:
        server.close()


def test_a_worker_ends_with_whoever_asked_for_it(tmp_path):
    """As when a run is killed: the other ends of its pipes and its socket are closed."""
    server = ForkServer(MODULES)
    child = server.start({**os.environ}, None)
    child.stdin.close()
    code = child.wait(20)
    server.close()
    assert code != 0
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_waiting_for_a_worker_has_a_limit(tmp_path):
    server = ForkServer(MODULES)
    child = server.start({**os.environ}, None)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.2)
    child.kill()
    assert child.wait(20) == -signal.SIGKILL
    server.close()


def test_a_program_that_cannot_import_is_told_by_a_worker_of_its_own(tmp_path):
    server = ForkServer(["no.such.module", *MODULES])
    assert run(order(tmp_path, tiny(tmp_path), "cost"), quietly, server).status == "ok"
    server.close()
