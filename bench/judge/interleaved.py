"""The quotient of two networks' latencies, from processes that were timed side by side.

What slows a machine for an hour slows both networks of a round, and cancels in their quotient. So only pairs count
whose two processes ran within the same hour, and of these only those that nothing else disturbed.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from bench.judge.claim import Claim
from bench.judge.evidence import MEASURE, NOTHING, Measured, Undecided, on_machine, preferred
from bench.judge.metrics import seconds
from bench.machine import taint
from bench.quantities import Latency, LatencySpec
from bench.quantities.variants import name_of
from bench.read.rows import longest
from bench.run.store import Record
from bench.stats.ratio import ratio

LEAST = 4  # pairs: with fewer, Student's interval is so wide that it decides next to nothing
APART_S = 3600.0
Pair = tuple[Record, Record]


def interleaved(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    """The first network's time over the second's; of one alone, on a machine that the claim names, its own time.

    Raises Undecided where there are too few pairs, or where they were disturbed.
    """
    mine = _timed(claim, claim.network, records, machine)
    if claim.against is None:
        return _alone(claim, longest(mine))
    pairs = _pairs(mine, _timed(claim, claim.against, records, machine))
    sound = _of_one_protocol([pair for pair in pairs if not any(map(_disturbed, pair))])
    if len(sound) < LEAST:
        raise Undecided(_too_few(claim, pairs, sound), MEASURE)
    first, second = ([_seconds(record) for record in side] for side in zip(*sound, strict=True))
    found, noise = ratio(first, second), ratio(second[1:], second[:-1]).resolution
    ids = tuple(record.id for pair in sound for record in pair)
    low, high = min(found.low, found.value / (1 + noise)), max(found.high, found.value * (1 + noise))
    return Measured(found.value, low, high, ids, sound[0][0].environment.title, noise, len(sound))


def _timed(claim: Claim, network: str, records: Sequence[Record], machine: str) -> list[Record]:
    """The network's latencies under the claim's conditions, on one machine."""
    found = [r for r in records if r.job.network == network and r.status == "ok" and _fits(claim, r)]
    kept = preferred(on_machine(claim, found), machine)
    if not kept:
        raise Undecided(NOTHING.format(network=network), MEASURE)
    return kept


def _fits(claim: Claim, record: Record) -> bool:
    spec = record.job.spec
    return isinstance(spec, LatencySpec) and name_of(spec) == claim.variant and all(
        getattr(spec, name) == getattr(claim, name) for name in ("channels", "classes", "size", "batch", "device")
    )  # fmt: skip


def _pairs(mine: Sequence[Record], theirs: Sequence[Record]) -> list[Pair]:
    """Processes of the same conditions, number and hour, in the order in which they were timed."""
    others = {_round(record): record for record in theirs}
    found = [(record, others[_round(record)]) for record in mine if _round(record) in others]
    return sorted((pair for pair in found if _apart_s(*pair) < APART_S), key=lambda pair: pair[0].before.at)


def _of_one_protocol(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of the protocol (samples and seconds a process) that has most of them."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].job.spec.model_dump_json(exclude={"process"}), []).append(pair)
    return max(groups.values(), key=len, default=[])


def _round(record: Record) -> str:
    """What the two processes of a pair have in common, the fingerprint of the machine included."""
    return record.job.spec.model_dump_json()


def _apart_s(one: Record, other: Record) -> float:
    ours, theirs = (datetime.fromisoformat(record.before.at) for record in (one, other))
    return abs((ours - theirs).total_seconds())


def _too_few(claim: Claim, pairs: Sequence[Pair], sound: Sequence[Pair]) -> str:
    told = f"{len(sound)} sound pairs of processes with {claim.against}, {LEAST} needed"
    reasons = [reason for pair in pairs for record in pair for reason in _disturbed(record)]
    return f"{told}: {len(pairs) - len(sound)} of {len(pairs)} were disturbed, {reasons[0]}" if reasons else told


def _alone(claim: Claim, mine: Sequence[Record]) -> Measured:
    """The median of the process medians, between the fastest and the slowest, of sound processes."""
    sound = [record for record in mine if not _disturbed(record)]
    if not sound:
        raise Undecided(f"every process of {claim.network} was disturbed: {_disturbed(mine[0])[0]}", MEASURE)
    medians = [float(np.median(_seconds(record))) for record in sound]
    ids = tuple(record.id for record in sound)
    where = sound[0].environment.title
    return Measured(float(np.median(medians)), min(medians), max(medians), ids, where, n=len(medians))


def _disturbed(record: Record) -> tuple[str, ...]:
    spec = record.job.spec
    assert isinstance(spec, LatencySpec)
    return taint(record.before, record.after, record.environment.cores, spec.device)


def _seconds(record: Record) -> tuple[float, ...]:
    assert isinstance(record.result, Latency)
    return seconds(record.result)
