"""What is said across data sets: what weights lose on data that they were not trained on, and ranks over data sets.

Scores of two data sets are never compared with each other: their images differ in difficulty. Compared are two
trainings on the same test patients, and the order of networks.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bench.quantities import DiceSpec
from bench.read.rows import Row, on_one_grid
from bench.read.sections import Section, conditions_of
from bench.read.trained import images_seen
from bench.stats.estimate import Estimate
from bench.stats.paired import Difference, difference, holm
from bench.stats.ranking import Rank, over_datasets

# Of a training: what a budget and its device decide. How long it is follows from the number of images, see `_budget`.
BUDGET = ("batch", "augmentation", "precision", "patience", "device", "devices", "version")
SCORED_ALIKE = {
    "channels", "classes", "size", "dataset", "labels", "protocol", "test_images", "scoring", "tolerance", "pseudonyms",
}  # fmt: skip


@dataclass(frozen=True)
class Abroad:
    """A network that was trained on one data set: its Dice there, and on another that it was not trained on.

    `own` is the Dice on the other data set of the same network, trained there with the same budget; None where there is
    none. `difference` is what the foreign weights have less than those, on the same patients, corrected by Holm for all
    networks of the table.
    """

    row: Row
    home: Estimate | None
    own: Estimate | None
    difference: Difference | None

    @property
    def title(self) -> str:
        """The network's name."""
        return self.row.title

    @property
    def there(self) -> Estimate | None:
        """Dice on the data set that it was not trained on."""
        return self.row.dice

    @property
    def verdict(self) -> str:
        """`worse`, `better` or `undecided`: the foreign weights against those trained on the data set."""
        if self.difference is None or not self.difference.decided:
            return "undecided"
        return "better" if self.difference.value > 0 else "worse"


@dataclass(frozen=True)
class Transfer:
    """What the networks of a `section` with foreign weights lose, a line each, to those of `own`, trained there."""

    section: Section
    own: Section | None
    lines: tuple[Abroad, ...]

    @property
    def trained_on(self) -> str:
        """The data set that was trained on."""
        return self.section.home

    @property
    def tested_on(self) -> str:
        """The data set that is scored on."""
        return self.section.tested_on

    def said(self, verdict: str, of: str) -> list[Abroad]:
        """The lines of a verdict, whose statement is `of` these trainings or of the networks."""
        return [line for line in self.lines if line.verdict == verdict and line.difference and line.difference.of == of]

    @cached_property
    def undecided(self) -> list[Abroad]:
        """The networks that were trained on both data sets, and of which nothing is decided."""
        return [line for line in self.lines if line.difference and line.verdict == "undecided"]


def transfers(found: Sequence[Section]) -> list[Transfer]:
    """For each section of foreign weights, once whatever times stand beside the scores, what they lose."""
    scored = {_scores_of(section): section for section in reversed(found) if _spec(section)}
    sections = list(reversed(scored.values()))
    return [_transfer(section, [one for one in sections if not one.home]) for section in sections if section.home]


def _scores_of(section: Section) -> Any:
    """What sections share that show the same scores beside other times."""
    return frozenset(id(record) for row in section.rows for record in row.records if _is_scored(record))


def _is_scored(record: Any) -> bool:
    return isinstance(record.job.spec, DiceSpec)


def _spec(section: Section) -> DiceSpec | None:
    """The conditions of a section with scores of networks that were trained here."""
    return section.dice if section.dice and section.dice.train and any(row.dice for row in section.rows) else None


def _transfer(section: Section, at_home: Sequence[Section]) -> Transfer:
    homes = {id(row): row for one in at_home for row in one.rows}.values()
    own = next((one for one in at_home if _may_be_compared(section, one)), None)
    theirs = {row.network: row for row in own.rows if _is_trained(row)} if own else {}
    rows = [row for row in section.rows if _is_trained(row)]
    pairs = [(row, theirs.get(row.network)) for row in rows]
    lines = [
        Abroad(row, _dice(_home_of(row, homes)), _dice(other), _difference(row, other) if other else None)
        for row, other in pairs
    ]
    return Transfer(section, own, tuple(_corrected(lines)))


def _is_trained(row: Row) -> bool:
    return bool(row.dice and row.seeds)


def _dice(row: Row | None) -> Estimate | None:
    return row.dice if row else None


def _home_of(row: Row, others: Iterable[Row]) -> Row | None:
    """The row of the same trainings on the data set that they were made of."""
    spec = next(record.job.spec.at_home for record in row.records if _is_scored(record))
    trained = {_training(record) for record in row.records if _is_scored(record)}
    for other in others:
        records = [record for record in other.records if _is_scored(record)] if other.network == row.network else []
        if any(r.job.spec.data == spec.data and _training(r) in trained and not r.job.spec.trained_on for r in records):
            return other
    return None


def _training(record: Any) -> str:
    """The conditions of a training, without its seed."""
    return conditions_of(record)[1]


def _may_be_compared(foreign: Section, own: Section) -> bool:
    """Whether two sections are of the same test images, scored alike after trainings of the same budget."""
    one, other = _spec(foreign), _spec(own)
    if one is None or other is None or foreign.pretrained is not own.pretrained or foreign.tested_on != own.tested_on:
        return False
    alike = one.model_dump(include=SCORED_ALIKE) == other.model_dump(include=SCORED_ALIKE)
    same = one.data == other.data or (one.fold is not None and other.fold is not None)  # folds share their test images
    return alike and same and foreign.differs == own.differs and _budget(one) == _budget(other)


def _budget(spec: DiceSpec) -> Any:
    """What a training has of its budget: all but the images of the data set, and the settings that may be a network's.

    It is as long where it has as many steps, or as many epochs: checks are after each.
    """
    train = spec.train
    assert train
    checks = train.steps / train.checkpoint_interval
    return spec.size, checks, *(getattr(train, name) for name in BUDGET)


def _difference(row: Row, other: Row) -> Difference | None:
    """Foreign weights less own ones on the patients of both; no interval where a row's scores decide nothing."""
    ours, theirs = on_one_grid([row, other])
    found = difference(ours.terms("dice"), theirs.terms("dice"))
    return found and (found if row.decides and other.decides else found.without_interval())


def _corrected(lines: Sequence[Abroad]) -> list[Abroad]:
    """The lines with p-values corrected by Holm for all that were tested."""
    tested = [line.difference.p for line in lines if line.difference and line.difference.has_interval]
    corrected = iter(holm(tested))
    return [
        replace(line, difference=replace(line.difference, holm_p=next(corrected)))
        if line.difference and line.difference.has_interval else line
        for line in lines
    ]  # fmt: skip


# ---- ranks over data sets --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overall:
    """Ranks over the data sets of some `sections`, one each: the mean rank of each network, and its rank in each."""

    sections: tuple[Section, ...]
    mean: dict[str, Rank]
    each: dict[str, dict[str, Rank]]  # by data set

    @property
    def is_as_long(self) -> bool:
        """Whether all trainings have the same number of steps."""
        trained = [section.dice.train for section in self.sections if section.dice and section.dice.train]
        return len({train.steps for train in trained}) <= 1


def overall(found: Sequence[Section]) -> Overall | None:
    """The ranks over the data sets on which networks were trained with one budget; None where these are fewer than two.

    Of several budgets it is the one that has the most data sets, then the one with the longest trainings. Scores of
    foreign weights are not ranked with others.
    """
    by_budget: dict[Any, dict[str, Section]] = defaultdict(dict)
    for section in found:
        if section.dice and section.ranking and not section.home:
            budget = _budget(section.dice) if section.dice.train else "elsewhere"
            by_budget[section.pretrained, budget].setdefault(section.dataset, section)
    most = max(by_budget.values(), key=lambda one: (len(one), _images_seen(one.values())), default={})
    rankings = [section.ranking for section in most.values() if section.ranking]
    mean = over_datasets(rankings) if len(rankings) > 1 else {}
    if not mean:
        return None
    each = {name: section.ranking.among(list(mean)).ranks() for name, section in most.items() if section.ranking}
    return Overall(tuple(most.values()), mean, each)


def _images_seen(found: Iterable[Section]) -> int:
    return sum(images_seen(one.dice.train) for one in found if one.dice and one.dice.train)
