"""At the command's edge: whatever a file system refuses is one line and exit code 2, and what was measured is kept."""

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commanding import bench
from handmade import cost_record
from PIL import Image

from bench.cli import display
from bench.run.store import Store

ROOT = Path(__file__).parent.parent.parent
LONG = "n" * 300


def refused(*arguments, cwd=None):
    done = bench(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("bench: ")
    assert "Traceback" not in done.stderr
    return lines[-1]


@pytest.fixture
def results(tmp_path):
    Store(tmp_path / "results").write(cost_record())
    (tmp_path / "file").touch()
    return tmp_path / "results"


@pytest.mark.parametrize("to", ["file/x", LONG, f"x/{LONG}"])
def test_a_report_to_a_place_that_cannot_be(results, to):
    line = refused("report", "results", "--to", to, "--format", "csv", cwd=results.parent)
    assert "cannot write to" in line or "longer than" in line


@pytest.mark.parametrize(
    "command",
    [("report", LONG), ("check", LONG), ("compare", LONG, "results"), ("pick", LONG), ("data", "check", "folder",
     "--data-root", LONG), ("run", "unet", "--measure", "cost", "--out", LONG), ("history", "unet", "latency",
     "--records", LONG), ("score", f"x={LONG}"), ("data", "show", "synthetic", "--to", f"{LONG}.png")],
    ids=" ".join,
)  # fmt: skip
def test_a_name_of_300_letters_is_a_line(results, command):
    refused(*command, cwd=results.parent)


@pytest.mark.parametrize("name", [b"\xe9", b"$(touch x)", b"a'b", b"-x", b"a\nb\x1b[31m"])
def test_records_in_a_folder_of_any_name_are_reported(results, name):
    folder = results.rename(results.with_name(os.fsdecode(name)))
    given = str(folder) if name.startswith(b"-") else folder.name
    done = bench("report", given, "--to", f"{given}-report", "--format", "csv", cwd=folder.parent)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_no_utf_8_is_written_out_on_any_terminal(results):
    results.rename(results.with_name(os.fsdecode(b"\xe9")))
    command = [sys.executable, "-m", "bench.cli", "report", b"\xe9", "--to", b"\xe9/to", "--format", "csv"]
    how = {"cwd": results.parent, "env": {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}}
    done = subprocess.run(command, capture_output=True, check=False, **how)
    assert done.returncode == 0, done.stderr
    assert rb"\udce9/to/table.csv" in done.stdout


def test_a_report_that_cannot_be_written_costs_no_record_and_the_way_out_is_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "reports/report.pdf")

    monkeypatch.setattr(display, "do", lambda *_: [])
    monkeypatch.setattr(display, "conclude", full)
    line = refused("run", "unet", "--measure", "cost", "--quiet", "--out", "a b", cwd=tmp_path)
    assert line.startswith("bench: reports/report.pdf: the disk is full; ")
    assert line.endswith("all records are kept in a b, write their report with: bench report 'a b' --to FOLDER")


def test_a_link_to_nothing_is_no_folder(tmp_path):
    (tmp_path / "results").symlink_to(tmp_path / "away")
    assert "is a link to what is not there" in refused("run", "unet", "--measure", "cost", cwd=tmp_path)


def test_what_a_killed_report_left_is_swept_by_the_next_command_that_writes_there(results):
    left = results.parent / "to" / f".report.another_host-{2**22 + 1}-0123abcd.tmp"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    assert bench("report", "results", "--to", "to", "--format", "csv", cwd=results.parent).returncode == 0
    assert not left.exists()


PLANNED = ("run", "unet", "--measure", "dice", "--show-plan")
OWN = (*PLANNED, "--dataset", "folder", "--data-root")
NAMED = {
    "weights": (*PLANNED, "--weights"), "claims": ("check", "results", "--claims"), "data": OWN,
    "split": (*OWN, "data", "--split-file"), "patients": (*OWN, "data", "--patient"), "scores": ("score",),
    "report": ("report",), "base": ("compare",), "pick": ("pick",),
}  # fmt: skip


@pytest.mark.parametrize("target", ["/proc/kmsg", "/dev/zero", "pipe", "folder"])
@pytest.mark.parametrize("command", NAMED)
def test_what_is_no_file_is_told_wherever_a_file_can_be_named(results, command, target):
    """The first three would be read, or waited for, without end."""
    for kind in ("images", "masks"):
        (results.parent / "data" / kind).mkdir(parents=True)
        Image.new("L", (40, 40), 255).save(results.parent / "data" / kind / "P1_a.png")
    os.mkfifo(results.parent / "pipe")
    (results.parent / "folder").mkdir()
    named = results.parent / ("odd.csv" if command == "patients" else "odd")
    named.symlink_to(target)
    done = bench(*NAMED[command], named.name, cwd=results.parent)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("target", ["/proc/kmsg", "/dev/zero", "pipe", "folder"])
def test_what_is_no_python_file_is_a_line_by_such_a_name_too(tmp_path, target):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "odd.py").symlink_to(target)
    refused("run", "odd.py:Net", "--measure", "cost", "--show-plan", cwd=tmp_path)


@pytest.mark.parametrize("option", ["--size", "--batch", "--seeds"])
@pytest.mark.parametrize("given", ["9" * 5000, "-1", "1e9", "4294967296", ",".join(map(str, range(40, 141)))])
def test_numbers_that_nothing_has_are_refused(tmp_path, option, given):
    told = refused("run", "unet", option, given, "--show-plan", cwd=tmp_path)
    assert f"{option} takes up to 100 whole numbers from " in told


def test_a_size_that_no_memory_holds_is_refused(tmp_path):
    done = bench("profile", "unet", "--size", "99999999", cwd=tmp_path)
    assert (done.returncode, "65535" in done.stderr) == (2, True), done.stderr


def test_a_class_that_a_file_names_does_not_reach_the_terminal(tmp_path):
    (tmp_path / "x.csv").write_text(
        "team,case,class,dice\na,1,\x1b[31mred,0.5\na,1,b,0.5\na,2,\x1b[31mred,0.5\na,2,b,0.6\n"
    )
    done = bench("score", "x.csv", cwd=tmp_path)
    assert (done.returncode, "\x1b" in done.stdout + done.stderr) == (0, False), done.stderr
    assert r"\x1b[31mred" in done.stdout


def test_a_device_is_not_replaced_by_a_figure(tmp_path, monkeypatch):
    picture = tmp_path / "null"
    picture.touch()
    monkeypatch.setattr("bench.files.is_device", lambda path: path == picture)
    told = refused("data", "show", "synthetic", "--count", "1", "--to", str(picture))
    assert f"{picture}: it is a device, and only files are written; give another" in told
    assert picture.read_bytes() == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault(tmp_path, closed):
    script = f'"$0" -m bench.cli compare results results {closed}'
    Store(tmp_path / "results").write(cost_record())
    done = subprocess.run(
        ["bash", "-c", script, sys.executable], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0


def test_output_that_nobody_reads_is_no_verdict(tmp_path):
    read, write = os.pipe()
    os.close(read)
    command, variables = [sys.executable, "-m", "bench.cli", "list", "networks"], os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, env=variables, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_folder_that_is_gone_is_named(tmp_path):
    (gone := tmp_path / "gone").mkdir()
    with contextlib.chdir(gone):
        gone.rmdir()
        done = subprocess.run(
            [sys.executable, "-m", "bench.cli", "pick"], capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        os.chdir(tmp_path)
    assert (
        done.returncode,
        done.stderr.splitlines()[-1].startswith("bench: the folder that this was started in: "),
    ) == (2, True), done


def test_tables_are_shown_where_a_terminal_tells_no_width(tmp_path):
    (tmp_path / "x.csv").write_text("team,case,dice\na,1,0.5\na,2,0.7\n")
    assert "0.600" in bench("score", "x.csv", cwd=tmp_path, COLUMNS="0").stdout
