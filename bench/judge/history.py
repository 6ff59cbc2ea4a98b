"""How a metric of a network went, commit by commit, as far as commits have records."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.judge.compare import figure, of_one_state
from bench.quantities import Metric
from bench.quantities.variants import PLAIN, name_of
from bench.read.load import FOLDER, Commit, commits, records_at
from bench.run.store import Record

USUAL = {"size": 224, "batch": 1, "channels": 3, "tf32": False, "cudnn_benchmark": False}


@dataclass(frozen=True)
class Point:
    """A metric at a commit, in base units, the conditions it was measured under, and the machine where it matters."""

    commit: Commit
    value: float
    conditions: str
    machine: str
    records: tuple[str, ...]


def history(network: str, metric: Metric, dataset: str = "", folder: str = FOLDER) -> list[Point]:
    """A point for each commit that changed the network's records of the metric and has some, oldest first.

    Under the usual conditions: 224 pixels, batch 1, plain, no switch on. A score is of `dataset`, or of the first one
    by name.
    """
    named = f"{network}-{metric.quantity}-"
    found = ((commit, _usual(records_at(commit.name, folder, named).records, metric, dataset))
             for commit in commits(folder, named))  # fmt: skip
    points = [_point(commit, metric, records) for commit, records in found if records]
    return [point for point in points if point is not None]


def _usual(records: Sequence[Record], metric: Metric, dataset: str) -> list[Record]:
    """Finished records under the usual conditions, oldest first."""
    kept = [r for r in records if r.status == "ok" and _is_usual(r, metric)]
    if metric.tier == "score":
        wanted = dataset or min((r.job.spec.dataset for r in kept), default="")
        kept = [r for r in kept if r.job.spec.dataset == wanted]
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
