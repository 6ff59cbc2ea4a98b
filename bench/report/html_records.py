"""The records at the end of an HTML report: each an anchor with its conditions, machine, date, commit and samples."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from html import escape
from itertools import groupby
from statistics import median
from typing import Any

from bench.networks import title_of
from bench.quantities import Cost, DiceSpec, Energy, Latency, LatencySpec, Memory, MemorySpec, Peak, Scores
from bench.quantities.variants import name_of
from bench.read.rows import taints
from bench.report.html_pictures import slug
from bench.report.units import duration, giga, mebibytes, millions, milliseconds, share, significant
from bench.run.store import Record

MOST = 60  # samples of a record that are shown; its file holds them all
WIDTH, HEIGHT = 320, 28  # of a strip of samples


def anchor(record_id: str) -> str:
    """The id of a record's element; the hash at the end of a record's own id keeps two of them apart.

    >>> anchor("mine.py:Tiny-cost-0f3a9c51d2e4")
    'record-mine-py-Tiny-cost-0f3a9c51d2e4'
    """
    return f"record-{slug(record_id)}"


def link(record: Record) -> str:
    """A link to a record, with what tells it from its neighbours."""
    hint = ", ".join(filter(None, (repeat(record), "" if record.status == "ok" else _outcome(record))))
    told = f' <span class="hint">{escape(hint)}</span>' if hint else ""
    return f'<a href="#{anchor(record.id)}"><code>{escape(record.id)}</code></a>{told}'


def records_html(records: Sequence[Record], old: Collection[str]) -> str:
    """The section of all records by network; those with an `old` id are of code that was edited since, and say so."""
    ordered = sorted(records, key=lambda record: (title_of(record.job.network), record.job.network, record.id))
    lines = [
        '<section id="records"><h2>Records</h2>',
        f"<p>{len(records)} records, each named by its network, its quantity and a hash of all its conditions. At most "
        f"{MOST} samples of each are shown; its file holds all.</p>",
    ]
    for network, found in groupby(ordered, lambda record: record.job.network):
        lines.append(f"<h3>{escape(title_of(network))}</h3>")
        lines += [_record(record, record.id in old) for record in found]
    return "\n".join([*lines, "</section>"])


def _record(record: Record, old: bool) -> str:
    facts = [(name, escape(text)) for name, text in _facts(record, old) if text]
    if samples := _samples(record.result):
        facts.append(("samples", samples))
    lines = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts)
    headline = (_found(record.result) if record.status == "ok" else _outcome(record)) + ("; older code" if old else "")
    return (
        f'<details class="record" id="{anchor(record.id)}"><summary><code>{escape(record.id)}</code> '
        f'<span class="hint">{escape(headline)}</span></summary><dl class="facts">{lines}</dl></details>'
    )


def _outcome(record: Record) -> str:
    return record.status.replace("_", " ")


def _facts(record: Record, old: bool) -> Iterator[tuple[str, str]]:
    """What a record says of itself, in the order in which a doubter asks; no text where there is nothing to say."""
    environment, job = record.environment, record.job
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    yield "found", _found(record.result)
    yield "failed", "" if record.status == "ok" else f"{_outcome(record)}: {record.error}"
    yield "doubts", "; ".join(taints([record])) if isinstance(job.spec, LatencySpec) else ""
    yield "left out", "of all tables, for the network's code was edited since" if old else ""
    yield "conditions", ", ".join(_conditions(job.spec.model_dump(mode="json", exclude_none=True)))
    yield "machine", environment.title
    yield "software", f"{environment.system}, Python {environment.python}, {packages}"
    yield "variables", ", ".join(f"{name}={value}" for name, value in environment.variables.items())
    yield "measured at", f"{record.before.at}, in {duration(record.wall_s)}"
    yield "commit", environment.commit
    yield "network's code", job.network_digest


def _conditions(facts: dict[str, Any], of: str = "") -> Iterator[str]:
    """ "batch 1", "train.steps 600"."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _conditions(value, f"{name}.")
        elif value not in ("", []):
            yield f"{of}{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def repeat(record: Record) -> str:
    """What tells a record from others of its network and quantity."""
    spec = record.job.spec
    if isinstance(spec, LatencySpec):
        return f"{name_of(spec)}, batch {spec.batch}, {spec.size}x{spec.size}, process {spec.process}"
    if isinstance(spec, MemorySpec):
        return f"{spec.mode}, batch {spec.batch}, {spec.size}x{spec.size}"
    if isinstance(spec, DiceSpec):
        return f"{spec.dataset}, " + (f"seed {spec.train.seed}" if spec.train else f"weights {spec.weights}")
    return ""


# ---- what a record found ---------------------------------------------------------------------------------------------


def _found(result: Any) -> str:
    """The figure of one record; that of a table may be of several."""
    tell = FOUND.get(type(result))
    return tell(result) if tell else ""


def _cost(result: Cost) -> str:
    counts = [f"{giga(count.macs)} GMAC ({count.counter})" for count in (result.fvcore, result.torch)]
    return ", ".join([f"{millions(result.parameters)} M parameters", *counts])


def _latency(result: Latency) -> str:
    calls = result.samples_s
    return f"median {milliseconds(median(calls))} ms of {len(calls)} calls" if calls else ""


def _memory(result: Memory) -> str:
    return f"{mebibytes(result.peak_bytes)} MiB, of which weights {mebibytes(result.weights_bytes)}"


def _energy(result: Energy) -> str:
    return result.unreadable or f"{significant(result.joules_per_image)} J an image"


def _peak(result: Peak) -> str:
    return f"{giga(result.macs_per_s)} G multiply-adds/s, {giga(result.bytes_per_s)} GB/s"


def _scores(result: Scores) -> str:
    dice = [image.dice for image in result.images if not math.isnan(image.dice)]
    return f"Dice {share(sum(dice) / len(dice))}, the mean of {len(dice)} scores" if dice else "no score"


FOUND: dict[type, Callable[[Any], str]] = {
    Cost: _cost, Latency: _latency, Memory: _memory, Energy: _energy, Peak: _peak, Scores: _scores,
}  # fmt: skip


# ---- samples ---------------------------------------------------------------------------------------------------------


def _samples(result: Any) -> str:
    """The raw samples: times in order, Dice by image, multiply-adds by operator."""
    if isinstance(result, Latency):
        times = [milliseconds(sample) for sample in result.samples_s]
        return _strip(result.samples_s, milliseconds) + _listed(times, "calls in order, ms")
    if isinstance(result, Scores):
        scores = [f"{image.id} {share(image.dice)}" for image in result.images]
        return _strip([image.dice for image in result.images], share) + _listed(scores, "scores, image and Dice")
    if isinstance(result, Cost):
        counted = sorted(result.fvcore.by_operator.items(), key=lambda pair: (-pair[1], pair[0]))
        return _listed([f"{name} {giga(macs)}" for name, macs in counted], "operators, GMAC by fvcore")
    return ""


def _listed(texts: Sequence[str], what: str) -> str:
    some = f"the first {MOST} of {len(texts)}" if len(texts) > MOST else str(len(texts))
    return f'<span class="samples">{some} {what}: {escape(", ".join(texts[:MOST]))}</span>' if texts else ""


def _strip(samples: Sequence[float], text: Callable[[float], str]) -> str:
    """A line for each sample that is shown, between the lowest and the highest; nothing where these are one."""
    values = [value for value in samples[:MOST] if not math.isnan(value)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low == high:
        return ""
    places = (2 + (WIDTH - 4) * (value - low) / (high - low) for value in values)
    lines = "".join(f"M{place:.1f} 4V{HEIGHT - 6}" for place in places)
    said = f"from {text(low)} to {text(high)}"
    return (
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="Samples {said}"><line x1="0" x2="{WIDTH}" y1="{HEIGHT - 2}" y2="{HEIGHT - 2}"/>'
        f'<path d="{lines}"/></svg><span class="samples">{said}; </span>'
    )
