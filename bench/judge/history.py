"""The history of one metric: a figure for each commit that changed its records, on each machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.judge.compare import figure, of_one_state
from bench.quantities import Metric
from bench.quantities.variants import PLAIN, name_of
from bench.read.code import standing
from bench.read.load import FOLDER, Commit, commits, records_at
from bench.read.sections import is_named
from bench.run.job import file_name
from bench.run.store import Record

USUAL = {"size": 224, "batch": 1, "channels": 3, "tf32": False, "cudnn_benchmark": False}


@dataclass(frozen=True)
class Point:
    """A metric at a commit, in base units, with its conditions, and the machine if the metric depends on it.

    `machine_id` is the fingerprint of the machine: another processor is another line, whatever its name.
    """

    commit: Commit
    value: float
    conditions: str
    machine: str
    records: tuple[str, ...]
    machine_id: str = ""


def history(network: str, metric: Metric, dataset: str = "", folder: str = FOLDER) -> list[Point]:
    """A point for each commit that changed the network's records of the metric, and each machine, oldest first.

    The conditions are the default ones: 224 pixels, batch 1, the plain variant, all switches off. A score is on
    `dataset`, by default the first data set by name.
    """
    named = f"{file_name(network)}-{metric.quantity}-"
    found = {commit: _usual(records_at(commit.name, folder, named).records, metric, dataset)
             for commit in commits(folder, named)}  # fmt: skip
    return _told_apart([point for commit, records in found.items() for point in _points(commit, metric, records)])


def _told_apart(points: Sequence[Point]) -> list[Point]:
    """The points with the fingerprint beside the machine's name where several machines have that name."""
    ids: dict[str, set[str]] = {}
    for point in points:
        ids.setdefault(point.machine, set()).add(point.machine_id)
    alike = {name for name, of in ids.items() if len(of) > 1}
    return [replace(p, machine=f"{p.machine} ({p.machine_id[:6]})") if p.machine in alike else p for p in points]


def _usual(records: Sequence[Record], metric: Metric, dataset: str) -> list[Record]:
    """Finished records under the default conditions, the current one last."""
    kept = [r for r in records if r.status == "ok" and _is_usual(r, metric)]
    if metric.tier == "score":
        wanted = dataset or min((r.job.spec.dataset for r in kept if not r.job.spec.trained_on), default="")
        kept = [r for r in kept if is_named(wanted, r)]
    return sorted(kept, key=standing)


def _is_usual(record: Record, metric: Metric) -> bool:
    spec, wanted = record.job.spec, {**USUAL, **metric.where}
    if metric.tier != "score":
        wanted["classes"] = 1
    if metric.where.get("mode") == "training":  # it has a batch of its own
        del wanted["batch"]
    if getattr(spec, "threads", record.machine.cores) != record.machine.cores:  # --threads
        return False
    return name_of(spec) == PLAIN and all(getattr(spec, name, value) == value for name, value in wanted.items())


def _points(commit: Commit, metric: Metric, records: list[Record]) -> Iterator[Point]:
    """The figure on each machine that it depends on."""
    for name in sorted({record.machine_id for record in records}):
        group = of_one_state([record for record in records if record.machine_id == name])
        value = figure(metric, group)
        if value is not None:
            yield _point(commit, metric, group, value)


def _point(commit: Commit, metric: Metric, group: list[Record], value: float) -> Point:
    last = group[-1]
    machine = "" if metric.tier == "exact" else last.machine.title
    conditions = f"size {last.job.spec.size}" + (f", {last.job.spec.dataset}" if metric.tier == "score" else "")
    return Point(commit, value, conditions, machine, tuple(r.id for r in group), last.machine_id)
