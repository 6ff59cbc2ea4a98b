"""How networks are trained, as far as the user says."""

from dataclasses import dataclass, fields, replace
from typing import Literal

Augmentation = Literal["flips", "affine"]


@dataclass(frozen=True)
class Training:
    """The user's settings of a training. What is None, or empty, is as the budget and `TrainSpec` say.

    `learning_rates` are tried one after the other, and the best on `val` is taken. `warmup_share` is that of the steps.
    `loss_weights` are those of Dice and of cross-entropy. `batch` is in images.
    """

    learning_rates: tuple[float, ...] = ()
    weight_decay: float | None = None
    warmup_share: float | None = None
    batch: int | None = None
    augmentation: Augmentation | None = None
    loss_weights: tuple[float, float] | None = None

    def changed_by(self, other: "Training") -> "Training":
        """These settings, replaced by those of another that are given there."""
        given = {each.name: value for each in fields(other) if (value := getattr(other, each.name)) not in (None, ())}
        return replace(self, **given)


NOTHING = Training()  # everything is as the budget says
