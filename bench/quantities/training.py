"""How networks are trained, as far as the user says."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from bench.errors import UserError, unknown

Augmentation = Literal["none", "flips", "affine"]
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)
MOST_RATES = 20  # learning rates that are tried
LARGEST_BATCH = 65_535  # images: more than any memory holds
HIGHEST = 10.0  # learning rate, and weight decay; AdamW has no use for more
HEAVIEST = 1000.0  # weight of a part of the loss


NAMES = {
    "learning_rates": "learning rate", "weight_decay": "weight decay", "warmup_share": "warm-up", "batch": "batch",
    "augmentation": "augmentation", "loss_weights": "loss weights",
}  # fmt: skip


@dataclass(frozen=True)
class Training:
    """The user's settings of a training. What is None, or empty, is as the budget and `TrainSpec` say.

    Of several `learning_rates` each is tried, and the best on `val` is taken. `warmup_share` is that of the steps.
    `loss_weights` are those of Dice and of cross-entropy. `batch` is in images. Raises UserError, which calls a setting
    by its option on the command line, for values with which nothing can be trained.
    """

    learning_rates: tuple[float, ...] = ()
    weight_decay: float | None = None
    warmup_share: float | None = None
    batch: int | None = None
    augmentation: Augmentation | None = None
    loss_weights: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        rates = _numbers(self.learning_rates)
        if rates is None or len(rates) > MOST_RATES or not all(0 < rate <= HIGHEST for rate in rates):
            taken = f"a learning rate over 0 and up to {HIGHEST:g}, or up to {MOST_RATES} of them by commas"
            raise UserError(f"--lr takes {taken}, such as 1e-3 or 1e-3,3e-4; got {_shown(self.learning_rates)}")
        decay, warmup = _number(self.weight_decay), _number(self.warmup_share)
        if self.weight_decay is not None and (decay is None or not 0 <= decay <= HIGHEST):
            raise UserError(f"--weight-decay takes a number from 0 to {HIGHEST:g}; got {_shown(self.weight_decay)}")
        if self.warmup_share is not None and (warmup is None or not 0 <= warmup < 1):
            taken = "a share of the steps, from 0 to less than 1, such as 0.1"
            raise UserError(f"--warmup takes {taken}; got {_shown(self.warmup_share)}")
        if self.batch is not None and not (_is_whole(self.batch) and 1 <= self.batch <= LARGEST_BATCH):
            raise UserError(f"--train-batch takes 1 to {LARGEST_BATCH} images; got {_shown(self.batch)}")
        if self.augmentation not in (None, *AUGMENTATIONS):
            raise unknown("--augmentation", f"{self.augmentation}", AUGMENTATIONS)
        weights = None if self.loss_weights is None else _numbers(self.loss_weights)
        if self.loss_weights is not None and not _are_weights(weights):
            taken = f"two weights from 0 to {HEAVIEST:g}, of Dice and of cross-entropy, not both 0"
            raise UserError(f"--loss-weights takes {taken}, such as 1,1; got {_shown(self.loss_weights)}")
        # As numbers of one kind, each once: keys are made of them.
        kept = {"learning_rates": tuple(dict.fromkeys(rates)), "weight_decay": decay, "warmup_share": warmup}
        for name, value in (kept | {"loss_weights": weights}).items():
            object.__setattr__(self, name, value)

    def changed_by(self, other: "Training") -> "Training":
        """These settings, replaced by those of another that are given there."""
        return replace(self, **other.given)

    @property
    def told(self) -> str:
        """The settings that are given, in words."""
        return ", ".join(f"{NAMES[name]} {_shown(value)}" for name, value in self.given.items())

    @property
    def given(self) -> dict[str, Any]:
        """The settings that are not left to the budget and `TrainSpec`, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) not in (None, ())}


def _are_weights(found: tuple[float, ...] | None) -> bool:
    return found is not None and len(found) == 2 and any(found) and all(0 <= one <= HEAVIEST for one in found)


def _number(value: Any) -> float | None:
    """A finite number as a float; None for what is none."""
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _numbers(values: Any) -> tuple[float, ...] | None:
    """Finite numbers as floats; None if one is none, or if they are in no sequence."""
    found = [_number(value) for value in values] if isinstance(values, tuple | list) else [None]
    return None if None in found else tuple(one for one in found if one is not None)


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """A value as it was given, numbers by commas."""
    shown = [f"{one:g}" if isinstance(one, float) else str(one) for one in _several(value)]
    return ",".join(shown)


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


NOTHING = Training()  # everything is as the budget says
