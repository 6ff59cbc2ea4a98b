"""How processes share a training: which samples are whose, how Lightning finds the others, what they share.

Process r of d takes the r-th of d equal stretches of each batch, so that d processes train on exactly the samples that
one would; and every d-th image of a check, from the r-th on.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from bench.data.prepared import Prepared, Stream, normalized
from bench.errors import Diverged
from bench.quantities import TrainSpec
from bench.training.devices import Process

VAL_BATCH = 8


def train_loader(prepared: Prepared, spec: TrainSpec, rank: int, step: Callable[[], int]) -> DataLoader[Any]:
    """This process's share of each training batch.

    On a CPU training uses all cores already, so samples are made in its own process.
    """
    workers = min(8, max(1, (os.cpu_count() or 1) // spec.devices)) if spec.device == "cuda" else 0
    return DataLoader(
        Stream(prepared, spec.seed, spec.augmentation),
        batch_size=spec.batch // spec.devices, sampler=LegSampler(spec, rank, step), num_workers=workers,
        persistent_workers=workers > 0, pin_memory=workers > 0, generator=torch.Generator(),
    )  # fmt: skip


def val_loader(prepared: Prepared, spec: TrainSpec, rank: int) -> DataLoader[Any]:
    """This process's validation images, batch by batch."""
    return DataLoader(ValidationShare(prepared, rank, spec.devices), batch_size=None, generator=torch.Generator())


class LegSampler(Sampler[int]):
    """This process's draws up to the next checkpoint, from the step that training has reached, also when it resumes."""

    def __init__(self, spec: TrainSpec, rank: int, step: Callable[[], int]) -> None:
        self.spec, self.rank, self.step = spec, rank, step
        self.share = spec.batch // spec.devices

    def __iter__(self) -> Iterator[int]:
        first, batch = self.step() * self.spec.batch + self.rank * self.share, self.spec.batch
        starts = range(first, first + self.spec.checkpoint_interval * batch, batch)
        return (draw for start in starts for draw in range(start, start + self.share))

    def __len__(self) -> int:
        return self.spec.checkpoint_interval * self.share


class ValidationShare(Dataset[tuple[Tensor, Tensor]]):
    """The validation images of one process, normalized, in batches; one empty batch where there are too few for all.

    Processes meet at the end of a check, so each must have something to begin it with.
    """

    def __init__(self, prepared: Prepared, rank: int, devices: int) -> None:
        self.images, self.masks = prepared.images[rank::devices], prepared.masks[rank::devices]

    def __len__(self) -> int:
        return max(1, -(-len(self.images) // VAL_BATCH))

    def __getitem__(self, batch: int) -> tuple[Tensor, Tensor]:
        part = slice(batch * VAL_BATCH, (batch + 1) * VAL_BATCH)
        return normalized(self.images[part]), self.masks[part]


class OneMachine(LightningEnvironment):
    """One machine, whose processes were started by us: Lightning's own start would give them no order to read."""

    creates_processes_externally, main_address, main_port = True, "127.0.0.1", 0

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.rank, self.main_port = process.rank, process.port

    def local_rank(self) -> int:
        return self.rank

    def node_rank(self) -> int:
        return 0


@contextmanager
def leaving_together() -> Iterator[None]:
    """Part from the other processes where all are done or all diverged; where one is lost, parting could hang."""
    diverged = None
    try:
        yield
    except Diverged as error:
        diverged = error
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if diverged:
        raise diverged


def share_buffers(network: nn.Module) -> None:
    """Give all processes the first one's buffers: each batch norm has followed its own share of the images."""
    for buffer in network.buffers():
        packed = buffer.contiguous()
        torch.distributed.broadcast(packed, 0)
        buffer.copy_(packed)
