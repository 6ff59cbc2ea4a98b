"""The parent's side of a job in a process of its own: how the ways to end without a result are told apart.

The processes are real; but for one, they are small programs in the place of the worker's own.
"""

import errno
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import contextmanager

import psutil
import pytest
from orders import LINUX, ignored, order

from bench.errors import UserError
from bench.locks import Lost
from bench.processes import supervised
from bench.quantities import CostSpec, DiceSpec
from bench.run import log, worker
from bench.run.job import Job
from bench.run.store import Store
from bench.run.worker import Order, death, run

PRINTED = 'import os, signal, sys, time\nprint(\'{"doing": "counting"}\', flush=True)\n'


@pytest.fixture
def asked(tmp_path):
    job = Job(network="unet", network_digest="d", spec=CostSpec())
    return Order(job=job, out=tmp_path, device="cpu", threads=1)


@pytest.fixture
def program(monkeypatch):
    """Sets the program that runs as the worker, after it said what it does; what it prints to stderr is logged."""

    def put(text: str) -> None:
        def start(order, log, server=None):
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


def test_a_library_that_kills_the_worker_is_told_with_the_line_of_the_users_file(asked, program, tmp_path):
    (tmp_path / "mine.py").write_text("import ctypes\n\n\ndef look():\n    ctypes.string_at(0)\n")
    program(
        f"import faulthandler; faulthandler.enable(); sys.path.insert(0, {str(tmp_path)!r}); import mine; mine.look()"
    )
    record = run(asked, ignored)
    assert record.status == "crashed"
    told = f"the worker died (killed by SIGSEGV); see {asked.log}: Segmentation fault ({tmp_path}/mine.py:5: `ctypes."
    assert record.error.startswith(told)


def test_what_a_worker_printed_before_it_was_killed_is_told_where_python_wrote_nothing(asked, program):
    program("sys.stderr.write('Fatal Python error: none\\nits last words'); sys.stderr.flush(); sys.exit(3)")
    assert run(asked, ignored).error.endswith(": its last words")


ODD = {  # what a network's code may send through the pipe, in bytes
    "no UTF-8": r"b'\xff\xfe\x00\n'", "no JSON": r"b'Epoch 1: 100%\n'", "no event": r"b'5\n'", "a list": r"b'[]\n'",
    "an empty line": r"b'\n'", "no such end": r"""b'{"end": "nonsense"}\n'""", "a wrong type": r"""b'{"end": [1]}\n'""",
    "half of the fields": r"""b'{"step": 1}\n'""", "an unknown field": r"""b'{"end": "ok", "and": 1}\n'""",
    "too deep": r"b'[' * 60_000 + b'\n'", "no number": r"""b'{"doing": "x", "done": 1e999, "of": 1}\n'""",
    "half a letter": r"""b'{"doing": "' + bytes([92]) + b'ud800"}\n'""", "50 MB": "b'x' * 50_000_000",
}  # fmt: skip


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD)
def test_what_is_no_event_is_a_crash_that_shows_how_it_begins(asked, program, sent):
    program(f"sys.stdout.buffer.write({sent}); sys.stdout.flush(); time.sleep(60)")
    began, events = time.monotonic(), []
    with flat_memory():
        record = run(asked, events.append)
    assert record.status == "crashed"
    assert record.error.startswith("its code wrote to the pipe through which its worker tells what it does: '")
    assert_clean(record.error)
    assert events == [{"doing": "counting"}]
    assert Store(asked.out).find(asked.job) == record
    assert time.monotonic() - began < 30


def assert_clean(text: str) -> None:
    assert 0 < len(text) <= 300
    assert text.isprintable()
    assert text.encode()


@contextmanager
def flat_memory():
    """Nothing inside takes 10 MB of this process."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_half_an_event_and_death_is_a_death(asked, program):
    program("print('{\"end\": \"o', end='', flush=True); sys.exit(3)")
    assert "the worker died (exit code 3)" in run(asked, ignored).error


def test_the_texts_of_events_are_cleaned(asked, program):
    program(
        "import json\nprint(json.dumps({'doing': 'a\\x1b[31mb\\0'}))\n"
        "print(json.dumps({'end': 'crashed', 'error': 'E: \\u202e\\x1b[1mbold\\nnext' + 'x' * 9000}))"
    )
    events = []
    record = run(asked, events.append)
    assert events[1] == {"doing": "ab\N{REPLACEMENT CHARACTER}"}
    assert record.error.startswith("E: \N{REPLACEMENT CHARACTER}bold next")
    assert_clean(record.error)


def test_a_long_reason_that_the_program_gives_is_told_as_a_whole(asked, program):
    program("import json\nprint(json.dumps({'end': 'refused', 'error': 'why ' * 200}))")
    assert len(run(asked, ignored).error) > 700


LEFT = {
    "a thread": "import threading; threading.Thread(target=time.sleep, args=[60]).start()",
    "a child": "import subprocess; subprocess.Popen(['sleep', '60'], pass_fds=[1])",
    "a fork": "os.fork() or time.sleep(60)", "a daemon": "os.fork() or os.setsid() or os.fork() or time.sleep(60)",
    "itself": "sys.stdout.flush(); time.sleep(60)",
}  # fmt: skip


SAID = 'print(\'{"end": "refused", "error": "E"}\', flush=True)\n'


@LINUX
@pytest.mark.parametrize(
    ("text", "status"),
    [(SAID + left, "refused") for left in LEFT.values()]
    + [(f"{left}\nos._exit(3)", "crashed") for name, left in LEFT.items() if name != "itself"],
    ids=[*(f"event, {name}" for name in LEFT), *(f"end, {name}" for name in LEFT if name != "itself")],
)
def test_a_job_ends_with_its_last_event_or_its_worker_whatever_is_left(asked, program, monkeypatch, text, status):
    monkeypatch.setattr(worker, "LEAVING_S", 0.2)
    program(text)
    began, before = time.monotonic(), set(psutil.Process().children(recursive=True))
    assert run(asked, ignored).status == status
    assert time.monotonic() - began < 30
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_worker_that_closes_its_pipe_is_not_waited_for(asked, program, monkeypatch):
    monkeypatch.setattr(worker, "LEAVING_S", 0.2)
    program("os.close(1); time.sleep(60)")
    assert run(asked, ignored).error.startswith("its code closed the pipe through which its worker tells what it does")


def test_a_worker_that_says_it_is_done_but_wrote_no_record_is_a_crash(asked, program):
    program('print(\'{"end": "ok"}\')')
    record = run(asked, ignored)
    assert (record.status, record.error) == (
        "crashed", f"its worker ended without a record that can be read; see {asked.log}",
    )  # fmt: skip
    assert Store(asked.out).find(asked.job) == record


def test_a_job_that_was_lost_is_no_crash(asked, program):
    program('print(\'{"end": "lost"}\')')
    with pytest.raises(Lost):
        run(asked, ignored)
    assert Store(asked.out).find(asked.job) is None


def test_where_no_record_can_be_written_the_folder_is_at_fault(asked, program, monkeypatch):
    def full(store, record):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    program("sys.exit(3)")
    with pytest.raises(UserError, match=f"^{asked.out}: the disk is full; make room there, or give another folder$"):
        run(asked, ignored)


def test_what_prints_very_much_leaves_the_end_in_the_log_and_takes_no_memory(asked, program):
    program("for _ in range(100): os.write(2, b'x' * 2**20)\nos.write(2, b'\\nlast words'); sys.exit(3)")
    with flat_memory():
        record = run(asked, ignored)
    assert record.error.endswith("log: last words")
    assert asked.log.stat().st_size <= log.MOST + 2**20
    assert asked.log.read_bytes().endswith(b"\nlast words")


def test_a_last_line_of_the_log_is_cleaned(asked, program):
    program("os.write(2, b'\\x1b[31m\\xff\\0red' + b'x' * 2000 + b'\\n\\x1b[0m\\n'); sys.exit(3)")
    assert_clean(run(asked, ignored).error)


@pytest.mark.parametrize("there", ["link", "dangling", "file", "pipe"])
def test_what_lies_where_the_log_goes_is_replaced_and_no_link_followed(asked, program, tmp_path, there):
    asked.log.parent.mkdir()
    other = tmp_path / "other"
    make = {"link": lambda: (other.write_text("mine"), asked.log.symlink_to(other)),
            "dangling": lambda: asked.log.symlink_to(other), "file": lambda: asked.log.write_text("before"),
            "pipe": lambda: os.mkfifo(asked.log)}  # fmt: skip
    make[there]()
    program("sys.stderr.write('said'); sys.exit(3)")
    assert run(asked, ignored).error.endswith("log: said")
    assert asked.log.read_text() == "said"
    assert not asked.log.is_symlink()
    assert other.exists() == (there == "link")
    assert there != "link" or other.read_text() == "mine"


@pytest.mark.parametrize("there", ["folder", "file"])
def test_a_log_that_cannot_be_made_is_told_in_one_line(asked, program, there):
    if there == "file":
        (asked.out / "logs").write_text("")
    else:
        asked.log.mkdir(parents=True)
    program("sys.exit(3)")
    with pytest.raises(UserError, match=rf"^({asked.log}|{asked.log.parent}): .*; .*give another$"):
        run(asked, ignored)


def test_a_system_that_starts_no_process_is_told_in_one_line(asked, monkeypatch):
    def none_left(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(worker, "supervised", none_left)
    with pytest.raises(UserError, match="cannot start a process: Resource temporarily unavailable; end other"):
        run(asked, ignored)


def test_a_worker_that_dies_before_it_has_its_order_is_a_crash(asked, monkeypatch):
    monkeypatch.setattr(worker, "supervised", lambda *_, **how: supervised(["/bin/false"], {}, **how))
    assert "the worker died (exit code 1)" in run(asked, ignored).error


@LINUX
def test_an_order_for_a_folder_whose_name_is_no_utf_8_arrives(asked, monkeypatch, tmp_path):
    read = "import json, sys; print(json.dumps({'end': 'refused', 'error': ascii(json.loads(input())['out'][-2:])}))"
    monkeypatch.setattr(
        worker, "supervised", lambda command, *rest, **how: supervised([sys.executable, "-c", read], *rest, **how)
    )
    odd = asked.model_copy(update={"out": tmp_path / os.fsdecode(b"a\xff")})
    assert run(odd, ignored).error == ascii(os.fsdecode(b"a\xff"))


def test_a_signal_that_has_no_name_is_told_by_its_number(asked):
    assert "(killed by signal 40)" in death(asked, -40)["error"]


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
