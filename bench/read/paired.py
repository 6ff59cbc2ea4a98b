"""Two networks on the same test images: is one better, by how much, and how sure is that?

The difference is taken image by image (or volume by volume), so what makes an image hard for both cancels out.
Wilcoxon's signed-rank test says whether it could be chance; Holm's correction makes up for testing several networks at
once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.read.rows import Row
from bench.stats.estimate import Estimate, mean

SUBJECT = "mdsa_unet"  # the network that this project is about: the others are compared with it unless told otherwise
LEVEL = 0.05  # of significance, after Holm's correction


@dataclass(frozen=True)
class Paired:
    """A network's Dice less the reference's on the units both were scored on.

    `won` and `lost` are shares of these units; the rest is equal. `p` is Wilcoxon's, two-sided; `holm_p` the same after
    Holm's correction over all networks of the section.
    """

    row: Row
    reference: Row
    difference: Estimate
    won: float
    lost: float
    p: float
    holm_p: float

    @property
    def title(self) -> str:
        """The network's name."""
        return self.row.title

    @property
    def differs(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.holm_p < LEVEL

    @property
    def behind(self) -> bool:
        """Whether it is worse than the reference by all three: the test, the mean's interval, the units lost.

        The test is of ranks: who is a little better on most and far worse on few can lead by it and not by the mean.
        """
        return self.differs and self.difference.high < 0 and self.lost > self.won


def reference_row(rows: Sequence[Row], against: str | None = None) -> Row | None:
    """Whom the others are compared with: the one named, else the subject, else the most accurate; None without Dice."""
    scored = {row.network: row for row in reversed(rows) if row.dice}  # a trained one before own weights
    best = max(scored.values(), key=lambda row: row.dice.value if row.dice else 0.0, default=None)
    return scored.get(against or SUBJECT) or scored.get(SUBJECT) or best


def paired(rows: Sequence[Row], reference: Row) -> list[Paired]:
    """Every other scored row against the reference, in the order of the rows; none where no unit is shared."""
    others = [row for row in rows if row is not reference and row.dice]
    tested = [(row, found) for row in others if len(found := differences(row.dice_by_unit, reference.dice_by_unit))]
    p_values = [_wilcoxon(found) for _, found in tested]
    return [
        _paired(row, reference, found, p, holm_p)
        for (row, found), p, holm_p in zip(tested, p_values, holm(p_values), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values made larger, so that all that stay under a level may be believed at that level together.

    Source: Holm, Scandinavian Journal of Statistics 6(2), 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def differences(ours: Mapping[str, float], theirs: Mapping[str, float]) -> np.ndarray:
    """(n,) of the n units that both have a score of: the first's less the second's."""
    found = np.array([ours[unit] - theirs[unit] for unit in ours if unit in theirs])
    return found[~np.isnan(found)]


def _wilcoxon(found: np.ndarray) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(found).pvalue) if found.any() else 1.0


def _paired(row: Row, reference: Row, found: np.ndarray, p: float, holm_p: float) -> Paired:
    won, lost = float((found > 0).mean()), float((found < 0).mean())
    return Paired(row, reference, mean(found), won, lost, p, holm_p)
