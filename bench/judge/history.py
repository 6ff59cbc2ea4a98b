"""How a metric of a network went, commit by commit, as far as commits have records."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.judge.compare import figure, of_one_state
from bench.judge.metrics import Metric
from bench.quantities import MemorySpec
from bench.read.revisions import FOLDER, Commit, commits, records_at
from bench.read.rows import spec_of
from bench.run.store import Record

USUAL = {"size": 224, "batch": 1, "channels": 3}


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

    Under the usual conditions: 224 pixels, batch 1, plain; a score is of `dataset`, or of the first by name.
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
        names = {spec_of(r).dataset for r in kept}
        wanted = dataset or min(names, default="")
        kept = [r for r in kept if spec_of(r).dataset == wanted]
    return sorted(kept, key=lambda r: r.before.at)


def _is_usual(record: Record, metric: Metric) -> bool:
    spec = record.job.spec
    if isinstance(spec, MemorySpec) and metric.name != f"memory_{spec.mode}":
        return False
    plain = {"form": "eager", "memory_format": "contiguous", "precision": "float32"}
    wanted = {**plain, **USUAL, **({"classes": 1} if metric.quantity != "dice" else {})}
    if metric.name == "memory_training":
        del wanted["batch"]
    return all(getattr(spec, name, value) == value for name, value in wanted.items())


def _point(commit: Commit, metric: Metric, records: list[Record]) -> Point | None:
    group = of_one_state(records)
    value = figure(metric, group)
    if value is None:
        return None
    last = group[-1]
    machine = "" if metric.tier == "exact" else last.environment.title
    conditions = f"size {spec_of(last).size}" + (f", {spec_of(last).dataset}" if metric.quantity == "dice" else "")
    return Point(commit, value, conditions, machine, tuple(r.id for r in group))
