"""Rows compared on the same patients, and their ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from bench.quantities.scores import SCORES
from bench.read.rows import Row
from bench.stats.estimate import LEAST_TRAININGS, Estimate, pool_folds
from bench.stats.paired import Difference, against_one
from bench.stats.power import Need, need
from bench.stats.ranking import Ranking, ranking

Differences = dict[str, Difference]  # by the place of a row
SUBJECT = "mdsa_unet"  # the network of this project, the default reference of comparisons


@dataclass(frozen=True)
class Paired:
    """A network's Dice less the reference's, on the patients of both.

    `trainings` is what may be said of these weights, `networks` of the networks; None with fewer than three trainings
    of one of them. `chosen_after` says that the reference was chosen by its figure, which the tests pay for.
    """

    row: Row
    reference: Row
    trainings: Difference
    networks: Difference | None
    chosen_after: bool = False

    @property
    def title(self) -> str:
        """The network's name."""
        return self.row.title

    @property
    def statement(self) -> Difference:
        """What may be said of the networks, if there are enough trainings, else of these trainings."""
        return self.networks or self.trainings

    @property
    def difference(self) -> Estimate:
        """The difference with the interval of the statement."""
        said = self.statement
        return Estimate(said.value, said.low, said.high, said.patients)

    @property
    def need(self) -> Need:
        """About how many patients, or trainings of each network, would decide the statement."""
        said = self.statement
        return need(abs(said.value), said.patients, said.trainings, said.parts)

    @property
    def behind(self) -> bool:
        """Whether it is worse than the reference by more than chance."""
        return self.statement.decided and self.statement.value < 0

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `undecided`, by the statement."""
        if not self.statement.decided:
            return "undecided"
        return "better" if self.statement.value > 0 else "worse"


def reference_row(rows: Sequence[Row], against: str | None = None) -> Row | None:
    """The reference row: the network `against`, else MDSA-UNet, else the network with the highest Dice."""
    scored = {row.network: row for row in reversed(rows) if row.dice}  # trained rows take precedence over own weights
    best = max(scored.values(), key=lambda row: row.dice.value if row.dice else 0.0, default=None)
    return scored.get(against or SUBJECT) or scored.get(SUBJECT) or best


def paired(rows: Sequence[Row], reference: Row, chosen_after: bool = False) -> list[Paired]:
    """Compare every other scored row with the reference, in the order of the rows.

    Rows that share no patient with it are left out. Nothing is said of rows whose records name no patients, that were
    scored on a part of the test split, or on images that were trained on. `chosen_after` is for a reference that was
    chosen by its figure.
    """
    scored = {str(place): row for place, row in enumerate(row for row in rows if row.dice)}
    place = next(place for place, row in scored.items() if row is reference)
    # Sections of the same scores beside other times compare the same.
    what = ("paired", chosen_after, *((id(row.kept), row.own_grid) for row in scored.values()))
    if what not in reference.kept:
        reference.kept[what] = _differences(scored, place, chosen_after)
    trainings, networks = cast("tuple[Differences, Differences]", reference.kept[what])

    def sound(one: Difference | None, row: Row) -> Difference | None:
        return one and (one if row.decides and reference.decides else one.without_interval())

    pairs = ((scored[p], sound(one, scored[p]), sound(networks.get(p), scored[p])) for p, one in trainings.items())
    return [Paired(row, reference, one, two, chosen_after) for row, one, two in pairs if one]


def _differences(scored: Mapping[str, Row], place: str, chosen_after: bool) -> tuple[Differences, Differences]:
    """What may be said of these trainings against the row at `place`, and of those networks that have enough."""
    by_place = {place: row.terms("dice") for place, row in scored.items()}
    trainings = against_one(by_place, place, "these trainings", chosen_after)
    enough = {p: found for p, found in by_place.items() if len(pool_folds(found)) >= LEAST_TRAININGS}
    # A reference that was chosen among all is paid for as one of all, also by those that have too few trainings.
    family = by_place if chosen_after else enough
    networks = against_one(family, place, "the networks", chosen_after) if place in enough else {}
    return trainings, {place: one for place, one in networks.items() if place in enough}


def rank(rows: Sequence[Row], score: str = "dice") -> Ranking | None:
    """Rank the rows that may be ranked, by a score on the patients that all have; None if there are fewer than two.

    Their order is that of their figures; how stable it is follows from the patients, and from the trainings if every
    network has three. They are named by their titles; a number is appended to repeated titles.
    """
    some = [row for row in rows if row.score(score) and row.decides]
    titles = told_apart([row.title for row in some], "{} ({})")
    if not some:
        return None
    # Sections of the same scores beside other times have the same ranks.
    kept, what = some[0].kept, ("ranks", score, *((id(row.kept), row.own_grid) for row in some))
    if what not in kept:
        named = dict(zip(titles, (row.terms(score) for row in some), strict=True))
        kept[what] = ranking(named, SCORES[score].less_is_better)
    return cast("Ranking | None", kept[what])


def told_apart(names: Sequence[str], how: str) -> list[str]:
    """The names, each repeated one with the first number from 2 on that makes it another.

    >>> told_apart(["a", "a", "a (2)", "a"], "{} ({})")
    ['a', 'a (2)', 'a (2) (2)', 'a (3)']
    """
    found: dict[str, None] = {}
    last: dict[str, int] = {}
    for name in names:
        told = name
        while told in found:
            last[name] = last.get(name, 1) + 1
            told = how.format(name, last[name])
        found[told] = None
    return list(found)
