"""Files appear whole or not at all; a folder is one process's at a time."""

import subprocess
import sys

import pytest

from bench.errors import UserError
from bench.files import alone_in, write_whole


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


def test_a_folder_is_held_once(tmp_path):
    with alone_in(tmp_path), pytest.raises(UserError, match="another run is working in"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):
        pass


def test_a_process_that_is_killed_lets_go(tmp_path):
    held = "import sys, time; from pathlib import Path; from bench.files import alone_in\n"
    held += "with alone_in(Path(sys.argv[1])): print('held', flush=True), time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", held, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another run is working in"), alone_in(tmp_path):
            pass
        process.kill()
    with alone_in(tmp_path):
        pass
