"""What a drill is given and what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scene import Reference

SHARES = {"points": 0.6, "chains": 0.3, "together": 0.1}  # of the kills


@dataclass(frozen=True)
class Plan:
    """How many kills and fuzzed calls all drills make together, the seed of chance, and what unbroken runs leave.

    `results` are the records of one."""

    kills: int
    calls: int
    seed: int
    short: bool = False
    references: "Mapping[str, Reference]" = field(default_factory=dict)
    results: Path = Path()

    def some(self, every: list[Any], few: int) -> list[Any]:
        """All of these drills; in the short form a few that are far apart."""
        return every[few - 1 :: len(every) // few][:few] if self.short else every

    def kills_of(self, kind: str) -> int:
        """The kills of one kind of drills. All kinds together make them all."""
        shares = [int(self.kills * share + 0.5) for share in SHARES.values()]
        shares[0] += self.kills - sum(shares)
        return dict(zip(SHARES, shares, strict=True))[kind]


@dataclass(frozen=True)
class Case:
    """One drill: `what` tells its kind which. Its chance depends on the plan's seed and its number alone."""

    kind: str
    number: int
    what: Any


@dataclass
class Found:
    """What a drill found: how much it tried, and a sentence for each thing that broke, and where that was."""

    tried: int = 1
    kills: int = 0
    calls: int = 0
    broken: list[str] = field(default_factory=list)
    at: str = ""
    skipped: str = ""
