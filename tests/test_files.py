"""Files appear whole or not at all; what a writer that was killed has left is taken away."""

import os
import re
import signal
import subprocess
import sys

import pytest

from bench.files import host, is_running, sweep, write_whole

NO_PROCESS = 2**22 + 1  # beyond the largest number that Linux gives


@pytest.mark.parametrize("content", ["text", b"text", lambda path: path.write_text("text")])
def test_text_bytes_and_functions_are_written_and_nothing_else_is_left(tmp_path, content):
    path = write_whole(tmp_path / "new" / "file", content)
    assert path.read_text() == "text"
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    def fails(path):
        path.write_text("half")
        raise RuntimeError("disk full")

    path = write_whole(tmp_path / "file", "old")
    with pytest.raises(RuntimeError, match="disk full"):
        write_whole(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_name_can_be_written(tmp_path):
    assert write_whole(tmp_path / ("ü" * 120 + ".json"), "text").read_text() == "text"


def killed_while_writing(path):
    """Leave what a process that is killed in the midst of writing leaves."""
    writer = "import sys, time; from pathlib import Path; from bench.files import write_whole\n"
    writer += "write_whole(Path(sys.argv[1]), lambda path: (path.write_text('half'), print('half', flush=True), "
    writer += "time.sleep(60)))"
    with subprocess.Popen([sys.executable, "-c", writer, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half\n"
        assert sweep(path.parent) == []  # it still writes
        process.send_signal(signal.SIGKILL)
    return process.pid


def test_what_a_killed_writer_left_is_named_by_it_and_swept(tmp_path):
    process = killed_while_writing(tmp_path / "unet-cost-0123456789ab.json")
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(rf"\.unet-cost-0123456789ab\.json\.{host()}-{process}-[0-9a-f]{{8}}\.tmp", left.name)
    assert list(tmp_path.glob("*.json")) == []
    (tmp_path / "mine.tmp").touch()
    (tmp_path / ".mine-1.tmp").touch()
    assert sweep(tmp_path, tmp_path / "not there") == [left]
    assert {path.name for path in tmp_path.iterdir()} == {"mine.tmp", ".mine-1.tmp"}


def test_a_folder_that_was_written_aside_is_swept_with_all_in_it(tmp_path):
    left = tmp_path / f".cache.{host()}-{NO_PROCESS}-0123abcd.tmp"
    left.mkdir()
    (left / "images.npy").write_bytes(b"half")
    assert sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_what_another_machine_writes_is_left_for_a_day(tmp_path):
    """There may be a process of that number there, whatever runs here."""
    young, old = (tmp_path / f".{name}.another_host-{NO_PROCESS}-0123abcd.tmp" for name in ("young", "old"))
    for path, hours in ((young, 23), (old, 25)):
        path.touch()
        then = path.stat().st_mtime - hours * 3600
        os.utime(path, (then, then))
    assert sweep(tmp_path) == [old]
    assert young.exists()


def test_a_process_that_ended_is_not_running_even_if_nobody_asked_for_its_end():
    assert is_running(os.getpid())
    assert not is_running(NO_PROCESS)
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended and is kept for who asks
    assert not is_running(process.pid)
    process.wait()
