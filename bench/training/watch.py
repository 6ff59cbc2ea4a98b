"""What looks on while Lightning trains: it keeps the curve, tells of each step, and ends the training."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping

from bench.quantities import CurvePoint, TrainSpec

Tell = Callable[[dict[str, Any]], None]


class Patience(EarlyStopping):
    """Stops when so many checks in a row were not better than the best.

    It looks at each check before the checkpoint is saved, and at the start: one that was killed after its last check
    must not go on.
    """

    def __init__(self, checks: int) -> None:
        super().__init__("val_dice", patience=checks, mode="max", check_on_train_epoch_end=False)

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


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
        loss = float(outputs["mean_loss"])
        self.losses.append(loss)
        if len(self.losses) > 1 or self.spec.leg == 1:  # the first of a leg fills caches and, on a GPU, tunes kernels
            self.step_s.append(time.perf_counter() - self.started)
        val_dice = self.curve[-1].val_dice if self.curve else None
        self.tell({"step": trainer.global_step, "steps": self.spec.steps, "loss": loss, "val_dice": val_dice})
        if trainer.global_step >= self.spec.steps:
            trainer.should_stop = True

    def on_validation_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, outputs: Any, batch: Any,
                                batch_idx: int, dataloader_idx: int = 0) -> None:  # fmt: skip
        of = trainer.num_val_batches[0]
        self.tell({"doing": f"step {trainer.global_step}/{self.spec.steps}, checking", "done": batch_idx + 1, "of": of})

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
