"""Locks of work keep one from another and come back from the dead; a time has the machine for itself."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import locks
from bench.errors import UserError
from bench.files import host
from bench.locks import alone_in, clear, held, holder, machine_lock, take

TAKEN = "from bench.locks import take; lock = take(Path(sys.argv[1])); print(bool(lock), flush=True); sys.stdin.read()"
ALONE = "from bench.locks import alone_in\nwith alone_in(Path(sys.argv[1])): print(True, flush=True), sys.stdin.read()"
MACHINE = "from bench.locks import machine_lock\nwith machine_lock(sys.argv[1] == 'alone', lambda text: print(text, "
MACHINE += "flush=True)): print('has it', flush=True), sys.stdin.read()"


@contextmanager
def other(code, argument):
    """Another process that runs the code and then waits; it is killed in the end."""
    whole = f"import sys; from pathlib import Path; {code}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", whole, str(argument)], **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process):
    return process.stdout.readline().strip()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "locks" / "work.lock"


def aged(path, seconds):
    """Let the lock look as if it was not touched for so long."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def of_another_machine(path):
    """Let the lock look as if a process of another machine had it."""
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "host": "another_host", "token": "0123456789abcdef"}))


def test_a_lock_is_held_once_and_says_by_whom(path):
    lock = take(path, "training unet")
    assert lock.is_ours()
    assert take(path) is None
    facts = json.loads(path.read_text())
    assert (facts["process"], facts["work"]) == (os.getpid(), "training unet")
    assert holder(path) == f"process {os.getpid()} on {facts['host']}"
    lock.release()
    assert not path.parent.exists()
    assert holder(path) == ""
    with held(path) as again:
        assert again.is_ours()


def test_folders_that_were_made_for_a_lock_go_with_it_unless_something_is_in_them(tmp_path):
    for within in ("", "results/unet-cost.json"):
        lock = take(tmp_path / "results" / "locks" / "work.lock")
        if within:
            (tmp_path / within).touch()
        lock.release()
        assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")] == [within] * bool(within)
        assert (tmp_path / "results").exists() == bool(within)
        assert not (tmp_path / "results" / "locks").exists()


def test_a_lock_is_kept_from_others_while_its_process_lives_and_taken_over_when_it_was_killed(path):
    with other(TAKEN, path) as process:
        assert line(process) == "True"
        assert take(path) is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        lock = take(path)
        assert lock.is_ours()
        lock.release()


def test_locks_whose_holders_are_gone_are_cleared_and_no_others(path):
    ours, others = take(path), take(path.with_name("other.lock"))
    of_another_machine(others.path)
    with other(TAKEN, path.with_name("left.lock")) as process:
        assert line(process) == "True"
    clear(path.parent)
    assert sorted(one.name for one in path.parent.iterdir()) == ["other.lock", "work.lock"]
    aged(others.path, 2 * locks.STALE_S)
    ours.release()
    clear(path.parent)
    assert not path.parent.exists()
    clear(path.parent)


def test_a_lock_of_another_machine_is_taken_over_when_its_beat_stopped(path):
    first = take(path)
    of_another_machine(path)
    aged(path, locks.STALE_S - 60)
    assert take(path) is None
    aged(path, 120)
    second = take(path)
    assert second.is_ours()
    assert not first.is_ours()


def test_who_lost_a_lock_neither_touches_nor_removes_it(path):
    first = take(path)
    aged(path, 2 * locks.STALE_S)
    second = take(path)
    aged(path, 60)
    touched = path.stat().st_mtime
    first.beat()
    assert first.lost
    first.release()
    assert path.stat().st_mtime == touched
    assert second.is_ours()
    second.beat()
    assert not second.lost
    assert path.stat().st_mtime > touched


def test_a_lock_whose_folder_is_gone_is_lost(path):
    lock = take(path)
    path.unlink()
    path.parent.rmdir()
    lock.beat()
    assert lock.lost
    assert not lock.is_ours()


def test_a_lock_is_touched_while_it_is_held(path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_S", 0.01)
    lock = take(path)
    aged(path, 2 * locks.STALE_S)
    old = path.stat().st_mtime
    while path.stat().st_mtime == old:
        lock.over.wait(0.01)
    assert take(path) is None
    lock.release()


def test_of_many_that_find_a_stale_lock_one_takes_it(path):
    for _ in range(20):
        first = take(path)
        aged(path, 2 * locks.STALE_S)
        ready, found = threading.Barrier(8), []

        def try_it(ready=ready, found=found):
            ready.wait()
            found.append(take(path))

        threads = [threading.Thread(target=try_it) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [lock for lock in found if lock]
        assert len(taken) == 1
        for lock in [*taken, first]:
            lock.release()
        path.unlink(missing_ok=True)


def test_a_taker_that_died_between_its_steps_stops_nobody_for_long(path):
    first = take(path)
    going = path.with_name(f".{path.name}.{first.token}.going")
    going.touch()
    aged(path, 2 * locks.STALE_S)
    assert take(path) is None
    aged(going, 2 * locks.STALE_S)
    assert [bool(take(path)), bool(take(path))] == [False, True]


@pytest.mark.parametrize("is_removed", [False, True])
def test_one_who_died_while_removing_a_lock_leaves_nothing(path, is_removed):
    first = take(path)
    first.over.set()
    facts = {"host": host(), "process": 2**22 + 1, "token": first.token}
    path.with_name(f".{path.name}.{first.token}.going").write_text(json.dumps(facts))
    path.unlink() if is_removed else path.write_text(json.dumps(facts))
    locks.clear(path.parent)
    assert not path.parent.exists()


def test_who_takes_a_lock_forgets_one_who_died_after_it_removed_it(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    going = path.with_name(f".{path.name}.0123456789abcdef.going")
    going.write_text(json.dumps({"host": host(), "process": 2**22 + 1, "token": "0123456789abcdef"}))
    lock = take(path)
    assert lock
    assert not going.exists()
    lock.release()


def test_where_nothing_can_be_linked_a_lock_is_held_once_too(path, monkeypatch):
    def refuses(*paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuses)
    lock = take(path)
    assert lock.is_ours()
    assert take(path) is None
    lock.release()
    assert take(path)


def test_what_is_waited_for_is_told_once(path):
    first, told = take(path), []

    def waiting():
        told.append("waits")
        first.release()

    with held(path, waiting=waiting) as second:
        assert second.is_ours()
    assert told == ["waits"]


def test_a_folder_is_held_once_and_let_go_by_who_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "SINGLE_S", 0.0)
    with other(ALONE, tmp_path) as process:
        assert line(process) == "True"
        with pytest.raises(UserError, match="another run is working in"), alone_in(tmp_path):
            pass
        process.kill()
        process.wait()
        with alone_in(tmp_path):
            pass


@pytest.fixture
def _own_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path))


@pytest.mark.usefixtures("_own_machine")
def test_those_that_compute_share_a_machine_and_a_time_waits_for_all_of_them():
    with other(MACHINE, "shared") as first:
        assert line(first) == "has it"
        with machine_lock(exclusive=False):
            timing = other(MACHINE, "alone")
            process = timing.__enter__()
            assert "until no other run computes" in line(process)
            first.kill()
            first.wait()
            with other(MACHINE, "shared") as late:  # this process has it still, and the time is next
                assert "has measured its time" in line(late)
        assert line(process) == "has it"
        timing.__exit__(None, None, None)


@pytest.mark.usefixtures("_own_machine")
def test_a_time_is_alone_and_the_next_goes_on_after_it():
    with machine_lock(exclusive=True):
        waits = other(MACHINE, "shared")
        process = waits.__enter__()
        assert "has measured its time" in line(process)
    assert line(process) == "has it"
    waits.__exit__(None, None, None)


@pytest.mark.usefixtures("_own_machine")
def test_a_time_that_waits_comes_before_those_that_came_later():
    with other(MACHINE, "shared") as first:
        assert line(first) == "has it"
        with other(MACHINE, "alone") as timing:
            assert "until no other run" in line(timing)
            with other(MACHINE, "shared") as late:
                assert "has measured" in line(late)
                first.kill()
                assert line(timing) == "has it"
                timing.kill()
                assert line(late) == "has it"


def test_where_nothing_can_be_locked_it_is_said_once_and_work_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path / "not there"))
    told = []
    for _ in range(2):
        with machine_lock(True, told.append):
            pass
    assert len(told) == 1
    assert "so other runs may compute beside a time" in told[0]


def test_every_user_of_a_machine_may_lock_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path))
    before = os.umask(0o077)
    try:
        with machine_lock(exclusive=False):
            pass
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o666"}


ODD = {
    "no facts": b"[]", "deep": b"[" * 100_000, "no UTF-8": b"\xff", "a negative process": b'{"process": -5}',
    "a token that leads out": b'{"host": "h", "process": 1, "token": "a/../../b"}', "empty": b"",
    "no process": b'{"host": "h", "process": "x", "token": "0123456789abcdef"}', "endless": b" " * 10**6,
    "a huge process": b'{"host": "%s", "process": 1%s, "token": "0123456789abcdef"}' % (host().encode(), b"0" * 99),
}  # fmt: skip


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_a_lock_with_odd_content_is_waited_for_and_then_taken(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    lock = take(path) if b"huge" not in content else None
    assert holder(path) is not None
    aged(path, 2 * locks.STALE_S)
    lock = lock or take(path)
    assert lock.is_ours()
    lock.release()
    assert not path.parent.exists()


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a pipe", "a link to a lock"])
def test_what_is_no_lock_is_not_followed_or_waited_for(path, tmp_path, kind):
    path.parent.mkdir()
    outside = tmp_path / "outside"
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(outside)
    if kind == "a link":
        outside.write_text("theirs")
    elif kind == "a link to a lock":
        take(outside)
    before = outside.read_text() if outside.exists() else None
    lock = take(path)
    assert lock.is_ours()
    assert not path.is_symlink()
    assert (outside.read_text() if outside.exists() else None) == before


def test_a_lock_is_let_go_on_a_disk_that_is_full(path, monkeypatch):
    lock, opened = take(path), Path.open

    def full(self, mode="r", **how):
        if mode == "x":
            raise OSError(28, "No space left on device")
        return opened(self, mode, **how)

    monkeypatch.setattr(Path, "open", full)
    lock.release()
    monkeypatch.undo()
    assert not path.exists()


def test_a_folders_lock_that_is_a_link_leaves_what_it_names(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / ".lock").symlink_to(tmp_path / "theirs")
    with alone_in(tmp_path / "own"):
        assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "own" / ".lock").is_symlink()


def test_without_a_folder_for_temporary_files_a_time_is_taken_all_the_same(monkeypatch):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found")

    told = []
    monkeypatch.delenv("BENCH_LOCKS")
    monkeypatch.setattr(locks.tempfile, "gettempdir", none)
    with machine_lock(True, told.append):
        pass
    assert "No usable temporary directory" in told[0]


def test_a_pipe_of_another_user_in_the_place_of_the_machines_lock_is_not_waited_for(tmp_path, monkeypatch):
    """It may be read and not written, and opening a pipe to read waits for whoever writes."""
    for name in ("gate", "machine"):
        os.mkfifo(tmp_path / f"mdsa-bench-{name}.lock")
    opened = os.open

    def forbidden(path, flags, *more):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *more)

    monkeypatch.setenv("BENCH_LOCKS", str(tmp_path))
    monkeypatch.setattr(os, "open", forbidden)
    with machine_lock(exclusive=True):
        pass
