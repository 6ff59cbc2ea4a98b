"""The table of a run of the drills, on the terminal and as a page of the manual."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .case import Case, Found, Plan
from .kinds import KINDS

BEGIN, END = "<!-- the last run: written by `python -m tests.drills --table` -->", "<!-- end of the last run -->"
HEAD = ("Drill", "Tried", "Kills", "Calls", "Broken", "What broke")
SHOWN = 4


@dataclass
class Told:
    """What all drills found, and in how many seconds."""

    found: Sequence[tuple[Case, Found]]
    plan: Plan
    seconds: float

    @property
    def is_broken(self) -> bool:
        return any(found.broken for _, found in self.found)

    def rows(self) -> list[tuple[str, ...]]:
        """A line for each kind that was drilled, and their sum."""
        lines = []
        for name, (_, about) in KINDS.items():
            if ours := [found for case, found in self.found if case.kind == name]:
                lines.append((about, *_counts(ours), what_broke(ours)))
        return [*lines, ("All", *_counts([found for _, found in self.found]), "")]

    @property
    def text(self) -> str:
        """For the terminal."""
        rows = [HEAD, *self.rows()]
        first, *widths = (max(len(row[at]) for row in rows) for at in range(5))
        counts = [[cell.rjust(width) for cell, width in zip(row[1:5], widths, strict=True)] for row in rows]
        lines = ["  ".join([row[0].ljust(first), *cells, row[5]]) for row, cells in zip(rows, counts, strict=True)]
        return "\n".join([*lines, f"{self.seconds:.0f} s"])

    def write(self, page: Path) -> None:
        """Put the table into the page, between its two marks."""
        text = page.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n\n{self._markdown()}\n\n{END}{after}")

    def _markdown(self) -> str:
        from bench.machine import this_machine

        machine = this_machine()
        told = (
            f"{datetime.now(UTC):%d %B %Y}, commit {machine.commit or 'unknown'}, {machine.cores} cores, "
            f"{self.seconds:.0f} s, seed {self.plan.seed}."
        )
        rows = [[cell.replace("|", r"\|") for cell in row] for row in self.rows()]
        lines = [f"| {' | '.join(row)} |" for row in (HEAD, ("---", *["--:"] * 4, "---"), *rows)]
        return "\n".join([told, "", *lines])


def _counts(found: Sequence[Found]) -> tuple[str, ...]:
    sums = (sum(one.tried for one in found), sum(one.kills for one in found), sum(one.calls for one in found))
    return (*(f"{one:,}" for one in sums), f"{sum(bool(one.broken) for one in found):,}")


def what_broke(found: Sequence[Found]) -> str:
    """What broke and how often, the most frequent first; what was skipped and why."""
    counts = Counter(_kind(line) for one in found for line in one.broken)
    lines = [f"{line} ({count})" for line, count in counts.most_common(SHOWN)]
    more = len(counts) - SHOWN
    skipped = {one.skipped for one in found if one.skipped}
    return "; ".join([*lines, *([f"{more} more kinds"] if more > 0 else []), *(f"skipped: {why}" for why in skipped)])


def _kind(line: str) -> str:
    """A sentence without what changes from drill to drill."""
    return re.sub(r"\d+", "#", re.sub(r"[0-9a-f]{8,}", "#", line))[:160]


def again(case: Case, plan: Plan) -> str:
    """The command that repeats one drill alone."""
    numbers = {"kills": plan.kills, "calls": plan.calls, "seed": plan.seed}
    given = [part for name, value in numbers.items() for part in (f"--{name}", str(value))]
    return shlex.join(["python", "-m", "tests.drills", "--only", case.kind, "--case", str(case.number), *given])
