"""Two sets of records, before and after: what got better, what worse, what appeared and what vanished.

Counts are compared as they are. Times were taken in different hours, so they must differ by more than their own spread
and by more than a quiet machine drifts. Scores are compared image by image. What was measured under other conditions,
or on another machine where that matters, is not compared.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bench.machine import Machine
from bench.quantities import METRICS, QUANTITIES, Metric
from bench.quantities.scores import PROTOCOLS
from bench.read.rows import Row, longest
from bench.run.store import Record
from bench.stats.estimate import mean, of_processes
from bench.stats.paired import differences
from bench.stats.ratio import spread_ratio

Outcome = Literal["better", "worse", "same", "undecided", "refused", "appeared", "vanished"]
DRIFT = 0.05  # two runs of the same network, hours apart on a quiet machine, differ by up to this share
LEFT_OUT = {"quantity", "data", "machine", "threads", "train"}  # of conditions that are told
# What must agree before two figures that depend on the machine are compared, each with how it is read.
FACTS: dict[str, Callable[[Machine], object]] = {
    "processor": lambda e: e.cpu,
    "cores": lambda e: e.cores,
    "quota of processor time": lambda e: e.cpu_quota,
    "GPUs": lambda e: ", ".join(e.gpus) or "none",
    "driver": lambda e: e.driver or "none",
    "system": lambda e: e.system,
    "Python": lambda e: e.python,
    "torch": lambda e: e.packages.get("torch"),
    "timm": lambda e: e.packages.get("timm"),
    "switches": lambda e: dict(sorted(e.variables.items())),
}


@dataclass(frozen=True)
class Change:
    """One metric of one network under one set of conditions, before and after, in base units.

    `change` is after over before less 1, or after less before of a score, between `low` and `high` (95 %).
    """

    network: str
    metric: Metric
    conditions: str
    outcome: Outcome
    base: float | None = None
    head: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def compare(base: Sequence[Record], head: Sequence[Record]) -> list[Change]:
    """Every metric of every network that either side has, in the order of names."""
    before, after = _families(base), _families(head)
    return [
        change
        for key in sorted(before.keys() | after.keys())
        for metric in METRICS.values()
        if (change := _change(key, metric, before.get(key, []), after.get(key, []))) is not None
    ]


def _families(records: Iterable[Record]) -> dict[tuple[str, str, str], list[Record]]:
    """Finished records by network, quantity and conditions; of edited code only the newest."""
    found: dict[tuple[str, str, str], list[Record]] = {}
    for record in sorted(records, key=lambda r: r.before.at):
        if record.status == "ok" and QUANTITIES[record.job.spec.quantity].metrics:
            key = (record.job.network, record.job.spec.quantity, _conditions(record))
            found.setdefault(key, []).append(record)
    return {key: of_one_state(group) for key, group in found.items()}


def of_one_state(group: list[Record]) -> list[Record]:
    """Those of the newest record's code and machine, and of a score its training."""
    last = group[-1]
    state = (last.job.network_digest, last.machine_id, _training(last))
    same = [r for r in group if (r.job.network_digest, r.machine_id, _training(r)) == state]
    return longest(same) if QUANTITIES[last.job.spec.quantity].repeats else same


def _conditions(record: Record) -> str:
    """In words that are the same on both sides: "batch 1, size 224, cpu"."""
    spec = record.job.spec
    facts = spec.model_dump(exclude=LEFT_OUT | QUANTITIES[spec.quantity].repeats, exclude_defaults=True)
    shown = {"size": spec.size, **facts}
    return ", ".join(f"{name} {value}" for name, value in sorted(shown.items()) if value not in ("", None, ()))


def _training(record: Record) -> str:
    train = getattr(record.job.spec, "train", None)
    return train.model_dump_json(exclude={"seed"}) if train else getattr(record.job.spec, "weights", "")


def _change(key: tuple[str, str, str], metric: Metric, base: list[Record], head: list[Record]) -> Change | None:
    network, quantity, conditions = key
    if metric.quantity != quantity or not _is_of(metric, (base or head)[0]):
        return None
    before, after = (figure(metric, side) for side in (base, head))
    if before is None and after is None:
        return None
    facts: dict[str, Any] = {
        "network": network, "metric": metric, "conditions": conditions, "base": before, "head": after,
    }  # fmt: skip
    if base == head:
        return Change(**facts, outcome="same", change=0.0, low=0.0, high=0.0)
    if before is None or after is None:
        return Change(**facts, outcome="appeared" if before is None else "vanished")
    if reason := _refusal(metric, base, head):
        return Change(**facts, outcome="refused", reason=reason)
    change, low, high, slack = _difference(metric, base, head, before, after)
    timed = (*base, *head) if metric.tier == "ratio" and metric.unit != "bytes" else ()
    spoiled = next((why for record in timed for why in record.taints), "")
    return Change(**facts, outcome="undecided" if spoiled else _judged(metric, low, high, slack),
                  change=change, low=low, high=high, reason=spoiled)  # fmt: skip


def _is_of(metric: Metric, record: Record) -> bool:
    """Whether a record is under the conditions that tell the metric from others of its quantity."""
    return all(getattr(record.job.spec, name) == value for name, value in metric.where.items())


def figure(metric: Metric, records: Sequence[Record]) -> float | None:
    """The metric's figure from one side's records; None where they have none."""
    if not records or "module" in metric.conditions:  # each module has one
        return None
    if metric.samples:
        times = of_processes(_times(metric, records))
        return times.value if times else None
    if metric.tier == "score":
        estimate = _row(records).score(metric.name)
        return estimate.value if estimate else None
    return metric.value(records[-1].result, "") if metric.value else None


def _times(metric: Metric, records: Sequence[Record]) -> list[tuple[float, ...]]:
    return [metric.samples(record.result) for record in records] if metric.samples else []


def _row(records: Sequence[Record]) -> Row:
    return Row(records[0].job.network, tuple(records), PROTOCOLS[records[0].job.spec.protocol])


def _refusal(metric: Metric, base: Sequence[Record], head: Sequence[Record]) -> str:
    """Why the two sides are not comparable: the first fact in which they differ, with both values."""
    one, other = base[-1], head[-1]
    if metric.tier == "score":
        if one.job.spec.data != other.job.spec.data:
            return f"other images or another split: data {one.job.spec.data} and {other.job.spec.data}"
        settings = _training(one), _training(other)
        return "" if settings[0] == settings[1] else f"trained otherwise: {_differing(*settings)}"
    if metric.tier != "ratio":
        return ""
    for name, read in FACTS.items():
        ours, theirs = read(one.machine), read(other.machine)
        if ours != theirs:
            return f"{name} differs: {ours} and {theirs}"
    return ""


def _differing(ours: str, theirs: str) -> str:
    """Of two settings as JSON, the parts in which they differ."""
    one, other = (set(text.strip("{}").split(",")) for text in (ours, theirs))
    return f"{', '.join(sorted(one - other))} and {', '.join(sorted(other - one))}".replace('"', "")


def _difference(
    metric: Metric, base: list[Record], head: list[Record], before: float, after: float
) -> tuple[float, float, float, float]:
    """The change, its interval, and how much of it means nothing."""
    if metric.tier == "score":
        found = differences(_row(head).by_unit(metric.name), _row(base).by_unit(metric.name))
        lead = mean(found) if len(found) else None
        return (lead.value, lead.low, lead.high, 0.0) if lead else (0.0, -np.inf, np.inf, 0.0)
    if metric.samples:
        ratio = spread_ratio(_times(metric, head), _times(metric, base))
        return ratio.value - 1, ratio.low - 1, ratio.high - 1, DRIFT
    change = after / before - 1 if before else np.inf * (after > before)
    exact = metric.gates_exactly(getattr(base[0].job.spec, "device", None))
    return change, change, change, 0.0 if exact else DRIFT


def _judged(metric: Metric, low: float, high: float, slack: float) -> Outcome:
    """All of the interval on one side of the slack, or all of it within, or neither."""
    if low == high == 0 or (-slack <= low and high <= slack and slack):
        return "same"
    if low > slack:
        return "worse" if metric.less_is_better else "better"
    if high < -slack:
        return "better" if metric.less_is_better else "worse"
    return "undecided"
