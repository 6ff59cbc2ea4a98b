"""The parent's side of a job in a process of its own: how the ways to end without a result are told apart.

The processes are real; but for one, they are small programs in the place of the worker's own.
"""

import os
import signal
import subprocess
import sys
import time

import pytest
from orders import ignored, order

from bench.errors import UserError
from bench.processes import supervised
from bench.quantities import CostSpec, DiceSpec
from bench.run import worker
from bench.run.job import Job
from bench.run.store import Store
from bench.run.worker import Order, death, run

PRINTED = 'import os, signal, sys, time\nprint(\'{"doing": "counting"}\', flush=True)\n'


@pytest.fixture
def asked(tmp_path):
    job = Job(network="unet", network_digest="d", spec=CostSpec())
    return Order(job=job, out=tmp_path, data_root=None, device="cpu", threads=1)


@pytest.fixture
def program(monkeypatch):
    """Sets the program that runs as the worker, after it said what it does; what it prints to stderr is logged."""

    def put(text: str) -> None:
        def start(order, log):
            return supervised(
                [sys.executable, "-c", PRINTED + text], {**os.environ}, stdout=subprocess.PIPE, stderr=log
            )

        monkeypatch.setattr(worker, "start", start)

    return put


ENDS = {
    "refused": ('print(\'{"end": "refused", "error": "too small"}\')', "refused", "too small"),
    "diverged": ('print(\'{"end": "diverged", "error": "at step 3"}\')', "diverged", "at step 3"),
    "segfault": ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "the worker died (killed by SIGSEGV); see"),
    "killed": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        "out_of_memory",
        "probably because the system ran out of memory",
    ),
    "exit": ("sys.stderr.write('its last words'); sys.exit(7)", "crashed", "the worker died (exit code 7); see"),
    "silent end": ("", "crashed", "the worker died (exit code 0)"),
}


@pytest.mark.parametrize(("text", "status", "told"), ENDS.values(), ids=ENDS)
def test_a_worker_without_a_result_is_a_record_that_says_how_it_ended(asked, program, text, status, told):
    program(text)
    events = []
    record = run(asked, events.append)
    assert (record.status, record.result) == (status, None)
    assert told in record.error
    assert Store(asked.out).find(asked.job) == record
    assert events == [{"doing": "counting"}]


def test_the_last_line_of_the_log_is_told(asked, program):
    program("sys.stderr.write('first\\nits last words\\n'); sys.exit(7)")
    assert run(asked, ignored).error.endswith("cost-" + f"{asked.job.key.rpartition('-')[2]}.log: its last words")
    assert asked.log.read_text() == "first\nits last words\n"


def test_a_worker_that_hangs_is_ended(asked, program):
    program("time.sleep(60)")
    began = time.monotonic()
    record = run(asked.model_copy(update={"silence_s": 0.5}), ignored)
    assert (record.status, record.result) == ("timed_out", None)
    assert "no sign of life for 0.5 s; see" in record.error
    assert time.monotonic() - began < 30


def test_a_worker_that_is_stopped_in_the_middle_of_its_work_is_ended(asked, program):
    program("os.kill(os.getpid(), signal.SIGSTOP)")
    assert run(asked.model_copy(update={"silence_s": 0.5}), ignored).status == "timed_out"


def test_a_worker_that_is_heard_of_may_take_as_long_as_it_wants(asked, program):
    program(
        'for n in range(8):\n    time.sleep(0.25)\n    print(\'{"doing": "counting"}\', flush=True)\n'
        'print(\'{"end": "refused", "error": "at last"}\')'
    )
    assert run(asked.model_copy(update={"silence_s": 1.5}), ignored).error == "at last"


def test_what_is_wrong_for_every_network_stops_the_run_without_a_record(asked, program):
    program('print(\'{"end": "stop", "error": "no image"}\')')
    with pytest.raises(UserError, match="no image"):
        run(asked, ignored)
    assert Store(asked.out).find(asked.job) is None


def test_a_listener_that_fails_leaves_no_worker_behind(asked, program):
    program(
        "print(os.getpid(), file=sys.stderr, flush=True)\n"
        'print(\'{"doing": "x", "done": 1}\', flush=True)\ntime.sleep(60)'
    )

    def interrupt(event):
        if "done" in event:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(asked, interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(int(asked.log.read_text()), 0)


def test_a_signal_without_a_log_is_told_alone(asked):
    asked.log.parent.mkdir()
    asked.log.touch()
    assert death(asked, -signal.SIGTERM)["error"] == f"the worker died (killed by SIGTERM); see {asked.log}"


def test_memory_is_measured_in_a_process_of_its_own(tmp_path):
    record = run(order(tmp_path, "mdsa_unet", "memory"), ignored)
    assert record.status == "ok"
    assert record.result.peak_bytes > record.result.weights_bytes > 4 * 6_500_000
    assert 0 < record.window_s < record.wall_s


def test_the_record_of_a_failure_names_no_file_where_names_are_replaced(asked, program):
    spec = DiceSpec(dataset="folder", data="d", classes=1, size=64, weights="w", pseudonyms=True)
    job = Job(network="unet", network_digest="d", spec=spec)
    program('print(\'{"end": "crashed", "error": "OSError: scans/anna_1.png is gone"}\')')
    for given, told in ((job, "OSError: (a file) is gone"), (asked.job, "OSError: scans/anna_1.png is gone")):
        assert run(asked.model_copy(update={"job": given}), ignored).error == told
