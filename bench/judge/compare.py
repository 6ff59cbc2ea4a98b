"""Changes between two sets of records.

Counts are compared exactly. Times were measured at different hours, so a change must exceed both their spread and the
drift of a quiet machine; where unchanged networks were measured on both sides, they are its controls
(`bench.judge.drift`). Scores are compared patient by patient, and need three trainings on both sides. Figures
measured under different conditions, or on different machines if that matters, are not compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from bench.judge.drift import Drift, drifts
from bench.judge.evidence import times_of
from bench.machine import Machine
from bench.quantities import METRICS, QUANTITIES, DiceSpec, Metric
from bench.quantities.scores import PROTOCOLS, SCORES
from bench.read.code import digest_of, standing
from bench.read.rows import Row, longest
from bench.read.sections import conditions_of
from bench.run.store import Record
from bench.stats.estimate import LEAST_PATIENTS, LEAST_TRAININGS, of_processes
from bench.stats.paired import Difference, difference
from bench.stats.ratio import spread_ratio

Outcome = Literal["better", "worse", "same", "undecided", "refused", "appeared", "vanished"]
DRIFT = 0.05  # two runs of the same network, hours apart on a quiet machine, differ by up to this share
# How both sides must be scored for their scores to be compared, and what is said where they are not.
SCORED_SO = {
    "scoring": "scored by two versions of the way of scoring", "tolerance": "two tolerances of outlines",
    "pseudonyms": "patients under other names",
}  # fmt: skip
LEFT_OUT = {  # not shown among the conditions
    "quantity", "data", "machine", "threads", "train", "fold", "predicted", "training", "trained_data", "trained_fold",
    *SCORED_SO,
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """The change of one metric of one network under one set of conditions, in base units.

    `change` is after / before - 1, or after - before for a score, with the 95 % interval from `low` to `high`. `drift`
    is that of the machine, by which the outcome is corrected. `unchanged` says that code and libraries are the same.
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
    drift: Drift | None = None
    unchanged: bool = False


def compare(base: Sequence[Record], head: Sequence[Record]) -> list[Change]:
    """Compare every metric of every network that is on either side, sorted by name.

    Figures that depend on the machine are compared machine by machine.
    """
    before, after = _families(base), _families(head)
    found: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        for where, *sides in _by_machine(before.get(key, {}), after.get(key, {})):
            network, quantity, conditions = key
            named = network, quantity, ", ".join(filter(None, (conditions, where)))
            found += filter(None, (_change(named, metric, *sides) for metric in METRICS.values()))
    return _without_drift(found)


Family = dict[str, list[Record]]  # by the fingerprint of the machine; empty for what does not depend on it


def _families(records: Iterable[Record]) -> dict[tuple[str, str, str], Family]:
    """Finished records by network, quantity and conditions, then by machine; only those of the current code."""
    found: dict[tuple[str, str, str], Family] = {}
    for record in sorted(records, key=standing):
        if record.status == "ok" and QUANTITIES[record.job.spec.quantity].metrics:
            key = (record.job.network, record.job.spec.quantity, _conditions(record))
            family = found.setdefault(key, {})
            family[record.machine_id] = family.pop(record.machine_id, [])  # the newest machine comes last
            family[record.machine_id].append(record)
    return {key: {name: of_one_state(group) for name, group in one.items()} for key, one in found.items()}


def _by_machine(base: Family, head: Family) -> list[tuple[str, list[Record], list[Record]]]:
    """The two sides of each machine that both have, with its name where there are several; else the newest of each."""
    common = [name for name in head if name in base]
    if not common:
        newest = [next(reversed(side.values()), []) for side in (base, head)]
        return [("", newest[0], newest[1])]
    several = len(common) > 1
    return [(f"on {head[n][-1].machine.title} ({n[:6]})" if several else "", base[n], head[n]) for n in common]


def _without_drift(found: list[Change]) -> list[Change]:
    """Changes of times and energy less the drift of the machine, which unchanged networks show."""
    by_metric = drifts(found)
    return [_corrected(change, by_metric.get(change.metric.name)) for change in found]


def _corrected(change: Change, drift: Drift | None) -> Change:
    """A change judged by what is left of it without the drift; itself where that is not known."""
    if drift is None or change.change is None or change.outcome not in ("better", "worse", "same", "undecided"):
        return change
    if change.reason or change.low is None or change.high is None:  # something else disturbed it
        return replace(change, drift=drift)
    left = drift.without(change.change, change.low, change.high)
    outcome = _judged(change.metric, left.low, left.high, DRIFT)
    reason = f"{100 * left.value:+.1f} % apart from the machine's drift"
    if change.unchanged and outcome in ("better", "worse"):
        outcome, reason = "undecided", f"{reason}, though its code is unchanged"
    return replace(change, outcome=outcome, reason="" if outcome == "same" else reason, drift=drift)


def of_one_state(group: list[Record]) -> list[Record]:
    """The records with the same code, machine, training and way of scoring as the newest one."""
    same = [record for record in group if _state(record) == _state(group[-1])]
    return longest(same) if QUANTITIES[group[-1].job.spec.quantity].repeats else same


def _state(record: Record) -> tuple[Any, ...]:
    spec = record.job.spec
    scored = (conditions_of(record)[0], bool(spec.predicted)) if isinstance(spec, DiceSpec) else ()
    return _code(record), record.machine_id, _training(record), *scored


def _code(record: Record) -> tuple[Any, ...]:
    """The code of the network, and the libraries that matter to the figure."""
    return digest_of(record), *sorted(record.job.libraries.items())


def _conditions(record: Record) -> str:
    """The conditions in words, for matching the two sides: "classes 4, device cpu, size 224"."""
    spec = record.job.spec
    facts = spec.model_dump(exclude=LEFT_OUT | QUANTITIES[spec.quantity].repeats, exclude_defaults=True)
    shown = {"size": spec.size, **facts}
    if (threads := getattr(spec, "threads", record.machine.cores)) != record.machine.cores:
        shown["threads"] = threads
    if isinstance(spec, DiceSpec):
        own = getattr(record.result, "data_name", "")
        shown |= {"dataset": f"{spec.dataset} {own}".strip(), "predicted": "elsewhere" if spec.predicted else ""}
    return ", ".join(f"{name} {value}" for name, value in sorted(shown.items()) if value not in ("", None, ()))


def _training(record: Record) -> str:
    spec = record.job.spec
    train = getattr(spec, "train", None)
    elsewhere = "predicted elsewhere" if getattr(spec, "predicted", "") else getattr(spec, "weights", "")
    return train.model_dump_json(exclude={"seed"}) if train else elsewhere


def _change(key: tuple[str, str, str], metric: Metric, base: list[Record], head: list[Record]) -> Change | None:
    network, quantity, conditions = key
    spec = (base or head)[0].job.spec
    if metric.quantity != quantity or any(getattr(spec, name) != value for name, value in metric.where.items()):
        return None
    before, after = (figure(metric, side) for side in (base, head))
    if before is None and after is None:
        return None
    same_code = bool(base and head) and _code(base[-1]) == _code(head[-1])
    changed = partial(Change, network, metric, conditions, base=before, head=after, unchanged=same_code)
    if _are_the_same(base, head):
        return changed(outcome="same", change=0.0, low=0.0, high=0.0)
    if before is None or after is None:
        return changed(outcome="appeared" if before is None else "vanished")
    if reason := _refusal(metric, base, head):
        return changed(outcome="refused", reason=reason)
    scores = metric.tier == "score"
    return changed(
        **(_of_scores(metric, _row(base), _row(head)) if scores else _of_figures(metric, base, head, before, after))
    )


def _are_the_same(base: Sequence[Record], head: Sequence[Record]) -> bool:
    """Whether both sides are the same records, of which undefined scores (NaN) are equal too."""
    known = [[(record.id, record.before) for record in side] for side in (base, head)]
    return known[0] == known[1] and all(
        one.model_dump_json() == other.model_dump_json() for one, other in zip(base, head, strict=True)
    )


def _of_figures(metric: Metric, base: list[Record], head: list[Record], before: float, after: float) -> dict[str, Any]:
    """The change of a count, a time, memory or energy."""
    change, low, high, slack = _difference(metric, base, head, before, after)
    timed = (*base, *head) if metric.tier == "ratio" else ()
    doubt = next((why for record in timed for why in record.doubts(metric.unit)), "")
    outcome = "undecided" if doubt else _judged(metric, low, high, slack)
    return {"outcome": outcome, "change": change, "low": low, "high": high, "reason": doubt}


def _of_scores(metric: Metric, base: Row, head: Row) -> dict[str, Any]:
    """The change of a score on the patients of both sides."""
    found = difference(head.terms(metric.name), base.terms(metric.name), worst=SCORES[metric.name].worst)
    if found is None:
        return {"outcome": "refused", "reason": "no patient in common"}
    doubt = _doubt(found, (base, head))
    outcome = "undecided" if doubt else _judged(metric, found.low, found.high, 0.0)
    chance = f"probability of a false claim {found.false_claim:.2g}" if outcome in ("better", "worse") else ""
    return {"outcome": outcome, "change": found.value, "low": found.low, "high": found.high, "reason": doubt or chance}


def _doubt(found: Difference, rows: Iterable[Row]) -> str:
    """Why a change of a score decides nothing: no patients or too few of them, or too few trainings."""
    if not all(row.decides for row in rows):
        return (
            "the records name no patients, are of a part of the test split, or of images that were trained on: they "
            "decide nothing"
        )
    if found.of != "the networks":
        head, base = found.trainings
        needed = f"a change of the network needs {LEAST_TRAININGS} on both sides"
        return f"of these trainings ({base} and {head}): {needed}"
    return "" if found.has_interval else f"{found.patients} patients, {LEAST_PATIENTS} needed"


def figure(metric: Metric, records: Sequence[Record]) -> float | None:
    """The metric's figure from one side's records; None if they have none."""
    if not records or "module" in metric.conditions:  # the figure is per module
        return None
    if metric.samples:
        times = of_processes(times_of(metric, records))
        return times.value if times else None
    if metric.tier == "score":
        estimate = _row(records).score(metric.name)
        return estimate.value if estimate else None
    return metric.value(records[-1].result, "") if metric.value else None


def _row(records: Sequence[Record]) -> Row:
    return Row(records[0].job.network, tuple(records), PROTOCOLS[records[0].job.spec.protocol])


def _refusal(metric: Metric, base: Sequence[Record], head: Sequence[Record]) -> str:
    """Why the two sides cannot be compared: the first difference, with both values; empty if they can."""
    one, other = base[-1], head[-1]
    if metric.tier == "score":
        for name, what in SCORED_SO.items():
            if (ours := getattr(one.job.spec, name)) != (theirs := getattr(other.job.spec, name)):
                return f"{what}: {ours} and {theirs}"
        for name, what in (("data", "other images or another split"), ("trained_data", "trained on other images")):
            data = [", ".join(sorted({getattr(record.job.spec, name) for record in side})) for side in (base, head)]
            if data[0] != data[1]:
                return f"{what}: data {' and '.join(data)}"
        settings = _training(one), _training(other)
        return "" if settings[0] == settings[1] else f"trained otherwise: {_differing(*settings)}"
    if metric.tier != "ratio":
        return ""
    both = zip(_facts(one.machine).items(), _facts(other.machine).values(), strict=True)
    return next((f"{name} differs: {ours} and {theirs}" for (name, ours), theirs in both if ours != theirs), "")


def _facts(machine: Machine) -> dict[str, object]:
    """The facts that must be equal for two machine-dependent figures to be compared."""
    model = [str(getattr(machine, f"cpu_{name}", "")) for name in ("vendor", "family", "model", "stepping", "flags")]
    switches = {name: value for name, value in machine.variables.items() if name != "CUDA_VISIBLE_DEVICES"}
    return {
        "processor": machine.cpu, "kind of processor": " ".join(filter(None, model)) or "not known",
        "cores": machine.cores, "quota of processor time": machine.cpu_quota,
        "GPUs": ", ".join(machine.gpus) or "none", "driver": machine.driver or "none", "system": machine.system,
        "Python": machine.python, "torch": machine.packages.get("torch"), "timm": machine.packages.get("timm"),
        "switches": dict(sorted(switches.items())),
    }  # fmt: skip


def _differing(ours: str, theirs: str) -> str:
    """The parts in which two settings, as JSON, differ."""
    one, other = (set(text.strip("{}").split(",")) for text in (ours, theirs))
    return f"{', '.join(sorted(one - other))} and {', '.join(sorted(other - one))}".replace('"', "")


def _difference(
    metric: Metric, base: list[Record], head: list[Record], before: float, after: float
) -> tuple[float, float, float, float]:
    """The change, the bounds of its interval, and the size up to which a change is not significant."""
    if metric.samples:
        ratio = spread_ratio(times_of(metric, head), times_of(metric, base))
        return ratio.value - 1, ratio.low - 1, ratio.high - 1, DRIFT
    change = after / before - 1 if before else np.inf * (after > before)
    exact = metric.gates_exactly(getattr(base[0].job.spec, "device", None))
    return change, change, change, 0.0 if exact else DRIFT


def _judged(metric: Metric, low: float, high: float, slack: float) -> Outcome:
    """Whether the interval is entirely above, below or within -slack to slack; undecided otherwise."""
    if low == high == 0 or (-slack <= low and high <= slack and slack):
        return "same"
    if low > slack:
        return "worse" if metric.less_is_better else "better"
    if high < -slack:
        return "better" if metric.less_is_better else "worse"
    return "undecided"
