"""A tiny network, easy images and jobs on them, for tests that train."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bench.data.prepared import Prepared
from bench.quantities import DiceSpec, TrainSpec
from bench.run.job import Job
from bench.training.checkpoint import TrainingSummary
from bench.training.devices import Process
from bench.training.train import Task, train

SPEC = TrainSpec(steps=10, checkpoint_interval=4, batch=2, learning_rate=0.05)  # the last interval is cut short
LEFT = {".lock", "card.json", "weights.safetensors", "training.csv"}  # of a complete training


class Small(nn.Module):
    """A network with all that makes resuming hard: batch norm's running means and dropout's generator."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(width, 1, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def small(width: int = 4) -> Small:
    torch.manual_seed(0)
    return Small(width)


def discs(count: int) -> Prepared:
    """Bright discs on noise, and their masks."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.rand(count, 2, 1, 1, generator=generator) * 20 + 6
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    masks = (((y - centers[:, 0]) ** 2 + (x - centers[:, 1]) ** 2) < 36).to(torch.uint8)
    noise = torch.randint(0, 60, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Prepared(tuple(map(str, range(count))), noise + masks[:, None] * 150, masks)


def job(spec: TrainSpec = SPEC) -> Job:
    return Job(
        network="small",
        network_digest="1" * 12,
        spec=DiceSpec(dataset="discs", data="2" * 12, size=32, train=spec),
    )


def task(of: Job, folder: Path, process: Process | None = None) -> Task:
    return Task(of.training_key, of.network, of.network_digest, of.spec, folder, process or Process())


def blank(count: int) -> Prepared:
    """Discs whose masks are empty: by these, every network is as good as any other."""
    return replace(discs(count), masks=torch.zeros(count, 32, 32, dtype=torch.uint8))


def trained(
    folder: Path, spec: TrainSpec = SPEC, tell=lambda event: None, val_set: Prepared | None = None
) -> tuple[Small, TrainingSummary]:
    network = small()
    return network, train(network, task(job(spec), folder), discs(6), val_set or discs(3), tell)


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def left_in(folder: Path) -> set[str]:
    """The files in a checkpoint folder; event files are only where TensorBoard is installed."""
    return {path.name for path in folder.iterdir()} - {"tensorboard"}


class Killed(BaseException):
    """Stands in for a SIGKILL: nothing of ours catches it. The tests of the worker kill real processes."""


def kill_now(*_):
    """Stands in for a function in which a training is killed."""
    raise Killed


def kill_at(step: int):
    """A `tell` that ends a training after a step."""

    def tell(event):
        if event.get("step") == step:
            raise Killed

    return tell
