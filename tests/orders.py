"""Orders for a worker, and ways to kill it, for tests of what it does."""

import os
import signal
from pathlib import Path

import pytest

from bench.data import DataAt
from bench.quantities.budget import find_budget
from bench.run.plan import plan
from bench.run.study import Study
from bench.run.worker import Order

TINY = """
from torch import nn


class Tiny(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        return self.head(self.body(x))
"""
LINUX = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system lists no children")


def tiny(folder: Path) -> str:
    """A network that is trained in a moment, from a file in the folder."""
    path = folder / "tiny.py"
    path.write_text(TINY)
    return f"{path}:Tiny"


def order(
    tmp_path: Path, network: str, measure: str, size: int = 64, root: Path | None = None, data="synthetic", **spec
) -> Order:
    """An order of the smoke budget, its training changed by `spec`."""
    planned = plan(Study((network,), (measure,), find_budget("smoke"), (DataAt(data, root),), "cpu", size=size))
    wanted = next(job for job in planned.jobs if job.network == network)
    asked = Order(job=wanted, out=tmp_path, data=planned.data_of(wanted), device="cpu", threads=1)
    return changed(asked, train=asked.job.spec.train.model_copy(update=spec)) if spec else asked


def changed(asked: Order, **fields) -> Order:
    """The order with other conditions, checked as they would be when it is read."""
    spec = asked.job.spec.model_copy(update=fields)
    return asked.model_copy(update={"job": asked.job.model_copy(update={"spec": spec})})


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def kill_children(number: signal.Signals) -> None:
    """Send a signal to the processes whose parent is this one."""
    for pid in children(os.getpid()):
        os.kill(pid, number)


def ignored(event) -> None:
    """For who does not want to hear."""
