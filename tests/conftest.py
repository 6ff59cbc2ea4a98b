"""What several tests are given, and how many threads each of several test processes takes."""

import os
import signal
import sys
from tempfile import TemporaryDirectory

import pytest
from handmade import cost_record, dice_record, latency_record

from bench.run.store import Record

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # with nohup, what tests start would ignore it
os.environ.setdefault("GOMP_SPINCOUNT", "0")  # threads that wait for work leave the processor to other tests


def pytest_configure(config: pytest.Config) -> None:
    """A cache folder of the session's own, for what the user's holds must not decide a test; and locks of its own.

    The locks of the machine are those of each process, so that no test waits for another, or for a run beside it. And
    one thread of torch for each process of pytest-xdist: two processes of two threads slow each other down.
    """
    folder = TemporaryDirectory(prefix="bench-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ["BENCH_LOCKS"] = folder.name
    if "PYTEST_XDIST_WORKER" not in os.environ:  # the processes of a session share its cache
        os.environ["XDG_CACHE_HOME"] = folder.name
    else:
        import torch

        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_threads():
    """What a test sets for its process, as measures do, must not slow down the tests that follow in it."""
    yield
    if "PYTEST_XDIST_WORKER" in os.environ and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def reference() -> list[Record]:
    """Two networks with all quantities."""
    return [
        cost_record("unet"), cost_record("mdsa_unet", 6_576_225, 4_456_851_840),
        latency_record("unet"), latency_record("mdsa_unet", (0.1, 0.11, 0.12)),
        dice_record("unet"), dice_record("mdsa_unet", (0.6, 0.8, 0.95)),
    ]  # fmt: skip
