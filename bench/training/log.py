"""The course of a training step by step, as a table beside its checkpoint and, with TensorBoard, as its event files."""

from pathlib import Path
from typing import Any, TextIO

import lightning.pytorch as pl

from bench.files import write_whole

HEADER = "step,loss,learning_rate,val_dice"


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
        self._close()

    def on_exception(self, *_: Any) -> None:
        self._close()

    def _write(self, text: str) -> None:
        assert self.rows
        self.rows.write(text)
        self.rows.flush()

    def _close(self) -> None:
        for file in (self.rows, self.events):
            if file:
                file.close()


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
