"""What records say of a claim: a figure with its interval, or the reason why they decide nothing."""

from dataclasses import dataclass

from bench.stats.power import Need


@dataclass(frozen=True)
class Measured:
    """A figure in base units, its 95 % interval, the ids of its records, and their machine.

    The interval of a count is the count itself. `noise` is the relative difference among the second network's
    processes. `n` is the number of patients, processes or pairs. Of a score, `scope` says what it is a figure of, and
    `need` about how much more would decide; `false_claim` is the probability that the other network is the better one,
    and `unseen` the share of patients with a missed target that the sample may lack, if it has none.
    """

    value: float
    low: float
    high: float
    records: tuple[str, ...]
    machine: str = ""
    noise: float = 0.0
    n: int = 1
    scope: str = ""
    false_claim: float | None = None
    unseen: float | None = None
    need: Need | None = None


class Undecided(Exception):
    """The records do not decide the claim.

    The text gives the reason, `todo` what would help, `measured` what is known all the same.
    """

    def __init__(self, reason: str, todo: str = "", measured: Measured | None = None) -> None:
        super().__init__(reason)
        self.todo, self.measured = todo, measured
