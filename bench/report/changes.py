"""Changes between two sets of records as text, Markdown and JSON."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence

from bench.judge.compare import Change
from bench.networks import titles
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
    told = drifted(changes)
    return "\n".join([*told, *([""] if told else []), *lines, *([""] if lines else []), count(changes)])


def drifted(changes: Sequence[Change]) -> list[str]:
    """A sentence for each metric in which the machine drifted, or may have."""
    found = {change.metric.name: change for change in changes if change.drift}
    lines = [_drift(name, change) for name, change in found.items() if change.drift and change.drift.is_shown]
    alone = {c.metric.name: c for c in changes if c.drift is None and c.outcome in ("better", "worse") and _timed(c)}
    lines += [
        f"{name}: fewer than two unchanged networks were measured on both sides, so a drift of the machine "
        "cannot be told from a change"
        for name in alone
    ]
    return lines


def _timed(change: Change) -> bool:
    return change.metric.tier == "ratio" and change.metric.unit != "bytes"


def _drift(name: str, change: Change) -> str:
    found = change.drift
    assert found
    moved_by = joined(percent_change(found.value), interval(percent_change, found.low, found.high))
    more, less = ("slower", "faster") if change.metric.unit == "seconds" else ("dearer", "cheaper")
    said = f"the machine is {more if found.value > 0 else less} today, and changes are judged without that"
    return f"{name}: the {found.controls} unchanged networks moved by {moved_by}: {said}"


def as_markdown(changes: Sequence[Change]) -> str:
    """A table of all of them."""
    names = titles(change.network for change in changes)
    told = {"title_of": names.get, "moved": moved, "marks": MARKS, "count": count(changes), "drifted": drifted(changes)}
    return str(template("changes.md").render(changes=changes, **told))


def as_json(changes: Sequence[Change]) -> str:
    """Every change in base units. Infinite bounds of intervals are null."""
    facts = [
        {**vars(change), "metric": change.metric.name, "unit": change.metric.unit,
         "drift": change.drift and vars(change.drift),
         **{name: None if abs(getattr(change, name) or 0) == math.inf else getattr(change, name)
            for name in ("change", "low", "high")}}
        for change in changes
    ]  # fmt: skip
    return json.dumps(facts, indent=1, allow_nan=False)


FORMATS: dict[str, Callable[[Sequence[Change]], str]] = {"text": as_text, "markdown": as_markdown, "json": as_json}
