"""Trains a network with regular checkpoints and keeps the weights that are best on the validation images.

During training a checkpoint folder contains `last.ckpt` and `best.ckpt`; afterwards it contains the files described in
checkpoint.py. The log is kept in both cases. Every file that is read again is written atomically.
"""

import re
import signal
import statistics
import threading
import time
import warnings
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
from bench.data.sealed import seal
from bench.errors import Paused, UserError
from bench.files import content_of, write_whole
from bench.locks import alone_in
from bench.machine import this_machine
from bench.quantities import CurvePoint, DiceSpec, TrainSpec
from bench.training.checkpoint import PROGRESS, TrainingSummary, forget_unfinished, keep, owner_of, refuse_damaged
from bench.training.devices import Process
from bench.training.task import OneMachine, SegmentationTask, leaving_together, train_loader, val_loader

Tell = Callable[[dict[str, Any]], None]
Asked = Callable[[], bool]  # whether a training was asked to end
OF_A_RESUME = {"optimizer_states", "lr_schedulers"}  # AdamW's state is twice as large as the weights
HEADER = "step,loss,learning_rate,val_dice"
LINE = re.compile(r"(\d{1,18}),[-+.e\d]+,[-+.e\d]+,[-+.e\d]*", re.ASCII)


def _never() -> bool:
    return False


class Patience(EarlyStopping):
    """Stops after `checks` validations in a row without improvement.

    It runs at each validation before the checkpoint is saved, and at the start: a training that was killed after its
    last validation must not continue.
    """

    def __init__(self, checks: int) -> None:
        super().__init__("val_dice", patience=checks, mode="max", check_on_train_epoch_end=False)

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        trainer.should_stop |= self.wait_count >= self.patience


class Progress(pl.Callback):
    """Records the curve (also across resumes), reports each step and ends the training after the last step.

    With a folder it also writes `training.csv`, one line per step, and `tensorboard/` if TensorBoard is installed. The
    learning rate is that of the step; `val_dice` is empty except after a validation. A resumed training first removes
    what was written after its checkpoint, so that no step appears twice.
    """

    state_key = PROGRESS

    def __init__(self, spec: TrainSpec, tell: Tell, folder: Path | None = None) -> None:
        self.spec, self.tell, self.folder = spec, tell, folder
        self.curve: list[CurvePoint] = []
        self.losses: list[float] = []
        self.step_s: list[float] = []
        self.started = self.rate = 0.0
        self.is_first = True  # of the steps in this process since the last validation
        self.files, self.table, self.events = ExitStack(), cast("TextIO", StringIO()), cast("Any", None)

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if not self.folder:
            return
        table, step = self.folder / "training.csv", trainer.global_step
        write_whole(table, "\n".join([HEADER, *_lines_until(step, table)]))
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
        # The first step after a validation fills caches and, on a GPU, tunes kernels, so it is not timed.
        if not self.is_first or self.spec.checkpoint_interval == 1:
            self.step_s.append(time.perf_counter() - self.started)
        self.is_first = False
        val_dice = self.curve[-1].val_dice if self.curve else None
        self.tell({"step": step, "steps": self.spec.steps, "loss": loss, "val_dice": val_dice})
        # Each line starts with the newline, so that a validation can append its figure to the last step's line.
        self._log(f"\n{step},{loss:.6g},{self.rate:.6g},", step, loss=loss, learning_rate=self.rate)
        trainer.should_stop |= step >= self.spec.steps

    def on_validation_batch_end(self, trainer: Any, task: Any, out: Any, batch: Any, index: int, *_: Any) -> None:
        doing = f"step {trainer.global_step}/{self.spec.steps}, checking"
        self.tell({"doing": doing, "done": index + 1, "of": trainer.num_val_batches[0]})

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        val_dice, step = float(trainer.callback_metrics["val_dice"]), trainer.global_step
        self.curve.append(CurvePoint(step=step, loss=sum(self.losses) / len(self.losses), val_dice=val_dice))
        self.losses, self.is_first = [], True
        self._log(f"{val_dice:.6g}", step, val_dice=val_dice)
        if self.events:
            self.events.flush()  # a resume continues from the next checkpoint, so write all before it

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
        return {"curve": [point.model_dump() for point in self.curve], "step_s": self.step_s, "losses": self.losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curve, self.step_s = [CurvePoint(**point) for point in state["curve"]], state["step_s"]
        self.losses = state.get("losses", [])  # not in those of earlier versions, which had none


class Pausing(pl.Callback):
    """Ends a training that was asked to end: after its present step, which is saved, or after the check behind it.

    Lightning's own way to end at a signal is set aside, because it saves nothing.
    """

    def __init__(self, spec: TrainSpec, last: Path) -> None:
        self.spec, self.last, self.heard = spec, last, signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.heard)

    def on_train_batch_start(self, trainer: pl.Trainer, task: pl.LightningModule, *_: Any) -> None:
        if getattr(task, "is_to_end", False):  # after a check, which saved it
            raise Paused(f"asked to end, at step {trainer.global_step} of {self.spec.steps}")

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, *_: Any) -> None:
        step = trainer.global_step
        if getattr(task, "is_to_end", False) and step % self.spec.checkpoint_interval and step < self.spec.steps:
            trainer.save_checkpoint(self.last)
            raise Paused(f"asked to end, at step {step} of {self.spec.steps}")


def _lines_until(step: int, table: Path) -> list[str]:
    """The lines of a table for the steps until this one. A kill may cut off the last; damaged ones are left out.

    What is no file is written over, or refused then.
    """
    with suppress(OSError, ValueError):
        lines = content_of(table).decode(errors="replace").splitlines()[1:]
        return [line for line in lines if (found := LINE.fullmatch(line)) and int(found[1]) <= step]
    return []


@dataclass(frozen=True)
class Task:
    """A training: the network and its code, the conditions of scoring, the checkpoint folder and the process.

    `key` identifies the training: it depends on everything that affects the weights.
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


def train(
    network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, tell: Tell, asked_to_end: Asked = _never
) -> TrainingSummary:
    """Train the network from its last checkpoint, or from the start, and load the best weights into it.

    `tell` receives {"step", "steps", "loss", "val_dice"} after every step. Raises Diverged if the loss is not finite,
    and UserError where there is no image to train or to validate on, or where its checkpoints are damaged.

    Asked to end, it is saved after the present step and raises Paused; called again, it goes on there.

    On several devices this is process 0, and `take_part` must be called in each of the others.
    """
    for side, images in (("train", train_set), ("val", val_set)):
        if not len(images):
            raise UserError(f"the side {side} of the split is empty, and a training needs images on train and on val")
    with alone_in(task.folder):
        progress = Progress(task.spec, tell, task.folder)
        _fit(network, task, train_set, val_set, progress, asked_to_end)
        return _keep(network, task, progress)


def take_part(
    network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, asked_to_end: Asked = _never
) -> None:
    """Run as a secondary process of a training, with the same network and images. It writes and reports nothing."""
    _fit(network, task, train_set, val_set, Progress(task.spec, lambda event: None), asked_to_end)


def _fit(
    network: nn.Module, task: Task, train_set: Prepared, val_set: Prepared, progress: Progress, asked_to_end: Asked
) -> None:
    spec, rank, folder = task.spec, task.process.rank, task.folder
    pl.seed_everything((spec.seed + rank) % 2**32, verbose=False)  # for dropout, which must differ between processes
    # Order: patience, best, last, so that the last checkpoint contains the state of both. Lightning's `save_last` saves
    # nothing after a validation that is not the best so far, so a kill would lose more than one checkpoint interval.
    callbacks = [
        progress,
        *([] if spec.patience is None else [Patience(spec.patience)]),
        Kept(folder, "best", monitor="val_dice", mode="max", enable_version_counter=False),
        Kept(folder, "last", enable_version_counter=False),
        Pausing(spec, folder / "last.ckpt"),
    ]
    # Lightning need not be told of srun: bench starts the processes.
    warnings.filterwarnings("ignore", message="The `srun` command is available", category=UserWarning)
    trainer = pl.Trainer(
        accelerator="gpu" if spec.device == "cuda" else "cpu", devices=spec.devices,
        # Unused parameters are allowed, because such a network also trains on one device.
        strategy="auto" if spec.devices == 1 else DDPStrategy(find_unused_parameters=True),
        precision="bf16-mixed" if spec.precision == "bfloat16" else "32-true", max_steps=spec.steps, max_epochs=-1,
        gradient_clip_val=spec.clip_norm, callbacks=callbacks,
        plugins=[SealedFiles(task.key), OneMachine(task.process)],
        num_sanity_val_steps=0, use_distributed_sampler=False,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    last = folder / "last.ckpt"
    with leaving_together():
        trainer.fit(
            SegmentationTask(network, spec, task.scoring.classes, asked_to_end),
            train_loader(train_set, spec, rank, lambda: trainer.global_step), val_loader(val_set, spec, rank),
            ckpt_path=last if last.exists() else None, weights_only=True,
        )  # fmt: skip


class Kept(ModelCheckpoint):
    """Finds its best checkpoint also after the folder was moved, when Lightning would start anew."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        was, now = str(state_dict["dirpath"]), str(self.dirpath)

        def moved(value: Any) -> Any:
            if isinstance(value, dict):
                return {moved(key): moved(inner) for key, inner in value.items()}
            return value.replace(was, now, 1) if isinstance(value, str) and value.startswith(was) else value

        super().load_state_dict(moved(state_dict))


class SealedFiles(TorchCheckpointIO):
    """Writes checkpoints atomically, with their digest, and reads none but those of its training.

    Lightning copies from the temporary folder, which may be on another disk. Of the best weights nothing is written
    that only a resume needs: it goes on from the last ones.
    """

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        is_best = Path(path).stem == "best"
        kept = {name: value for name, value in checkpoint.items() if not (is_best and name in OF_A_RESUME)}

        def write(aside: Path) -> None:
            torch.save(kept, aside)
            seal(aside, owner_of(Path(path), self.key))

        write_whole(Path(path), write)

    def load_checkpoint(self, path: Any, *more: Any, **others: Any) -> dict[str, Any]:
        refuse_damaged(Path(path), self.key)
        return super().load_checkpoint(path, *more, **others)


def _keep(network: nn.Module, task: Task, progress: Progress) -> TrainingSummary:
    """Convert the best checkpoint to weights and their summary, then delete the files that only a resume needs."""
    best_path = task.folder / "best.ckpt"
    refuse_damaged(best_path, task.key)
    state = torch.load(best_path, map_location="cpu", weights_only=True)
    weights = {name.removeprefix("network."): tensor for name, tensor in state["state_dict"].items()}
    network.load_state_dict(weights)
    step, scoring = state["global_step"], task.scoring
    # By its own curve: where a kill came between the best and the last checkpoint, a GPU does not repeat it exactly.
    own_curve = state["callbacks"][progress.state_key]["curve"]
    val_dice = next(point["val_dice"] for point in own_curve if point["step"] == step)
    if val_dice < max(point.val_dice for point in progress.curve):
        told = f"its weights of step {step} are not the best of this training"
        raise UserError(f"{best_path}: {told}, so it was replaced; delete {task.folder} to train anew")
    # From the median time of a step (forward, backward, update), which is robust to temporary load.
    images_per_s = task.spec.batch / statistics.median(progress.step_s) if progress.step_s else None
    summary = TrainingSummary(
        key=task.key, network=task.network, network_digest=task.network_digest, dataset=scoring.dataset,
        data=scoring.data, labels=scoring.labels, channels=scoring.channels, classes=scoring.classes,
        size=scoring.size, spec=task.spec, commit=this_machine().commit, best_step=step,
        val_dice=val_dice, curve=tuple(progress.curve),
        train_images_per_s=images_per_s,
    )  # fmt: skip
    summary = keep(task.folder, weights, summary)
    forget_unfinished(task.folder)
    return summary
