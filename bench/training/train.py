"""Trains a network, saving it at each checkpoint, and keeps the weights that were best on the validation images.

A checkpoint folder holds `last.ckpt` and `best.ckpt` while a training is under way, and what checkpoint.py names when
it is complete; its log stays in both. Every file that is read again appears whole or not at all.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, TextIO, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from bench.data.prepared import Prepared
from bench.files import alone_in, write_whole
from bench.machine import this_machine
from bench.quantities import CurvePoint, DiceSpec, TrainSpec
from bench.training.checkpoint import TrainingSummary, keep
from bench.training.devices import Process
from bench.training.task import OneMachine, SegmentationTask, leaving_together, train_loader, val_loader

Tell = Callable[[dict[str, Any]], None]
HEADER = "step,loss,learning_rate,val_dice"


class Patience(EarlyStopping):
    """Stops when so many checks in a row were not better than the best.

    It looks at each check before the checkpoint is saved, and at the start: one that was killed after its last check
    must not go on.
    """

    def __init__(self, checks: int) -> None:
        super().__init__("val_dice", patience=checks, mode="max", check_on_train_epoch_end=False)

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        trainer.should_stop |= self.wait_count >= self.patience


class Progress(pl.Callback):
    """Keeps the curve, across resumes too; tells of each step; ends the training when the steps run out.

    With a folder it also writes `training.csv`, a line a step, and `tensorboard/` where TensorBoard is installed. The
    learning rate is the one the step was taken at; `val_dice` is empty but after a check. A training that resumes
    first removes what was written after its checkpoint, so no step is there twice.
    """

    state_key = "Watch"  # its name in checkpoints that earlier versions left

    def __init__(self, spec: TrainSpec, tell: Tell, folder: Path | None = None) -> None:
        self.spec, self.tell, self.folder = spec, tell, folder
        self.curve: list[CurvePoint] = []
        self.losses: list[float] = []
        self.step_s: list[float] = []
        self.started = self.rate = 0.0
        self.files, self.table, self.events = ExitStack(), cast("TextIO", StringIO()), cast("Any", None)

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if not self.folder:
            return
        table, step = self.folder / "training.csv", trainer.global_step
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        whole = (line for line in lines if line.count(",") == HEADER.count(","))  # a kill may have cut off the last
        write_whole(table, "\n".join([HEADER, *(line for line in whole if int(line.split(",")[0]) <= step)]))
        self.table = self.files.enter_context(table.open("a"))
        with suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)
            self.events = self.files.enter_context(writer)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.rate, self.started = trainer.optimizers[0].param_groups[0]["lr"], time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, outputs: Any, *_: Any) -> None:
        loss, step = float(outputs["mean_loss"]), trainer.global_step
        self.losses.append(loss)
        # The first after a check fills caches and, on a GPU, tunes kernels.
        if len(self.losses) > 1 or self.spec.checkpoint_interval == 1:
            self.step_s.append(time.perf_counter() - self.started)
        val_dice = self.curve[-1].val_dice if self.curve else None
        self.tell({"step": step, "steps": self.spec.steps, "loss": loss, "val_dice": val_dice})
        # A line begins with its end of line, so that a check can add its figure to the step before it.
        self._log(f"\n{step},{loss:.6g},{self.rate:.6g},", step, loss=loss, learning_rate=self.rate)
        trainer.should_stop |= step >= self.spec.steps

    def on_validation_batch_end(self, trainer: Any, task: Any, out: Any, batch: Any, index: int, *_: Any) -> None:
        doing = f"step {trainer.global_step}/{self.spec.steps}, checking"
        self.tell({"doing": doing, "done": index + 1, "of": trainer.num_val_batches[0]})

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        val_dice, step = float(trainer.callback_metrics["val_dice"]), trainer.global_step
        self.curve.append(CurvePoint(step=step, loss=sum(self.losses) / len(self.losses), val_dice=val_dice))
        self.losses = []
        self._log(f"{val_dice:.6g}", step, val_dice=val_dice)
        if self.events:
            self.events.flush()  # a resume goes on from the checkpoint that follows, so all before it must be there

    def on_train_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self._log("\n", trainer.global_step)
        self.files.close()

    def on_exception(self, *_: Any) -> None:
        self.files.close()

    def _log(self, text: str, step: int, **scalars: float) -> None:
        self.table.write(text)
        self.table.flush()
        for name, value in scalars.items() if self.events else ():
            self.events.add_scalar(name, value, step)

    def state_dict(self) -> dict[str, Any]:
        return {"curve": [point.model_dump() for point in self.curve], "step_s": self.step_s}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curve, self.step_s = [CurvePoint(**point) for point in state["curve"]], state["step_s"]


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


def train(network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, tell: Tell) -> TrainingSummary:
    """Train the network from its last checkpoint on, or from the start, and leave it with the best weights.

    `tell` hears {"step", "steps", "loss", "val_dice"} after every step. Raises Diverged when the loss is no longer
    finite. On several devices this is process 0, and `take_part` must be called in each of the others.
    """
    with alone_in(task.folder):
        progress = Progress(task.spec, tell, task.folder)
        _fit(network, task, train_set, val_set, progress)
        return _keep(network, task, progress)


def take_part(network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared) -> None:
    """Be another process of a training: given the same network and images, it writes nothing and tells nothing."""
    _fit(network, task, train_set, val_set, Progress(task.spec, lambda event: None))


def _fit(network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, progress: Progress) -> None:
    spec, rank, folder = task.spec, task.process.rank, task.folder
    pl.seed_everything((spec.seed + rank) % 2**32, verbose=False)  # of dropout, which is to differ between processes
    # Patience, then the best, then the last, whose state then knows of both. Lightning's own `save_last` saves nothing
    # after a check that was not the best so far: a kill would lose much more than one checkpoint interval.
    callbacks = [
        progress,
        *([] if spec.patience is None else [Patience(spec.patience)]),
        Kept(folder, "best", monitor="val_dice", mode="max", enable_version_counter=False),
        Kept(folder, "last", enable_version_counter=False),
    ]
    trainer = pl.Trainer(
        accelerator="gpu" if spec.device == "cuda" else "cpu", devices=spec.devices,
        # Parameters that take no part in the loss are looked for, since on one device such a network trains too.
        strategy="auto" if spec.devices == 1 else DDPStrategy(find_unused_parameters=True),
        precision="bf16-mixed" if spec.precision == "bfloat16" else "32-true", max_steps=spec.steps, max_epochs=-1,
        gradient_clip_val=spec.clip_norm, callbacks=callbacks, plugins=[WholeFiles(), OneMachine(task.process)],
        num_sanity_val_steps=0, use_distributed_sampler=False,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    last = folder / "last.ckpt"
    with leaving_together():
        trainer.fit(
            SegmentationTask(network, spec, task.scoring.classes),
            train_loader(train_set, spec, rank, lambda: trainer.global_step), val_loader(val_set, spec, rank),
            ckpt_path=last if last.exists() else None, weights_only=True,
        )  # fmt: skip


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


def _keep(network: nn.Module, task: Task, progress: Progress) -> TrainingSummary:
    """Turn the best checkpoint into weights and their summary, then drop what only a resume needs."""
    best_path, last_path = task.folder / "best.ckpt", task.folder / "last.ckpt"
    state = torch.load(best_path, map_location="cpu", weights_only=True)
    weights = {name.removeprefix("network."): tensor for name, tensor in state["state_dict"].items()}
    network.load_state_dict(weights)
    step, scoring = state["global_step"], task.scoring
    # Of the median step (forward, backward, update), which a machine that was busy for a while does not move.
    images_per_s = task.spec.batch / statistics.median(progress.step_s) if progress.step_s else None
    summary = TrainingSummary(
        key=task.key, network=task.network, network_digest=task.network_digest, dataset=scoring.dataset,
        data=scoring.data, labels=scoring.labels, channels=scoring.channels, classes=scoring.classes,
        size=scoring.size, spec=task.spec, commit=this_machine().commit, best_step=step,
        val_dice=next(point.val_dice for point in progress.curve if point.step == step), curve=tuple(progress.curve),
        train_images_per_s=images_per_s,
    )  # fmt: skip
    keep(task.folder, weights, summary)
    for path in (best_path, last_path):
        path.unlink(missing_ok=True)
    return summary
