"""Rows compared two by two: each network against one reference, on the test images that both were scored on."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.read.rows import Row
from bench.stats.estimate import Estimate
from bench.stats.paired import SIGNIFICANCE, Test, compare, differences

SUBJECT = "mdsa_unet"  # the network that this project is about: the others are compared with it unless told otherwise


@dataclass(frozen=True)
class Paired:
    """A network's Dice less the reference's on the units both were scored on."""

    row: Row
    reference: Row
    test: Test

    @property
    def title(self) -> str:
        """The network's name."""
        return self.row.title

    @property
    def difference(self) -> Estimate:
        """Its mean."""
        return self.test.difference

    @property
    def differs(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.test.holm_p < SIGNIFICANCE

    @property
    def behind(self) -> bool:
        """Whether it is worse than the reference by all three: the test, the mean's interval, the units lost.

        The test is of ranks: a network that is a little better on most units and far worse on few can lead by the test
        and not by the mean.
        """
        return self.differs and self.difference.high < 0 and self.test.lost > self.test.won


def reference_row(rows: Sequence[Row], against: str | None = None) -> Row | None:
    """The row the others are compared with: the named one, else the subject, else the most accurate."""
    scored = {row.network: row for row in reversed(rows) if row.dice}  # a trained one before own weights
    best = max(scored.values(), key=lambda row: row.dice.value if row.dice else 0.0, default=None)
    return scored.get(against or SUBJECT) or scored.get(SUBJECT) or best


def paired(rows: Sequence[Row], reference: Row) -> list[Paired]:
    """Every other scored row against the reference, in the order of the rows; none where no unit is shared."""
    others = [row for row in rows if row is not reference and row.dice]
    found = [(row, differences(row.dice_by_unit, reference.dice_by_unit)) for row in others]
    found = [(row, units) for row, units in found if len(units)]
    tests = compare([units for _, units in found])
    return [Paired(row, reference, test) for (row, _), test in zip(found, tests, strict=True)]
