"""How much work a run does, from a minute's proof that everything works to the training of the paper.

A budget fixes the whole protocol: two records are alike only when it is. `--steps` and `--epochs` override its
training.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from bench.errors import UserError, look_up

CHECKS = 12  # how often a training of `--steps` is checked and saved, about


@dataclass(frozen=True)
class Budget:
    """Training by `steps`, else by `epochs`; a latency by fresh `processes` of at least `samples` and `seconds` each.

    The defaults are the full protocol; a smaller budget says what it cuts. `checkpoint_interval` steps lie between two
    checkpoints where training goes by steps; by epochs, it is an epoch. None keeps all images.
    """

    name: str
    purpose: str
    batch: int = 8
    steps: int | None = None
    epochs: int = 200
    checkpoint_interval: int = 1
    augmentation: Literal["flips", "affine"] = "affine"
    train_images: int | None = None
    val_images: int | None = None
    test_images: int | None = None
    processes: int = 5
    samples: int = 50
    seconds: float = 2.0
    warmup_calls: int = 10
    warmup_s: float = 0.5


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            "smoke", "proves that everything works; its Dice means nothing",
            batch=2, steps=4, checkpoint_interval=2, augmentation="flips", train_images=8, val_images=2, test_images=6,
            processes=1, samples=5, seconds=0, warmup_calls=3, warmup_s=0,
        ),
        Budget(
            "quick", "a first comparison, minutes a network on two cores",
            batch=4, steps=80, checkpoint_interval=20, augmentation="flips", val_images=32,
            processes=3, samples=15, seconds=1, warmup_calls=5,
        ),
        Budget("paper", "200 epochs and the full protocol, hours on a GPU"),
    )
}  # fmt: skip


def find_budget(name: str, steps: int | None = None, epochs: int | None = None) -> Budget:
    """A budget of the table, with its training overridden by steps or by epochs."""
    budget = look_up("budget", name, BUDGETS)
    if steps is not None and epochs is not None:
        raise UserError(f"both --steps {steps} and --epochs {epochs} were given; give one, the other follows from it")
    for option, value in (("--steps", steps), ("--epochs", epochs)):
        if value is not None and value < 1:
            raise UserError(f"{option} must be 1 or more, got {value}")
    if steps is not None:
        interval = max(budget.checkpoint_interval, math.ceil(steps / CHECKS))
        return replace(budget, steps=steps, checkpoint_interval=interval)
    return replace(budget, steps=None, epochs=epochs) if epochs is not None else budget
