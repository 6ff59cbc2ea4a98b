"""What follows a training step by step: its progress, early stopping, and its log as a table and as event files."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TextIO

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping

from bench.files import write_whole
from bench.quantities import CurvePoint, TrainSpec

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
    """Keeps the curve, across resumes too; tells of each step; ends the training when the steps run out."""

    state_key = "Watch"  # its name in checkpoints that earlier versions left

    def __init__(self, spec: TrainSpec, tell: Tell) -> None:
        self.spec, self.tell = spec, tell
        self.curve: list[CurvePoint] = []
        self.losses: list[float] = []
        self.step_s: list[float] = []
        self.started = 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, outputs: Any, *_: Any) -> None:
        loss, step = float(outputs["mean_loss"]), trainer.global_step
        self.losses.append(loss)
        # The first after a check fills caches and, on a GPU, tunes kernels.
        if len(self.losses) > 1 or self.spec.checkpoint_interval == 1:
            self.step_s.append(time.perf_counter() - self.started)
        val_dice = self.curve[-1].val_dice if self.curve else None
        self.tell({"step": step, "steps": self.spec.steps, "loss": loss, "val_dice": val_dice})
        trainer.should_stop |= step >= self.spec.steps

    def on_validation_batch_end(
        self, trainer: pl.Trainer, task: Any, out: Any, batch: Any, index: int, *_: Any
    ) -> None:
        doing, of = f"step {trainer.global_step}/{self.spec.steps}, checking", trainer.num_val_batches[0]
        self.tell({"doing": doing, "done": index + 1, "of": of})

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        val_dice = float(trainer.callback_metrics["val_dice"])
        mean_loss = sum(self.losses) / len(self.losses)
        self.curve.append(CurvePoint(step=trainer.global_step, loss=mean_loss, val_dice=val_dice))
        self.losses = []

    def state_dict(self) -> dict[str, Any]:
        return {"curve": [point.model_dump() for point in self.curve], "step_s": self.step_s}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curve, self.step_s = [CurvePoint(**point) for point in state["curve"]], state["step_s"]

    @property
    def images_per_s(self) -> float | None:
        """From the median step (forward, backward, update), which a machine that was busy for a while does not move."""
        return self.spec.batch / statistics.median(self.step_s) if self.step_s else None


class Log(pl.Callback):
    """Writes `training.csv`, a line a step, and `tensorboard/` where TensorBoard is installed.

    The learning rate is the one the step was taken at; `val_dice` is empty but after a check. A training that resumes
    takes back what was written after its checkpoint, so no step is there twice.
    """

    rows: TextIO
    events: Any = None

    def __init__(self, folder: Path) -> None:
        self.folder, self.files, self.rate = folder, ExitStack(), 0.0

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        table, step = self.folder / "training.csv", trainer.global_step
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        whole = (line for line in lines if line.count(",") == HEADER.count(","))  # a kill may have cut off the last
        write_whole(table, "\n".join([HEADER, *(line for line in whole if int(line.split(",")[0]) <= step)]))
        self.rows = self.files.enter_context(table.open("a"))
        with suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step + 1)
            self.events = self.files.enter_context(writer)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, outputs: Any, *_: Any) -> None:
        loss, step = float(outputs["mean_loss"]), trainer.global_step
        # A line begins with its end of line, so that a check can add its figure to the step before it.
        self._write(f"\n{step},{loss:.6g},{self.rate:.6g},", step, loss=loss, learning_rate=self.rate)

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        val_dice = float(trainer.callback_metrics["val_dice"])
        self._write(f"{val_dice:.6g}", trainer.global_step, val_dice=val_dice)
        if self.events:
            self.events.flush()  # a resume goes on from the checkpoint that follows, so all before it must be there

    def on_train_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        self._write("\n", trainer.global_step)
        self.files.close()

    def on_exception(self, *_: Any) -> None:
        self.files.close()

    def _write(self, text: str, step: int, **scalars: float) -> None:
        self.rows.write(text)
        self.rows.flush()
        for name, value in scalars.items() if self.events else ():
            self.events.add_scalar(name, value, step)
