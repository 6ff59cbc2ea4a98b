"""The kinds of drills: a file and a line each."""

from . import calls, chains, damage, disks, names, points, together
from .case import Case, Plan

KINDS = {
    "points": (points, "A run or a worker is killed just before one of its deeds to a file"),
    "chains": (chains, "A run is killed at random times, two to four times in a row"),
    "together": (together, "Runs share a folder, some are killed, and readers go beside them"),
    "damage": (damage, "A file that a run left is damaged, and then used"),
    "disks": (disks, "A folder is full, read-only or vanishes"),
    "names": (names, "Folders, files and images have odd names"),
    "calls": (calls, "A reader is called with rubbish"),
}  # fmt: skip


def cases(plan: Plan, only: str = "") -> list[Case]:
    """All drills of a plan, or those of one kind."""
    return [
        Case(name, number, what)
        for name, (kind, _) in KINDS.items() if only in ("", name)
        for number, what in enumerate(kind.cases(plan))
    ]  # fmt: skip
