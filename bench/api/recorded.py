"""Records as a result: shown as the first tables of their report, and as tables of pandas for one's own analysis.

All figures are in base units: seconds, bytes, joules, shares from 0 to 1; multiply-adds count one multiply and one add
as one. A column's name ends in its unit where it has one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, overload

from bench.api.shown import Shown, Table, of_report
from bench.errors import look_up
from bench.networks import title_of
from bench.quantities import METRICS, DiceSpec, Latency, Metric, Scores
from bench.quantities.scores import PROTOCOLS, SCORES, Protocol
from bench.quantities.variants import name_of
from bench.read.rows import Row
from bench.read.sections import sections
from bench.report.tables import main_table
from bench.report.text import sentences
from bench.report.tidy import SUFFIXES, tidy_rows
from bench.run.store import Record

if TYPE_CHECKING:
    import pandas as pd

Each = Literal["network", "record", "image", "call"]
Facts = dict[str, Any]
# Of a record, beside its figures; those of other quantities are empty.
CONDITIONS = ("device", "threads", "channels", "classes", "size", "batch", "process", "mode", "dataset")


class Records(Shown, Sequence[Record]):
    """Records in the order of their jobs, failures among them, from a folder. Shown as the report's first tables.

    `says` is what else was found, in sentences.
    """

    def __init__(self, records: Iterable[Record], folder: Path, says: Iterable[str] = ()) -> None:
        self.records, self.folder, self.says = tuple(records), folder, tuple(says)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> "Records": ...
    def __getitem__(self, place: int | slice) -> "Record | Records":
        return Records(self.records[place], self.folder) if isinstance(place, slice) else self.records[place]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def failures(self) -> tuple[Record, ...]:
        """Those of jobs without a result."""
        return tuple(record for record in self.records if record.status != "ok")

    def frame(self, each: Each = "network") -> "pd.DataFrame":
        """The same as a table of pandas, as `bench.records` gives it."""
        return frame(self.records, each)

    def _tables(self) -> list[Table]:
        found = sections(self.records)
        shown = ((section, main_table(section)) for section in found)
        return [of_report(one, f"{one.caption}, {section.name}") for section, one in shown if one.columns]

    def _says(self) -> list[str]:
        told = [line for section in sections(self.records) for line in sentences(section)]
        failed = [f"{r.job.network}, {r.job.spec.quantity}: {r.outcome}: {r.error}" for r in self.failures]
        return [*self.says, *told, *failed] or [f"{len(self)} records"]


# ---- tables of pandas ------------------------------------------------------------------------------------------------


def frame(records: Sequence[Record], each: Each = "network", protocol: Protocol | None = None) -> "pd.DataFrame":
    """A table with a line for each network, record, image and class, or timed call; see `bench.api.records`."""
    import pandas as pd

    return pd.DataFrame(list(look_up("table", each, TABLES)(records, protocol)))


def _networks(records: Sequence[Record], protocol: Protocol | None) -> Iterable[Facts]:
    return tidy_rows(sections(records, protocol))


def _records(records: Sequence[Record], protocol: Protocol | None) -> Iterator[Facts]:
    for record in records:
        spec = record.job.spec
        yield {
            **_whose(record), "quantity": spec.quantity, "status": record.status, "error": record.error,
            "at": record.at, "machine": record.machine.title, "fingerprint": record.machine.fingerprint,
            **{name: getattr(spec, name, None) for name in CONDITIONS},
            "variant": name_of(spec) if spec.quantity == "latency" else None, **_training(spec),
            "taints": "; ".join(record.taints), **_figures(record, protocol),
            "distance_unit": record.result.distance_unit if isinstance(record.result, Scores) else None,
        }  # fmt: skip


def _whose(record: Record) -> Facts:
    return {"record": record.id, "network": record.job.network, "title": title_of(record.job.network)}


def _training(spec: Any) -> Facts:
    """The data set, its fold, seed and steps of a training; of predictions made elsewhere the training's number."""
    train, home = getattr(spec, "train", None), spec.at_home if isinstance(spec, DiceSpec) else None
    number = spec.training if getattr(spec, "predicted", "") else None
    return {
        "trained_on": home.dataset if home and train else None, "fold": home.fold if home else None,
        "seed": train.seed if train else number, "steps": train.steps if train else None,
    }  # fmt: skip


def _figures(record: Record, protocol: Protocol | None) -> Facts:
    """The figures of a record by the names of metrics and scores; of raw times, the median."""
    found = {
        metric.name + SUFFIXES.get(metric.unit, ""): _figure(metric, record)
        for metric in METRICS.values() if "module" not in metric.conditions and (metric.value or metric.samples)
    }  # fmt: skip
    row = None
    if isinstance(record.result, Scores):
        row = Row(record.job.network, (record,), protocol or PROTOCOLS[record.job.spec.protocol])
    scores = {name: row.score(name) if row else None for name in SCORES}
    return found | {name: score.value if score else None for name, score in scores.items()}


def _figure(metric: Metric, record: Record) -> float | None:
    spec, result = record.job.spec, record.result
    of_it = all(getattr(spec, name, None) == value for name, value in metric.where.items())
    if result is None or spec.quantity != metric.quantity or not of_it:
        return None
    if metric.value:
        return metric.value(result, "")
    assert metric.samples
    samples = metric.samples(result)
    return median(samples) if samples else None


def _images(records: Sequence[Record], _: Protocol | None) -> Iterator[Facts]:
    for record in records:
        spec, result = record.job.spec, record.result
        if isinstance(spec, DiceSpec) and isinstance(result, Scores):
            whose = {
                **_whose(record),
                "dataset": spec.dataset,
                **_training(spec),
                "distance_unit": result.distance_unit,
            }
            for image in result.images:
                label = spec.labels[image.label - 1] if spec.labels else ""
                yield {**whose, "image": image.id, "class_name": label, **image.model_dump(exclude={"id"})}


def _calls(records: Sequence[Record], _: Protocol | None) -> Iterator[Facts]:
    for record in records:
        spec = record.job.spec
        if isinstance(record.result, Latency):
            conditions = {name: getattr(spec, name) for name in ("device", "threads", "size", "batch", "process")}
            for number, seconds in enumerate(record.result.samples_s):
                yield {**_whose(record), **conditions, "variant": name_of(spec), "call": number, "latency_s": seconds}


TABLES: Mapping[str, Callable[[Sequence[Record], Protocol | None], Iterable[Facts]]] = {
    "network": _networks, "record": _records, "image": _images, "call": _calls,
}  # fmt: skip
