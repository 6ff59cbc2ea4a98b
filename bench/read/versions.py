"""What the records behind rows differ in though it is no condition of theirs, in notes for below a table."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from bench.run.store import Record

MOST = 6  # rows that are named beside a version


class Shown(Protocol):
    """A row of a table: a title and the records it is made of."""

    @property
    def title(self) -> str: ...
    @property
    def records(self) -> tuple[Record, ...]: ...


def origins(rows: Sequence[Shown]) -> list[str]:
    """The notes on where the records of rows come from: uncommitted changes, missing digests, versions that differ."""
    records = [record for row in rows for record in row.records]
    return [*uncommitted(records), *unsealed(records), *differing(rows)]


def unsealed(records: Iterable[Record]) -> list[str]:
    """Which records have no digest in their files, in one note; empty if all have."""
    without = dict.fromkeys(record.id for record in records if not record.is_sealed)
    if not without:
        return []
    have = "1 record has" if len(without) == 1 else f"{len(without)} records have"
    return [f"{have} no digest, so edits would not be seen: {_few(list(without))}"]


def uncommitted(records: Iterable[Record]) -> list[str]:
    """How many records are of a tree with uncommitted changes, in one note; empty if none is."""
    changed = {record.id: record.machine.commit.endswith("+") for record in records}
    count = sum(changed.values())
    are = "record is" if len(changed) == 1 else "records are"
    return [f"{count} of {len(changed)} {are} of a tree with uncommitted changes"] if count else []


def differing(rows: Sequence[Shown]) -> list[str]:
    """A note for each package, or Python, of which the rows' records of one quantity have several versions.

    Packages that a record does not name, for it is older, or that were not installed are left out.
    """
    titles: dict[tuple[str, str], dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        title = row.title
        for record in row.records:
            for name, version in {"Python": record.machine.python, **record.machine.packages}.items():
                if version != "absent":
                    titles[name, record.job.spec.quantity][version][title] = None
    quantities: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (name, quantity), by_version in titles.items():
        if len(by_version) > 1:
            told = (f"{version} ({_few(list(of))})" for version, of in sorted(by_version.items(), key=_order))
            quantities[name, ", ".join(told)].append(quantity)
    return [f"{name} differs between rows ({', '.join(of)}): {told}" for (name, told), of in quantities.items()]


def _order(version: tuple[str, object]) -> list[int]:
    """By the numbers in a version, so that 2.9 is before 2.14."""
    return [int(part) for part in re.findall(r"\d+", version[0])]


def _few(titles: list[str]) -> str:
    others = len(titles) - MOST
    return ", ".join(titles if others < 1 else [*titles[:MOST], f"{others} more"])
