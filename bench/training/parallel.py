"""How Lightning finds the other processes of a training on several devices, and how they share what they found."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from bench.errors import Diverged
from bench.training.devices import Process


class Meeting(LightningEnvironment):
    """One machine, whose processes were started by us: Lightning's own start would give them no order to read."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.process = process

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self.process.port

    def local_rank(self) -> int:
        return self.process.rank

    def node_rank(self) -> int:
        return 0


def strategy(devices: int) -> Any:
    """Lightning's way to train on so many devices; one needs none.

    Parameters that take no part in the loss are looked for, since on one device such a network trains too.
    """
    return "auto" if devices == 1 else DDPStrategy(find_unused_parameters=True)


@contextmanager
def leaving_together() -> Iterator[None]:
    """Part from the other processes where all are done or all diverged; where one is lost, parting could hang."""
    try:
        yield
    except Diverged:
        _leave()
        raise
    _leave()


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def share_buffers(network: nn.Module) -> None:
    """Give all processes the first one's buffers: each batch norm has followed its own share of the images."""
    for buffer in network.buffers():
        packed = buffer.contiguous()
        torch.distributed.broadcast(packed, 0)
        buffer.copy_(packed)
