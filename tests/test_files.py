"""A file appears whole or not at all, what a killed writer left is swept, and what a disk refuses is one line."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.files import (
    REASONS,
    content_of,
    host,
    is_device,
    is_running,
    link,
    make_folder,
    sweep,
    unusable,
    write_whole,
)

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


# ---- what a file system refuses --------------------------------------------------------------------------------------


def refuses(number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize("number", [*REASONS, errno.EBADF, errno.ENODEV])
def test_whatever_is_refused_is_one_line_with_the_path_and_what_to_do(tmp_path, number):
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as told:
        write_whole(tmp_path / "a\n\x1b[31m\udce9", refuses(number))
    line = str(unusable(told.value))
    assert line.startswith(f"{tmp_path}/a\\n\\x1b[31m\\udce9: ")
    assert line.isprintable()
    assert "; " in line
    assert list(tmp_path.iterdir()) == []


class LibraryError(Exception):
    """As safetensors and torch have their own for a full disk."""


def test_a_full_disk_is_told_also_where_a_library_calls_it_something_else(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "weights", "old")

    def full(aside):
        aside.write_text("half")
        monkeypatch.setattr(Path, "write_bytes", refuses(errno.ENOSPC))
        raise LibraryError("I/O error (os error 28)")

    with pytest.raises(OSError, match="No space left") as told:
        write_whole(path, full)
    assert told.value.filename == str(path)
    monkeypatch.undo()
    assert path.read_text() == "old"
    with pytest.raises(LibraryError):  # a disk with room is not the cause
        write_whole(path, lambda aside: (_ for _ in ()).throw(LibraryError("a bug")))
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_read_meanwhile_and_refused_is_told_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as told:
        write_whole(tmp_path / "out", lambda aside: (tmp_path / "in").read_text())
    assert told.value.filename == str(tmp_path / "in")


def test_a_name_that_is_too_long_or_under_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()
    for path, why in ((tmp_path / ("n" * 300) / "x", "longer than"), (tmp_path / "file" / "x", "not a folder")):
        with pytest.raises(OSError, match=r"File name too long|File exists") as told:
            write_whole(path, "text")
        assert why in str(unusable(told.value))


def test_a_text_that_is_no_utf_8_is_written_out(tmp_path):
    assert write_whole(tmp_path / os.fsdecode(b"\xe9"), "a\udce9ü").read_bytes() == "a\\udce9ü".encode()


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(11))
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "large"):
        with pytest.raises(ValueError, match=r"it (is|has)"):
            content_of(path, most=10)
    assert content_of(tmp_path / "large") == bytes(11)


def test_a_name_is_given_once_and_a_file_system_without_links_is_told_apart(tmp_path, monkeypatch):
    one, other, path = (tmp_path / name for name in ("one", "other", "path"))
    one.write_text("one")
    other.write_text("other")
    assert [link(one, path), link(other, path), link(one, path)] == [True, False, True]
    assert path.read_text() == "one"
    monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    assert link(other, tmp_path / "new") is None
    monkeypatch.setattr(os, "link", refuses(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        link(other, tmp_path / "new")


def test_a_link_that_looks_like_a_left_file_goes_and_what_it_names_stays(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / f".x.{host()}-{NO_PROCESS}-0123abcd.tmp").symlink_to(tmp_path / "theirs")
    assert len(sweep(tmp_path / "own")) == 1
    assert (tmp_path / "theirs" / "file").exists()
    assert list((tmp_path / "own").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        (".4711-unet-cost-0123456789ab.json", True),  # as earlier versions wrote aside
        (".4711-weights.safetensors", True),
        (".work.lock.0123456789abcdef.going", True),
        (".4711-notes.json", False),
        (".2026-plans.pdf", False),
        ("unet-cost-0123456789ab.json", False),
    ],
)
def test_what_names_no_living_writer_is_swept_after_a_day(tmp_path, name, is_ours):
    path = tmp_path / name
    path.touch()
    assert sweep(tmp_path) == []
    then = path.stat().st_mtime - 25 * 3600
    os.utime(path, (then, then))
    assert sweep(tmp_path) == [path] * is_ours


def test_the_day_is_counted_by_the_clock_of_the_file_system(tmp_path, monkeypatch):
    """A clock of this machine that was set wrong takes nothing away from a writer on another."""
    path = tmp_path / f".x.another_host-{NO_PROCESS}-0123abcd.tmp"
    path.touch()
    monkeypatch.setattr(time, "time", lambda: path.stat().st_mtime + 90 * 3600)
    assert sweep(tmp_path) == []


@pytest.mark.parametrize("process", [0, -1, 2**31, 2**80, 10**200])
def test_a_number_that_no_process_has_is_of_none(process):
    assert not is_running(process)


def test_a_folder_that_is_removed_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    there, looks = Path.is_dir, []

    def is_dir(path: Path) -> bool:
        if path.name == "locks" and not looks:
            looks.append(path.rmdir())  # another process let go of the last lock in it
        return there(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    (tmp_path / "locks").mkdir()
    make_folder(tmp_path / "locks")
    assert looks
    assert there(tmp_path / "locks")


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "locks").write_text("")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "locks")


def test_a_device_is_not_replaced(tmp_path):
    try:
        os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(OSError, match="it is a device"):
        write_whole(tmp_path / "null", "x")
    assert (tmp_path / "null").is_char_device()
    assert [path.name for path in tmp_path.iterdir()] == ["null"]


def test_devices_are_told_from_files(tmp_path):
    assert is_device(Path("/dev/full"))
    assert not is_device(tmp_path)
    assert not is_device(tmp_path / "nothing")
