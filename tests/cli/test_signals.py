"""What a signal does to `bench run`: it ends as with Ctrl-C, and says what is kept."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from commanding import bench
from typer import Exit

from bench.cli import display
from bench.cli.check import check
from bench.cli.signals import stopped_by_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_a_run_as_ctrl_c_does_with_its_own_exit_code(number):
    steps = []

    def works():
        try:
            signal.raise_signal(number)
            steps.append("went on")
        except KeyboardInterrupt:
            signal.raise_signal(number)  # once more, while it is being seen to
            steps.append("said what is kept")
            raise Exit(130) from None

    with pytest.raises(Exit) as raised, stopped_by_signals():
        works()
    assert steps == ["said what is kept"]
    assert raised.value.exit_code == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


def test_other_ends_are_as_they_are():
    with pytest.raises(Exit) as raised, stopped_by_signals():
        raise Exit(130)
    assert raised.value.exit_code == 130
    with pytest.raises(KeyboardInterrupt), stopped_by_signals():
        raise KeyboardInterrupt


def test_a_signal_stops_the_measuring_of_what_a_check_misses(tmp_path, monkeypatch):
    claim = 'says = "a"\nsource = "b"\nnetwork = "mdsa_unet"\nmetric = "parameters"\nrelation = "at_most"\nvalue = 1'
    (tmp_path / "claims.toml").write_text(f"[size]\n{claim}\n")
    monkeypatch.setattr(display, "do", lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Exit) as raised:
        check(claims=tmp_path / "claims.toml", measure_missing=True, device="cpu", out=tmp_path / "results")
    assert raised.value.exit_code == 128 + signal.SIGTERM


def test_ctrl_c_before_the_command_began_leaves_no_traceback(monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.cli.app", interrupted)
    ended = bench("list", "networks")
    assert (ended.returncode, ended.stderr) == (130, "")


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_cannot_be_told_of_signals():
    done = []

    def run():
        with stopped_by_signals():
            done.append(1)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_says_what_is_kept_and_how_to_go_on(tmp_path, number):
    import psutil

    (tmp_path / "mine.py").write_text(
        "import sys, time\nfrom torch import nn\n\n\nclass Net(nn.Conv2d):\n"
        "    def __init__(self, in_channels, classes):\n        super().__init__(in_channels, classes, 1)\n\n"
        '    def forward(self, x):\n        "bench.run.child" in sys.orig_argv and time.sleep(600)\n'
        "        return super().forward(x)\n"
    )
    asked = ["run", "unet", "mine.py:Net", "--budget", "smoke", "--measure", "cost", "--size", "32", "--device", "cpu"]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *asked, "--out", "res", "--reports", "rep"], cwd=tmp_path, text=True,
        stderr=subprocess.PIPE, env={**os.environ, "NO_COLOR": "1", "BENCH_TYPED": ""}, start_new_session=True,
    ) as process:  # fmt: skip
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            time.sleep(0.1)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Stopped. 1 of 2 jobs are on record in res." in errors
    assert f"Go on with: {sys.executable} -m bench.cli run unet mine.py:Net" in errors
    assert started
    assert not any(one.is_running() for one in started)
