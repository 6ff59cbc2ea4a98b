"""Which trainings may stand beside each other in a table, and how the networks of a table were trained.

Networks may be trained with settings of their own: learning rate, weight decay, warm-up, weights of the loss,
augmentation and batch. All else must be equal, and they must have seen as many images. A network that was trained in
several ways has each of them in another table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.quantities import Scores, TrainSpec, Tried
from bench.run.store import Record

# A network's own settings, and the steps, which follow from its batch.
OWN = {
    "learning_rate", "learning_rates", "weight_decay", "warmup_share", "loss_weights", "augmentation", "batch", "steps",
    "checkpoint_interval",
}  # fmt: skip


def images_seen(train: TrainSpec) -> int:
    """Images in all steps of a training."""
    return train.steps * train.batch


def alike(one: TrainSpec, other: TrainSpec) -> bool:
    """Whether two trainings differ in nothing but seeds and settings that a network may have of its own.

    The images that both saw differ by less than a batch, because steps are whole.
    """
    apart = abs(images_seen(one) - images_seen(other))
    seen_alike = apart == 0 or (one.batch != other.batch and apart < max(one.batch, other.batch))
    rest = [train.model_dump(exclude=OWN | {"seed"}) for train in (one, other)]
    return seen_alike and rest[0] == rest[1]


def united(groups: Iterable[list[Record]]) -> list[list[Record]]:
    """Unite groups of equal training and scoring whose trainings are `alike` and which have no network in common.

    All groups are scored alike. Each is united with the first of the largest groups that it can be united with, whose
    records come first.
    """
    found: list[list[Record]] = []
    given = list(groups)
    if len(given) < 2:
        return given
    for group in sorted(given, key=lambda group: -len(_names(group))):
        place = next((one for one in found if _fit(one, group)), None)
        if place is None:
            found.append(list(group))
        else:
            place += group
    order = {id(group[0]): number for number, group in enumerate(given)}
    return sorted(found, key=lambda group: min(order.get(id(record), len(order)) for record in group))


def _fit(one: Sequence[Record], other: Sequence[Record]) -> bool:
    return _names(one).isdisjoint(_names(other)) and alike(one[0].job.spec.train, other[0].job.spec.train)


def _names(group: Iterable[Record]) -> set[str]:
    return {record.job.network for record in group}


@dataclass(frozen=True)
class Trained:
    """How the network of a row was trained. `tried` are the trainings of each seed, where there were several rates."""

    title: str
    spec: TrainSpec
    tried: tuple[tuple[int, Scores], ...]

    @property
    def trials(self) -> int:
        """Trainings for each seed, of which the best was taken."""
        return len(self.spec.trials)

    @cached_property
    def taken(self) -> dict[float, list[int]]:
        """The seeds by the learning rate that was taken."""
        found: dict[float, list[int]] = {}
        for seed, scores in self.tried:
            found.setdefault(scores.taken or 0.0, []).append(seed)
        return found

    def trials_of(self, rate: float) -> list[Tried]:
        """What was tried with a learning rate, one for each seed."""
        return [one for _, scores in self.tried for one in scores.tried if one.learning_rate == rate]

    def own(self, usual: TrainSpec) -> list[str]:
        """The settings that are other than the usual ones, in words."""
        train, told = self.spec, []
        if (train.learning_rate, train.learning_rates) != (usual.learning_rate, usual.learning_rates):
            rates = ", ".join(f"{rate:g}" for rate in train.learning_rates or (train.learning_rate,))
            told.append(f"learning rate{'s' if train.learning_rates else ''} {rates}")
        if train.weight_decay != usual.weight_decay:
            told.append(f"weight decay {train.weight_decay:g}")
        if train.warmup_share != usual.warmup_share:
            told.append(f"warm-up over {100 * train.warmup_share:g} % of the steps")
        if train.loss_weights != usual.loss_weights:
            told.append(train.loss_told)
        if train.augmentation != usual.augmentation:
            told.append(f"augmentation {train.augmentation}")
        if train.batch != usual.batch:
            told.append(f"{train.steps} steps of {train.batch} images, {images_seen(train):,} in all")
        return told


def trained(title: str, records: Iterable[Record]) -> Trained | None:
    """How the network of a row was trained; None if it was not trained here."""
    own = [record for record in records if getattr(record.job.spec, "train", None)]
    if not own:
        return None
    tried = [(record.job.spec.train.seed, record.result) for record in own if isinstance(record.result, Scores)]
    return Trained(title, own[0].job.spec.train, tuple(sorted((one for one in tried if one[1].tried), key=_seed)))


def _seed(one: tuple[int, Scores]) -> int:
    return one[0]
