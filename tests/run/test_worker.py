"""A job in a process of its own: how the ways to end without a result are told apart."""

import signal
import time

import pytest
from orders import LINUX, ignored, kill_children, order

from bench.run.worker import run


@pytest.mark.parametrize(("network", "divisor"), [("swin_unet", 32), ("unet", 16)])
def test_a_network_that_refuses_the_size_is_a_record_that_says_so(tmp_path, network, divisor):
    record = run(order(tmp_path, network, "cost", size=100), ignored)
    assert record.status == "refused"
    assert f"{network} needs sides that divide by {divisor}, got 100x100" in record.error


@LINUX
@pytest.mark.parametrize(
    ("signal_number", "status", "text"),
    [(signal.SIGSEGV, "crashed", "killed by SIGSEGV"), (signal.SIGKILL, "out_of_memory", "want of memory")],
)
def test_a_worker_that_dies_is_a_record_that_says_how(tmp_path, signal_number, status, text):
    record = run(order(tmp_path, "mdsa_unet", "dice"), lambda event: kill_children(signal_number))
    assert record.status == status
    assert text in record.error
    assert record.result is None


@LINUX
def test_a_worker_that_hangs_is_ended(tmp_path):
    asked = order(tmp_path, "mdsa_unet", "dice").model_copy(update={"silence_s": 3})
    began = time.monotonic()
    record = run(asked, lambda event: kill_children(signal.SIGSTOP))
    assert (record.status, time.monotonic() - began < 60) == ("timed_out", True)
    assert "no sign of life for 3 s" in record.error


def test_memory_is_weighed_in_a_process_of_its_own(tmp_path):
    record = run(order(tmp_path, "mdsa_unet", "memory"), ignored)
    assert record.status == "ok"
    assert record.result.peak_bytes > record.result.weights_bytes > 4 * 6_500_000
    assert 0 < record.window_s < record.wall_s
