"""The records of the HTML report as plain values: the conditions, machine, date, commit and samples of each."""

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

from bench.networks import title_of
from bench.quantities import Cost, Latency, LatencySpec, Scores
from bench.read.rows import taints
from bench.report.text import joined, prose, slug, template
from bench.report.units import Text, giga, milliseconds, share
from bench.run.store import Record

MOST = 60  # samples of a record that are shown; its file holds them all
WIDTH, BOTTOM = 320, 22  # of a strip of samples


def anchor(record_id: str) -> str:
    """The id of a record's element; the hash at the end of a record's own id keeps two of them apart.

    >>> anchor("mine.py:Tiny-cost-0f3a9c51d2e4")
    'record-mine-py-Tiny-cost-0f3a9c51d2e4'
    """
    return f"record-{slug(record_id)}"


def hint(record: Record) -> str:
    """What tells a record from its neighbors, and how it ended where it failed."""
    return joined(repeat(record), "" if record.status == "ok" else _outcome(record), by=", ")


def by_network(records: Sequence[Record], old: Collection[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """All records by network; those with an `old` id are of code that was edited since, and say so."""
    ordered = sorted(records, key=lambda record: (title_of(record.job.network), record.job.network, record.id))
    return [
        (title_of(network), [_record(record, record.id in old) for record in found])
        for network, found in groupby(ordered, lambda record: record.job.network)
    ]


def _record(record: Record, old: bool) -> dict[str, Any]:
    found = _told("found", record.job.spec.quantity, record.result)
    return {
        "record": record, "old": old, "found": found, "outcome": _outcome(record), "samples": _samples(record.result),
        "headline": (found if record.status == "ok" else _outcome(record)) + ("; older code" if old else ""),
        "doubts": "; ".join(taints([record])) if isinstance(record.job.spec, LatencySpec) else "",
        "conditions": ", ".join(_conditions(record.job.spec.model_dump(mode="json", exclude_none=True))),
    }  # fmt: skip


def _outcome(record: Record) -> str:
    return record.status.replace("_", " ")


def _conditions(facts: dict[str, Any], of: str = "") -> Iterator[str]:
    """ "batch 1", "train.steps 600"."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _conditions(value, f"{name}.")
        elif value not in ("", []):
            yield f"{of}{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def repeat(record: Record) -> str:
    """What tells a record from others of its network and quantity."""
    return _told("repeat", record.job.spec.quantity, record.job.spec)


def _told(what: str, quantity: str, facts: Any) -> str:
    """What the macro `what_quantity` of the fixed text says; nothing where there is none."""
    name = f"{what}_{quantity}"
    return prose(name, facts) if facts and hasattr(template("text.txt").module, name) else ""


def _samples(result: Any) -> dict[str, str]:
    """The raw samples as text and as a strip: times in order, Dice by image, multiply-adds by operator."""
    if isinstance(result, Latency):
        times = [milliseconds(sample) for sample in result.samples_s]
        return _listed(times, "calls in order, ms", result.samples_s, milliseconds)
    if isinstance(result, Scores):
        scores = [f"{image.id} {share(image.dice)}" for image in result.images]
        return _listed(scores, "scores, image and Dice", [image.dice for image in result.images], share)
    if isinstance(result, Cost):
        counted = sorted(result.fvcore.by_operator.items(), key=lambda pair: (-pair[1], pair[0]))
        return _listed([f"{name} {giga(macs)}" for name, macs in counted], "operators, GMAC by fvcore")
    return {}


def _listed(texts: Sequence[str], what: str, samples: Sequence[float] = (), text: Text = share) -> dict[str, str]:
    """The first samples as text, and the path of a strip with a line for each, where these are not all equal."""
    if not texts:
        return {}
    some = f"the first {MOST} of {len(texts)}" if len(texts) > MOST else str(len(texts))
    values = [value for value in samples[:MOST] if not math.isnan(value)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    places = [2 + (WIDTH - 4) * (value - low) / (high - low) for value in values] if low < high else []
    return {
        "text": f"{some} {what}: {', '.join(texts[:MOST])}",
        "range": f"from {text(low)} to {text(high)}",
        "strip": "".join(f"M{place:.1f} 4V{BOTTOM}" for place in places),
    }
