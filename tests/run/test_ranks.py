"""The other processes of a training: none is waited for in vain, none outlives the first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from orders import LINUX, children, order, tiny

from bench.errors import Diverged
from bench.run import worker
from bench.run.worker import Ranks, run


def long(tmp_path):
    """A training on two processes that is not over before one of them is killed."""
    return order(tmp_path, tiny(tmp_path), "dice", devices=2, steps=100_000, checkpoint_interval=50_000)


@pytest.mark.slow
@LINUX
def test_the_death_of_another_process_ends_the_job_with_the_reason(tmp_path):
    def kill_the_second(event):
        if event.get("step") == 2:
            os.kill(others()[0], signal.SIGKILL)

    record = run(long(tmp_path), kill_the_second)
    assert record.status == "out_of_memory"
    assert "process 2 of 2: the worker died (killed by SIGKILL" in record.error


@pytest.mark.slow
@LINUX
def test_the_other_processes_die_with_the_first(tmp_path):
    left: list[int] = []

    def kill_the_first(event):
        if event.get("step") == 2:
            left.extend(others())
            os.kill(children(os.getpid())[0], signal.SIGKILL)

    record = run(long(tmp_path), kill_the_first)
    assert "killed by SIGKILL" in record.error
    assert len(left) == 1
    end = time.monotonic() + 10
    while alive(left[0]) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(left[0])


@pytest.fixture
def says(monkeypatch):
    """Stands in for the other process: it says its last word and ends. This process only says that it would end."""
    monkeypatch.setattr(worker.os, "_exit", lambda code: None)
    monkeypatch.setattr(worker, "GRACE_S", 0.5)

    def started(event: str, code: int = 0):
        program = f"import sys; print({event!r}); sys.exit({code})" if event else f"import sys; sys.exit({code})"

        def start(order):
            return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)

        monkeypatch.setattr(worker, "start", start)

    return started


def two(tmp_path, told) -> Ranks:
    asked = order(tmp_path, tiny(tmp_path), "dice", devices=2)
    asked.log.parent.mkdir()
    asked.log.write_text("Traceback\nits last words")
    return Ranks(asked, 2, told.append)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ('{"end": "ok"}', []),
        ('{"end": "crashed", "error": "E: x"}', [{"end": "crashed", "error": "process 2 of 2: E: x"}]),
        ('{"end": "diverged", "error": "at step 3"}', [{"end": "diverged", "error": "at step 3"}]),
        ('{"end": "stop", "error": "no image"}', [{"end": "stop", "error": "no image"}]),
    ],
)
def test_what_another_process_says_last_is_the_end_of_this_one(tmp_path, says, event, told):
    says(event)
    heard = []
    with two(tmp_path, heard):
        pass
    assert heard == told


def test_another_process_that_ends_without_a_word_is_a_crash(tmp_path, says):
    says("", code=7)
    heard = []
    with two(tmp_path, heard):
        pass
    assert heard[0]["end"] == "crashed"
    assert "process 2 of 2: the worker died (exit code 7)" in heard[0]["error"]
    assert heard[0]["error"].endswith("its last words")


def test_a_lost_process_is_the_reason_for_what_this_one_then_meets(tmp_path, says):
    says('{"end": "crashed", "error": "E: x"}')
    heard = []
    with pytest.raises(RuntimeError), two(tmp_path, heard):
        raise RuntimeError("Connection closed by peer")
    assert heard == [{"end": "crashed", "error": "process 2 of 2: E: x"}]


def test_what_all_processes_find_is_not_waited_for(tmp_path, says, monkeypatch):
    says("")
    waited: list[float] = []
    monkeypatch.setattr(worker.time, "sleep", waited.append)
    with pytest.raises(Diverged), two(tmp_path, []):
        raise Diverged("at step 3")
    assert worker.GRACE_S not in waited


def test_each_process_has_its_share_of_the_threads_and_one_place_to_meet(tmp_path):
    asked = order(tmp_path, tiny(tmp_path), "dice").model_copy(update={"threads": 8})
    three = Ranks(asked, 3, print)
    assert three.threads == 2
    assert [(other.process.rank, other.threads) for other in three.orders] == [(1, 2), (2, 2)]
    assert {other.process.port for other in three.orders} == {three.process.port} != {0}
    alone = Ranks(asked, 1, print)
    assert (alone.threads, alone.orders, alone.process.port) == (8, [], 0)


def others() -> list[int]:
    """The other workers, each of which is below a supervisor, which is below the first, which is below one too."""
    found = [os.getpid()]
    for _ in range(4):
        found = [child for pid in found for child in children(pid)]
    return found


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
