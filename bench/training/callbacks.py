"""What follows a training step by step: its progress, early stopping, and its log as a table and as event files."""

import statistics
import time
from collections.abc import Callable
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
        if (
            len(self.losses) > 1 or self.spec.checkpoint_interval == 1
        ):  # the first after a check fills caches and, on a GPU, tunes kernels
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

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: TextIO | None = None
        self.events: Any = None
        self.rate = 0.0

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        table, step = self.folder / "training.csv", trainer.global_step
        write_whole(table, "\n".join([HEADER, *_rows_until(table, step)]))
        self.rows = table.open("a")
        self.events = _events(self.folder / "tensorboard", step)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, outputs: Any, *_: Any) -> None:
        loss, step = float(outputs["mean_loss"]), trainer.global_step
        # A line begins with its end of line, so that a check can add its figure to the step before it.
        self._write(f"\n{step},{loss:.6g},{self.rate:.6g},")
        if self.events:
            self.events.add_scalar("loss", loss, step)
            self.events.add_scalar("learning_rate", self.rate, step)

    def on_validation_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        val_dice = float(trainer.callback_metrics["val_dice"])
        self._write(f"{val_dice:.6g}")
        if self.events:
            self.events.add_scalar("val_dice", val_dice, trainer.global_step)
            self.events.flush()  # a resume goes on from the checkpoint that follows, so all before it must be there

    def on_train_end(self, *_: Any) -> None:
        self._write("\n")
        self.close()

    def close(self, *_: Any) -> None:
        for file in filter(None, (self.rows, self.events)):
            file.close()

    on_exception = close

    def _write(self, text: str) -> None:
        assert self.rows
        self.rows.write(text)
        self.rows.flush()


def _rows_until(table: Path, step: int) -> list[str]:
    """The whole lines of a table up to a step, without its header."""
    lines = table.read_text().splitlines()[1:] if table.exists() else []
    return [line for line in lines if line.count(",") == HEADER.count(",") and int(line.split(",")[0]) <= step]


def _events(folder: Path, step: int) -> Any:
    """A writer of TensorBoard's event files from the next step on; None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
