"""What was typed: mistakes in options are answered as all others are, and a stopped run names the command as typed."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commanding import bench

from bench.cli.signals import as_typed

ROOT = Path(__file__).parent.parent.parent
MISTAKES = {
    "an option that nothing has": ("run --datset x", "unknown option '--datset' of", "did you mean '--dataset'? all"),
    "one far from any": ("run --zzz", "unknown option '--zzz' of", "; all are listed by: ", "run --help"),
    "a command that nothing has": ("rnu", "unknown command 'rnu'; did you mean 'run'? known: cancel, check, compare, "),
    "one of the data": ("data chek", "unknown command 'chek'; did you mean 'check'? known: check, show, speed"),
    "no value": ("run --size", "--size needs a value, and got none"),
    "a value for a switch": ("run --all=1", "--all takes no value"),
    "another choice": ("check --format jsn", "--format takes text, markdown, json, junit or github; got 'jsn'; did you "
                       "mean 'json'?"),
    "no such device": ("run unet --device gpu", "--device takes auto, cpu or cuda; got 'gpu'"),
    "the other form": ("run unet --device=gpu", "--device takes auto, cpu or cuda; got 'gpu'"),
    "no number": ("run --steps x", "--steps takes a whole number; got 'x'"),
    "no number at all": ("pick --min-dice high", "--min-dice takes a number from 0 to 1; got 'high'"),
    "out of range": ("profile unet --size 8", "--size takes a whole number from 32 to 65535; got '8'"),
    "too small": ("run --patience 0", "--patience takes a whole number of 1 or more; got '0'"),
    "no amount": ("pick --max-params 10Q", "--max-params takes a number, with k, M or G if you like, such as 10M; got "
                  "'10Q'"),
    "another argument": ("list netwrks", "WHAT takes networks, datasets or budgets; got 'netwrks'; did you mean"),
    "no argument": ("list", "list needs WHAT, and got none; give networks, datasets or budgets"),
    "no network": ("profile", "profile needs NETWORK, and got none; its help says: A name from `bench list networks`"),
    "one too many": ("list networks foo", "list takes no further argument; got 'foo'; leave it out"),
    "data without a name": ("run unet --data-root x", "--data-root x is not read: 'synthetic' has no files; name the "
                            "data set that lies there, with --dataset folder"),
}  # fmt: skip


@pytest.mark.parametrize(("typed", "told"), [(typed, told) for typed, *told in MISTAKES.values()], ids=MISTAKES)
def test_a_mistake_is_one_line_in_the_programs_own_form(tmp_path, typed, told):
    done = bench(*typed.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("bench: ")
    assert all(part in line for part in told), line


def test_what_does_not_print_in_a_mistake_is_written_out(tmp_path):
    done = bench("run", "--steps", "\x1b[31m7", cwd=tmp_path)
    assert r"got '\x1b[31m7'" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_command_alone_shows_its_help():
    for command in ((), ("data",)):
        done = bench(*command)
        assert done.returncode == 2
        assert "Commands:" in done.stderr
        assert "bench: " not in done.stderr


@pytest.fixture
def typed(monkeypatch):
    """What is told if this is what the shell and Python were given."""
    monkeypatch.delenv("BENCH_TYPED", raising=False)

    def put(*argv: str, whole: tuple[str, ...] = ()) -> str:
        monkeypatch.setattr(sys, "argv", [*argv])
        monkeypatch.setattr(sys, "orig_argv", [*(whole or ("python", *argv))])
        return as_typed()

    return put


def test_a_path_is_named_as_it_was_given(typed):
    assert typed(".venv/bin/bench", "run", "a b", "--arg", "x=$y") == ".venv/bin/bench run 'a b' --arg 'x=$y'"


def test_what_the_shell_found_by_its_name_is_named_so(typed, tmp_path, monkeypatch):
    program = tmp_path / "bench"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert typed(str(program), "run", "unet") == f"{program} run unet"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert typed(str(program), "run", "unet") == "bench run unet"


def test_a_module_is_named_with_the_python_that_was_given(typed):
    file, given = "/somewhere/bench/cli/__main__.py", (".venv/bin/python", "-X", "dev", "-m", "bench.cli", "run", "a b")
    assert typed(file, "run", "a b", whole=given) == ".venv/bin/python -X dev -m bench.cli run 'a b'"


def test_make_is_named_where_it_started_the_run(typed, monkeypatch):
    monkeypatch.setenv("BENCH_TYPED", "make run")
    assert typed(".venv/bin/bench", "run", "--all") == "make run"


@pytest.mark.skipif(not shutil.which("make"), reason="this machine has no make")
def test_the_makefile_says_what_was_typed():
    done = subprocess.run(["make", "--dry-run", "run"], cwd=ROOT, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if "bench run" in line)
    assert shlex.split(line) == ["BENCH_TYPED=make run", ".venv/bin/bench", "run", "--all"]
