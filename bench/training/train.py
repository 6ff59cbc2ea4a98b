"""Trains a network in legs, saving after each, and keeps the weights that were best on the validation images.

A checkpoint folder holds `last.ckpt` and `best.ckpt` while a training is under way, and `weights.safetensors` with
`card.json` when it is complete. Every file appears whole or not at all.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from bench.data.prepared import Prepared, Stream, normalised
from bench.errors import UserError
from bench.files import alone_in, write_whole
from bench.quantities import CurvePoint, Device, Frozen, TrainSpec
from bench.training.task import SegmentationTask

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}

Tell = Callable[[dict[str, Any]], None]


class Card(Frozen):
    """What a checkpoint is: how it was made and how the making went."""

    key: str
    spec: TrainSpec
    best_step: int
    curve: tuple[CurvePoint, ...]
    train_images_per_s: float | None


@dataclass(frozen=True)
class Task:
    """A training to be done: the key that names its checkpoint, the folder for it, the maps the network puts out."""

    key: str
    spec: TrainSpec
    folder: Path
    maps: int
    device: Device


def load(network: nn.Module, folder: Path, key: str) -> Card | None:
    """Load a complete checkpoint into the network; None where there is none.

    Raises UserError when the checkpoint was made for another network or cannot be read.
    """
    card_path, weights_path = folder / "card.json", folder / "weights.safetensors"
    if not card_path.exists():
        return None
    try:
        card = Card.model_validate_json(card_path.read_text())
        weights = load_file(weights_path)
    except (OSError, ValidationError, ValueError, RuntimeError) as error:
        raise UserError(f"{folder}: no readable checkpoint ({error}); delete the folder to train anew") from None
    except Exception as error:  # safetensors raises a type of its own, which is no ValueError
        raise UserError(f"{weights_path}: {error}; delete {folder} to train anew") from None
    if card.key != key:
        raise UserError(f"{folder}: a checkpoint for {card.key}, not for {key}; move it or delete it")
    _fit(network, weights, weights_path)
    return card


def _fit(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Put the weights into the network, or say which tensors do not fit."""
    own = network.state_dict()
    faults = [f"{name} is missing" for name in own if name not in weights]
    faults += [f"{name} is not the network's" for name in weights if name not in own]
    faults += [
        f"{name} is {tuple(weights[name].shape)}, the network's is {tuple(own[name].shape)}"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise UserError(
            f"{path} is for a network of another shape: {'; '.join(faults[:3])}{more}; "
            f"delete {path.parent} to train anew"
        )
    network.load_state_dict(weights)


def train(network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, tell: Tell) -> Card:
    """Train the network from its last leg on, or from the start, and leave it with the best weights.

    `tell` hears {"step", "steps", "loss", "val_dice"} after every step. Raises Diverged when the loss is no longer
    finite.
    """
    with alone_in(task.folder):
        return _train(network, task, train_set, val_set, tell)


def _train(network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, tell: Tell) -> Card:
    spec = task.spec
    pl.seed_everything(spec.seed, verbose=False)
    watch = Watch(spec, tell)
    best = ModelCheckpoint(task.folder, "best", monitor="val_dice", mode="max", save_last=True,
                           enable_version_counter=False)  # fmt: skip
    trainer = pl.Trainer(
        accelerator="gpu" if task.device == "cuda" else "cpu", devices=1, precision=PRECISIONS[spec.precision],
        max_steps=spec.steps, max_epochs=-1, gradient_clip_val=spec.clip_norm, num_sanity_val_steps=0,
        callbacks=[watch, best], plugins=[WholeFiles()], logger=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    last = task.folder / "last.ckpt"
    trainer.fit(
        SegmentationTask(network, spec, task.maps),
        _train_loader(train_set, spec, task.device, lambda: trainer.global_step), _val_loader(val_set),
        ckpt_path=last if last.exists() else None, weights_only=True,
    )  # fmt: skip
    return _keep(network, task, watch)


def _train_loader(prepared: Prepared, spec: TrainSpec, device: Device, step: Callable[[], int]) -> DataLoader[Any]:
    """On a CPU training uses all cores already, so samples are made in its own process."""
    workers = min(8, os.cpu_count() or 1) if device == "cuda" else 0
    return DataLoader(
        Stream(prepared, spec.seed, spec.augmentation),
        batch_size=spec.batch, sampler=LegSampler(spec, step), num_workers=workers,
        persistent_workers=workers > 0, pin_memory=workers > 0, generator=torch.Generator(),
    )  # fmt: skip


def _val_loader(prepared: Prepared) -> DataLoader[Any]:
    images = TensorDataset(prepared.images, prepared.masks)
    return DataLoader(images, batch_size=8, collate_fn=_normalised_batch, generator=torch.Generator())


def _normalised_batch(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, masks = zip(*pairs, strict=True)
    return normalised(torch.stack(images)), torch.stack(masks)


class WholeFiles(TorchCheckpointIO):
    """Lightning's own writing goes through the system's temporary folder and is a plain copy from another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_whole(Path(path), lambda aside: torch.save(checkpoint, aside))


class LegSampler(Sampler[int]):
    """The draws of one leg, from the step that training has reached, also when it resumes."""

    def __init__(self, spec: TrainSpec, step: Callable[[], int]) -> None:
        self.spec, self.step = spec, step

    def __iter__(self) -> Iterator[int]:
        first = self.step() * self.spec.batch
        return iter(range(first, first + len(self)))

    def __len__(self) -> int:
        return self.spec.leg * self.spec.batch


class Watch(pl.Callback):
    """Keeps the curve, across resumes too; tells of each step; ends the last leg early when the steps run out."""

    def __init__(self, spec: TrainSpec, tell: Tell) -> None:
        self.spec, self.tell = spec, tell
        self.curve: list[CurvePoint] = []
        self.losses: list[float] = []
        self.step_s: list[float] = []
        self.started = 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, outputs: Any, *_: Any) -> None:
        loss = float(outputs["loss"])
        self.losses.append(loss)
        if len(self.losses) > 1:  # the first step of a leg fills caches and, on a GPU, tunes kernels
            self.step_s.append(time.perf_counter() - self.started)
        val_dice = self.curve[-1].val_dice if self.curve else None
        self.tell({"step": trainer.global_step, "steps": self.spec.steps, "loss": loss, "val_dice": val_dice})
        if trainer.global_step >= self.spec.steps:
            trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        mean_loss = sum(self.losses) / len(self.losses)
        val_dice = float(trainer.callback_metrics["val_dice"])
        self.curve.append(CurvePoint(step=trainer.global_step, loss=mean_loss, val_dice=val_dice))
        self.losses = []

    def state_dict(self) -> dict[str, Any]:
        return {"curve": [point.model_dump() for point in self.curve], "step_s": self.step_s}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curve = [CurvePoint(**point) for point in state["curve"]]
        self.step_s = state["step_s"]

    @property
    def images_per_s(self) -> float | None:
        """From the median step (forward, backward, update), which a machine that was busy for a while does not move."""
        return self.spec.batch / statistics.median(self.step_s) if self.step_s else None


def _keep(network: nn.Module, task: Task, watch: Watch) -> Card:
    """Turn the best leg's checkpoint into weights and a card, then drop what only a resume needs."""
    best_path, last_path = task.folder / "best.ckpt", task.folder / "last.ckpt"
    state = torch.load(best_path, map_location="cpu", weights_only=True)
    weights = {name.removeprefix("network."): tensor for name, tensor in state["state_dict"].items()}
    network.load_state_dict(weights)
    card = Card(
        key=task.key, spec=task.spec, best_step=state["global_step"], curve=tuple(watch.curve),
        train_images_per_s=watch.images_per_s,
    )  # fmt: skip
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    write_whole(task.folder / "weights.safetensors", lambda aside: save_file(tensors, aside))
    write_whole(task.folder / "card.json", card.model_dump_json(indent=1) + "\n")
    best_path.unlink()
    last_path.unlink(missing_ok=True)
    return card
