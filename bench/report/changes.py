"""Changes between two sets of records as text, Markdown and JSON."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence

from bench.judge.compare import Change
from bench.networks import title_of
from bench.report.text import interval, joined, template
from bench.units import NONE, difference, in_unit, percent_change

# In the order in which they are counted, and the sign of each.
MARKS = {"worse": "✗", "better": "✓", "same": "=", "undecided": "?", "refused": "!", "appeared": "+", "vanished": "-"}


def moved(change: Change) -> str:
    """The change with its interval, "+3.1 % [+2.5, +3.8]".

    A score's difference is absolute; a dash if there is none.
    """
    if change.change is None or change.low is None or change.high is None:
        return NONE
    write = difference if change.metric.tier == "score" else percent_change
    return joined(write(change.change), interval(write, change.low, change.high))


def sentence(change: Change) -> str:
    """One line: the network, the metric, and its values before and after."""
    before, after = (in_unit(value, change.metric.unit) for value in (change.base, change.head))
    ends = f"{change.metric.name} of {change.network}: {before} -> {after}"
    step = "" if change.change is None else moved(change)
    return joined(ends, step, change.reason, f"({change.conditions})", by=", ")


def count(changes: Sequence[Change]) -> str:
    """The number of changes of each outcome."""
    by: Counter[str] = Counter(change.outcome for change in changes)
    return ", ".join(f"{by[outcome]} {outcome}" for outcome in MARKS if by[outcome]) or "nothing to compare"


def as_text(changes: Sequence[Change]) -> str:
    """One line per change. Unchanged metrics are only counted; those that are worse come last."""
    order = ["appeared", "vanished", "undecided", "refused", "better", "worse"]
    shown = sorted((c for c in changes if c.outcome != "same"), key=lambda change: order.index(change.outcome))
    lines = [f"{MARKS[change.outcome]} {change.outcome:9}  {sentence(change)}" for change in shown]
    return "\n".join([*lines, *([""] if lines else []), count(changes)])


def as_markdown(changes: Sequence[Change]) -> str:
    """A table of all of them."""
    told = {"title_of": title_of, "moved": moved, "marks": MARKS, "count": count(changes)}
    return str(template("changes.md").render(changes=changes, **told))


def as_json(changes: Sequence[Change]) -> str:
    """Every change in base units. Infinite bounds of intervals are null."""
    facts = [
        {**vars(change), "metric": change.metric.name, "unit": change.metric.unit,
         **{name: None if abs(getattr(change, name) or 0) == math.inf else getattr(change, name)
            for name in ("change", "low", "high")}}
        for change in changes
    ]  # fmt: skip
    return json.dumps(facts, indent=1, allow_nan=False)


FORMATS: dict[str, Callable[[Sequence[Change]], str]] = {"text": as_text, "markdown": as_markdown, "json": as_json}
