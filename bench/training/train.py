"""Trains a network in legs, saving after each, and keeps the weights that were best on the validation images.

A checkpoint folder holds `last.ckpt` and `best.ckpt` while a training is under way, and what `bench.training.card`
names when it is complete; its log stays in both. Every file that is read again appears whole or not at all.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import nn

from bench.data.prepared import Prepared
from bench.files import alone_in, write_whole
from bench.machine import environment
from bench.quantities import DiceSpec, TrainSpec
from bench.training.card import Card, keep
from bench.training.devices import Process
from bench.training.loaders import train_loader, val_loader
from bench.training.log import Log
from bench.training.parallel import Meeting, leaving_together, strategy
from bench.training.task import SegmentationTask
from bench.training.watch import Patience, Tell, Watch

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@dataclass(frozen=True)
class Task:
    """A training: of which network and code, for what scoring, where its checkpoint lies, which process this is.

    `key` names the training: all that shapes the weights.
    """

    key: str
    network: str
    network_digest: str
    scoring: DiceSpec
    folder: Path
    process: Process = field(default_factory=Process)

    @property
    def spec(self) -> TrainSpec:
        assert self.scoring.train
        return self.scoring.train


def train(network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, tell: Tell) -> Card:
    """Train the network from its last leg on, or from the start, and leave it with the best weights.

    `tell` hears {"step", "steps", "loss", "val_dice"} after every step. Raises Diverged when the loss is no longer
    finite. On several devices this is process 0, and `take_part` must be called in each of the others.
    """
    with alone_in(task.folder):
        watch = Watch(task.spec, tell)
        _fit(network, task, train_set, val_set, watch, [Log(task.folder)])
        return _keep(network, task, watch)


def take_part(network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared) -> None:
    """Be another process of a training: given the same network and images, it writes nothing and tells nothing."""
    _fit(network, task, train_set, val_set, Watch(task.spec, lambda event: None), [])


def _fit(
    network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, watch: Watch, more: list[pl.Callback]
) -> None:
    spec, rank = task.spec, task.process.rank
    pl.seed_everything((spec.seed + rank) % 2**32, verbose=False)  # of dropout, which is to differ between processes
    trainer = pl.Trainer(
        accelerator="gpu" if spec.device == "cuda" else "cpu", devices=spec.devices, strategy=strategy(spec.devices),
        precision=PRECISIONS[spec.precision], max_steps=spec.steps, max_epochs=-1, gradient_clip_val=spec.clip_norm,
        callbacks=[watch, *more, *_stopping(spec), *_saving(task.folder)],
        plugins=[WholeFiles(), Meeting(task.process)], num_sanity_val_steps=0, use_distributed_sampler=False,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    last = task.folder / "last.ckpt"
    with leaving_together():
        trainer.fit(
            SegmentationTask(network, spec, task.scoring.classes),
            train_loader(train_set, spec, rank, lambda: trainer.global_step), val_loader(val_set, spec, rank),
            ckpt_path=last if last.exists() else None, weights_only=True,
        )  # fmt: skip


def _stopping(spec: TrainSpec) -> list[pl.Callback]:
    return [] if spec.patience is None else [Patience(spec.patience)]


def _saving(folder: Path) -> list[pl.Callback]:
    """The best is saved before the last, whose state then knows of it.

    Lightning's own `save_last` saves nothing after a check that was not the best so far: a kill would lose many legs.
    """
    return [
        Kept(folder, "best", monitor="val_dice", mode="max", enable_version_counter=False),
        Kept(folder, "last", enable_version_counter=False),
    ]


class Kept(ModelCheckpoint):
    """Knows its best checkpoint also after the folder was moved, which Lightning takes for a new beginning."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        was, now = str(state_dict["dirpath"]), str(self.dirpath)

        def moved(value: Any) -> Any:
            if isinstance(value, dict):
                return {moved(key): moved(inner) for key, inner in value.items()}
            return value.replace(was, now, 1) if isinstance(value, str) and value.startswith(was) else value

        super().load_state_dict(moved(state_dict))


class WholeFiles(TorchCheckpointIO):
    """Lightning's own writing goes through the system's temporary folder and is a plain copy from another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_whole(Path(path), lambda aside: torch.save(checkpoint, aside))


def _keep(network: nn.Module, task: Task, watch: Watch) -> Card:
    """Turn the best leg's checkpoint into weights and a card, then drop what only a resume needs."""
    best_path, last_path = task.folder / "best.ckpt", task.folder / "last.ckpt"
    state = torch.load(best_path, map_location="cpu", weights_only=True)
    weights = {name.removeprefix("network."): tensor for name, tensor in state["state_dict"].items()}
    network.load_state_dict(weights)
    step, scoring = state["global_step"], task.scoring
    card = Card(
        key=task.key, network=task.network, network_digest=task.network_digest, dataset=scoring.dataset,
        data=scoring.data, labels=scoring.labels, channels=scoring.channels, classes=scoring.classes,
        size=scoring.size, spec=task.spec, commit=environment().commit, best_step=step,
        val_dice=next(point.val_dice for point in watch.curve if point.step == step), curve=tuple(watch.curve),
        train_images_per_s=watch.images_per_s,
    )  # fmt: skip
    keep(task.folder, weights, card)
    _drop(best_path, last_path)
    return card


def _drop(*checkpoints: Path) -> None:
    for path in checkpoints:
        path.unlink(missing_ok=True)
