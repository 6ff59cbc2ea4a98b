"""Budgets: the amount of work of a run, from a smoke test of about a minute to the training of the paper.

A budget sets the whole protocol, and only records with the same protocol are comparable. `--steps` and `--epochs`
override the length of training, and such a training is at the full size of the images.
"""

import math
from dataclasses import dataclass, replace

from bench.errors import UserError, look_up
from bench.quantities.training import Augmentation

CHECKS = 12  # approximate number of checks (validation and checkpoint) in a training of `--steps`


@dataclass(frozen=True)
class Budget:
    """Training length in `steps`, else in `epochs`, and the number and length of the latency processes.

    The defaults are the full protocol; smaller budgets override them. A latency is measured in `processes` fresh
    processes of at least `samples` calls and `seconds` each. `checkpoint_interval` is the number of steps between two
    checkpoints if `steps` is given; otherwise the interval is one epoch. An image limit of None uses all images.
    `train_size` is the pixels a side of the images that are trained on and scored; None for those that are timed.
    """

    name: str
    purpose: str
    batch: int = 8
    steps: int | None = None
    epochs: int = 200
    checkpoint_interval: int = 1
    augmentation: Augmentation = "affine"
    train_images: int | None = None
    val_images: int | None = None
    test_images: int | None = None
    train_size: int | None = None
    processes: int = 5
    samples: int = 50
    seconds: float = 2.0
    warmup_calls: int = 10
    warmup_s: float = 0.5


BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            "smoke", "proves that everything works; its Dice means nothing", train_size=64,
            batch=2, steps=4, checkpoint_interval=2, augmentation="flips", train_images=8, val_images=2, test_images=6,
            processes=1, samples=5, seconds=0, warmup_calls=3, warmup_s=0,
        ),
        Budget(
            "quick", "a first comparison, a quarter of an hour for all networks on two cores", train_size=64,
            batch=4, steps=80, checkpoint_interval=20, augmentation="flips", val_images=32,
            processes=3, samples=8, seconds=1, warmup_calls=3,
        ),
        Budget("paper", "200 epochs and the full protocol, hours on a GPU"),
    )
}  # fmt: skip


def find_budget(name: str, steps: int | None = None, epochs: int | None = None) -> Budget:
    """Return a budget by name, with its training length overridden by `steps` or `epochs`."""
    budget = look_up("budget", name, BUDGETS)
    if steps is not None and epochs is not None:
        raise UserError(f"both --steps {steps} and --epochs {epochs} were given; give only one of them")
    for option, value in (("--steps", steps), ("--epochs", epochs)):
        if value is not None and value < 1:
            raise UserError(f"{option} must be 1 or more, got {value}")
    if steps is not None:
        interval = max(budget.checkpoint_interval, math.ceil(steps / CHECKS))
        return replace(budget, steps=steps, checkpoint_interval=interval, train_size=None)
    return replace(budget, steps=None, epochs=epochs, train_size=None) if epochs is not None else budget
