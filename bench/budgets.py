"""How much work a run does, from a minute's proof that everything works to the training of the paper.

A budget fixes the whole protocol: two records are alike only when it is. `--steps` and `--epochs` override its
training.
"""

import math
from dataclasses import dataclass, replace

from bench.environment import cpu_has
from bench.errors import UserError, unknown
from bench.quantities import Device, Precision, TrainSpec

LEGS = 12  # how often a training of `--steps` is checked and saved, about


@dataclass(frozen=True)
class Budget:
    """Training by `steps`, else by `epochs`; a latency by fresh `processes` of at least `samples` and `seconds` each.

    `leg` steps lie between two checkpoints where training goes by steps; by epochs, it is an epoch. None keeps all
    images.
    """

    name: str
    purpose: str
    batch: int
    steps: int | None
    epochs: int | None
    leg: int
    train_images: int | None
    val_images: int | None
    test_images: int | None
    processes: int
    samples: int
    seconds: float
    warmup_calls: int
    warmup_s: float

    def train_spec(self, images: int, device: Device, seed: int) -> TrainSpec:
        """The training of this budget on a data set of so many training images."""
        used = min(images, self.train_images or images)
        an_epoch = math.ceil(used / self.batch)
        steps = self.steps or an_epoch * (self.epochs or 1)
        return TrainSpec(
            steps=steps, leg=min(steps, self.leg if self.steps else an_epoch), batch=self.batch,
            precision=training_precision(device), train_images=self.train_images, val_images=self.val_images, seed=seed,
        )  # fmt: skip


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("smoke", "proves that everything works; its Dice means nothing", batch=2, steps=4, epochs=None, leg=2,
               train_images=8, val_images=2, test_images=6, processes=1, samples=5, seconds=0, warmup_calls=3,
               warmup_s=0),
        Budget("quick", "a first comparison, minutes a network on two cores", batch=4, steps=80, epochs=None, leg=20,
               train_images=None, val_images=32, test_images=None, processes=3, samples=15, seconds=1, warmup_calls=5,
               warmup_s=0.5),
        Budget("paper", "200 epochs and the full protocol, hours on a GPU", batch=8, steps=None, epochs=200, leg=1,
               train_images=None, val_images=None, test_images=None, processes=5, samples=50, seconds=2,
               warmup_calls=10, warmup_s=0.5),
    )
}  # fmt: skip


def find_budget(name: str, steps: int | None = None, epochs: int | None = None) -> Budget:
    """A budget of the table, with its training overridden by steps or by epochs."""
    if name not in BUDGETS:
        raise unknown("budget", name, BUDGETS)
    if steps is not None and epochs is not None:
        raise UserError(f"both --steps {steps} and --epochs {epochs} were given; give one, the other follows from it")
    for option, value in (("--steps", steps), ("--epochs", epochs)):
        if value is not None and value < 1:
            raise UserError(f"{option} must be 1 or more, got {value}")
    budget = BUDGETS[name]
    if steps is not None:
        return replace(budget, steps=steps, epochs=None, leg=max(budget.leg, math.ceil(steps / LEGS)))
    return replace(budget, steps=None, epochs=epochs) if epochs is not None else budget


def training_precision(device: Device) -> Precision:
    """Mixed bfloat16 where the hardware multiplies it natively (GPUs, CPUs with AMX: thrice as fast), else float32."""
    return "bfloat16" if device == "cuda" or cpu_has("amx_bf16") else "float32"
