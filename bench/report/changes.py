"""Changes between two sets of records as text, Markdown and JSON."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from bench.judge.compare import Change
from bench.networks import title_of
from bench.report.markdown import escaped
from bench.report.units import NONE, difference, in_unit, percent_change

MARKS = {"worse": "✗", "better": "✓", "same": "=", "undecided": "?", "refused": "!", "appeared": "+", "vanished": "-"}


def moved(change: Change) -> str:
    """How far it went, with its interval: "+3.1 % [+2.5, +3.8]", a score's difference as it is; else a dash."""
    if change.change is None or change.low is None or change.high is None:
        return NONE
    write = difference if change.metric.tier == "score" else percent_change
    if change.low == change.high:
        return write(change.change)
    return f"{write(change.change)} [{write(change.low).split(' ')[0]}, {write(change.high).split(' ')[0]}]"


def sentence(change: Change) -> str:
    """One line: what of which network went from what to what."""
    ends = f"{_figure(change, change.base)} -> {_figure(change, change.head)}"
    parts = [f"{change.metric.name} of {change.network}: {ends}", moved(change) if change.change is not None else ""]
    return ", ".join(filter(None, [*parts, change.reason, f"({change.conditions})"]))


def count(changes: Sequence[Change]) -> str:
    """How many went which way."""
    by: Counter[str] = Counter(change.outcome for change in changes)
    return ", ".join(f"{by[outcome]} {outcome}" for outcome in MARKS if by[outcome]) or "nothing to compare"


def as_text(changes: Sequence[Change]) -> str:
    """A line a change; what is the same is only counted, and what is worse comes last."""
    order = ["appeared", "vanished", "undecided", "refused", "better", "worse"]
    shown = sorted((c for c in changes if c.outcome != "same"), key=lambda change: order.index(change.outcome))
    lines = [f"{MARKS[change.outcome]} {change.outcome:9}  {sentence(change)}" for change in shown]
    return "\n".join([*lines, *([""] if lines else []), count(changes)])


def as_markdown(changes: Sequence[Change]) -> str:
    """A table of all of them."""
    lines = [
        "| | Network | Metric | Before | After | Change | Conditions |",
        "| --- | --- | --- | ---: | ---: | ---: | --- |",
    ]
    for change in changes:
        cells = (
            f"{MARKS[change.outcome]} {change.outcome}", title_of(change.network), change.metric.name,
            _figure(change, change.base), _figure(change, change.head), moved(change),
            "; ".join(filter(None, [change.conditions, change.reason])),
        )  # fmt: skip
        lines.append(f"| {' | '.join(escaped(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, "", count(changes)])


def facts(change: Change) -> dict[str, Any]:
    """A change in base units; an end of an interval that is infinite is null."""
    finite = {name: value if value is None or abs(value) < float("inf") else None
              for name, value in (("change", change.change), ("low", change.low), ("high", change.high))}  # fmt: skip
    return {
        "network": change.network, "metric": change.metric.name, "unit": change.metric.unit,
        "conditions": change.conditions, "outcome": change.outcome, "base": change.base, "head": change.head, **finite,
        "reason": change.reason,
    }  # fmt: skip


def as_json(changes: Sequence[Change]) -> str:
    """Every fact in base units."""
    return json.dumps([facts(change) for change in changes], indent=1, allow_nan=False)


def _figure(change: Change, value: float | None) -> str:
    return NONE if value is None else in_unit(value, change.metric.unit)


FORMATS: dict[str, Callable[[Sequence[Change]], str]] = {"text": as_text, "markdown": as_markdown, "json": as_json}
