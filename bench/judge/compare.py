"""Changes over time: between two sets of records, and of one metric from commit to commit.

Counts are compared exactly. Times were measured at different hours, so a change must exceed both their spread and the
drift of a quiet machine. Scores are compared patient by patient, and need three trainings on both sides. Figures
measured under different conditions, or on different machines if that matters, are not compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from bench.judge.evidence import times_of
from bench.machine import Machine
from bench.quantities import METRICS, QUANTITIES, DiceSpec, Metric
from bench.quantities.scores import PROTOCOLS, SCORES
from bench.quantities.variants import PLAIN, name_of
from bench.read.code import digest_of
from bench.read.load import FOLDER, Commit, commits, records_at
from bench.read.rows import Row, longest
from bench.read.sections import conditions_of, is_named
from bench.run.store import Record
from bench.stats.estimate import LEAST_PATIENTS, LEAST_TRAININGS, of_processes
from bench.stats.paired import Difference, difference
from bench.stats.ratio import spread_ratio

Outcome = Literal["better", "worse", "same", "undecided", "refused", "appeared", "vanished"]
DRIFT = 0.05  # two runs of the same network, hours apart on a quiet machine, differ by up to this share
USUAL = {"size": 224, "batch": 1, "channels": 3, "tf32": False, "cudnn_benchmark": False}  # of a history
# How both sides must be scored for their scores to be compared, and what is said where they are not.
SCORED_SO = {
    "scoring": "scored by two versions of the way of scoring", "tolerance": "two tolerances of outlines",
    "pseudonyms": "patients under other names",
}  # fmt: skip
LEFT_OUT = {  # not shown among the conditions
    "quantity", "data", "machine", "threads", "train", "fold", "predicted", "training", *SCORED_SO,
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """The change of one metric of one network under one set of conditions, in base units.

    `change` is after / before - 1, or after - before for a score, with the 95 % interval from `low` to `high`.
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
    """Compare every metric of every network that is on either side, sorted by name."""
    before, after = _families(base), _families(head)
    keys = sorted(before.keys() | after.keys())
    pairs = ((key, before.get(key, []), after.get(key, [])) for key in keys)
    found = (_change(key, metric, *sides) for key, *sides in pairs for metric in METRICS.values())
    return [change for change in found if change is not None]


def _families(records: Iterable[Record]) -> dict[tuple[str, str, str], list[Record]]:
    """Finished records by network, quantity and conditions; only those of the newest code."""
    found: dict[tuple[str, str, str], list[Record]] = {}
    for record in sorted(records, key=lambda r: r.before.at):
        if record.status == "ok" and QUANTITIES[record.job.spec.quantity].metrics:
            key = (record.job.network, record.job.spec.quantity, _conditions(record))
            found.setdefault(key, []).append(record)
    return {key: of_one_state(group) for key, group in found.items()}


def of_one_state(group: list[Record]) -> list[Record]:
    """The records with the same code, machine, training and way of scoring as the newest one."""
    same = [record for record in group if _state(record) == _state(group[-1])]
    return longest(same) if QUANTITIES[group[-1].job.spec.quantity].repeats else same


def _state(record: Record) -> tuple[Any, ...]:
    spec = record.job.spec
    scored = (conditions_of(record)[0], bool(spec.predicted)) if isinstance(spec, DiceSpec) else ()
    code = digest_of(record), *sorted(record.job.libraries.items())
    return code, record.machine_id, _training(record), *scored


def _conditions(record: Record) -> str:
    """The conditions in words, for matching the two sides: "classes 4, device cpu, size 224"."""
    spec = record.job.spec
    facts = spec.model_dump(exclude=LEFT_OUT | QUANTITIES[spec.quantity].repeats, exclude_defaults=True)
    shown = {"size": spec.size, **facts}
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
    changed = partial(Change, network, metric, conditions, base=before, head=after)
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
    timed = (*base, *head) if metric.tier == "ratio" and metric.unit != "bytes" else ()
    doubt = next((why for record in timed for why in record.taints), "")
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
    if not all(row.patients and row.whole_split for row in rows):
        return "the records name no patients, or are of a part of the test split: they decide nothing"
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
        data = [", ".join(sorted({record.job.spec.data for record in side})) for side in (base, head)]
        if data[0] != data[1]:
            return f"other images or another split: data {' and '.join(data)}"
        settings = _training(one), _training(other)
        return "" if settings[0] == settings[1] else f"trained otherwise: {_differing(*settings)}"
    if metric.tier != "ratio":
        return ""
    both = zip(_facts(one.machine).items(), _facts(other.machine).values(), strict=True)
    return next((f"{name} differs: {ours} and {theirs}" for (name, ours), theirs in both if ours != theirs), "")


def _facts(machine: Machine) -> dict[str, object]:
    """The facts that must be equal for two machine-dependent figures to be compared."""
    return {
        "processor": machine.cpu, "cores": machine.cores, "quota of processor time": machine.cpu_quota,
        "GPUs": ", ".join(machine.gpus) or "none", "driver": machine.driver or "none", "system": machine.system,
        "Python": machine.python, "torch": machine.packages.get("torch"), "timm": machine.packages.get("timm"),
        "switches": dict(sorted(machine.variables.items())),
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


@dataclass(frozen=True)
class Point:
    """A metric at a commit, in base units, with its conditions, and the machine if the metric depends on it."""

    commit: Commit
    value: float
    conditions: str
    machine: str
    records: tuple[str, ...]


def history(network: str, metric: Metric, dataset: str = "", folder: str = FOLDER) -> list[Point]:
    """One point for each commit that changed the network's records of the metric, oldest first.

    The conditions are the default ones: 224 pixels, batch 1, the plain variant, all switches off. A score is on
    `dataset`, by default the first data set by name.
    """
    named = f"{network}-{metric.quantity}-"
    found = {commit: _usual(records_at(commit.name, folder, named).records, metric, dataset)
             for commit in commits(folder, named)}  # fmt: skip
    points = (_point(commit, metric, records) for commit, records in found.items() if records)
    return [point for point in points if point is not None]


def _usual(records: Sequence[Record], metric: Metric, dataset: str) -> list[Record]:
    """Finished records under the default conditions, oldest first."""
    kept = [r for r in records if r.status == "ok" and _is_usual(r, metric)]
    if metric.tier == "score":
        wanted = dataset or min((r.job.spec.dataset for r in kept), default="")
        kept = [r for r in kept if is_named(wanted, r)]
    return sorted(kept, key=lambda r: r.before.at)


def _is_usual(record: Record, metric: Metric) -> bool:
    spec, wanted = record.job.spec, {**USUAL, **metric.where}
    if metric.tier != "score":
        wanted["classes"] = 1
    if metric.where.get("mode") == "training":  # its batch is the budget's
        del wanted["batch"]
    return name_of(spec) == PLAIN and all(getattr(spec, name, value) == value for name, value in wanted.items())


def _point(commit: Commit, metric: Metric, records: list[Record]) -> Point | None:
    group = of_one_state(records)
    value, last = figure(metric, group), group[-1]
    if value is None:
        return None
    machine = "" if metric.tier == "exact" else last.machine.title
    conditions = f"size {last.job.spec.size}" + (f", {last.job.spec.dataset}" if metric.tier == "score" else "")
    return Point(commit, value, conditions, machine, tuple(r.id for r in group))
