"""The quotient of two networks' times, from processes that were timed side by side.

What slows a machine for an hour slows both networks of a round, and cancels in their quotient. So only pairs count
whose two processes ran within the same hour, and of these only those that nothing else disturbed.
"""

from collections.abc import Sequence

from bench.judge.claim import Claim
from bench.judge.evidence import MEASURE, NOTHING, Measured, Undecided, fitting, preferred
from bench.read.rows import grouped, longest
from bench.run.store import Record
from bench.stats.estimate import of_processes
from bench.stats.ratio import ratio_with_control

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
    sound = _of_one_protocol([pair for pair in pairs if not any(record.taints for record in pair)])
    if len(sound) < LEAST:
        raise Undecided(_too_few(claim, pairs, sound), MEASURE)
    found, noise = ratio_with_control(
        *([_samples(claim, record) for record in side] for side in zip(*sound, strict=True))
    )
    ids = tuple(record.id for pair in sound for record in pair)
    where = sound[0][0].machine.title
    return Measured(found.value, found.low, found.high, ids, where, noise, found.pairs)


def _timed(claim: Claim, network: str, records: Sequence[Record], machine: str) -> list[Record]:
    """The network's times under the claim's conditions, on one machine."""
    kept = preferred((r for r in fitting(claim, network, records) if r.status == "ok"), machine)
    if not kept:
        raise Undecided(NOTHING.format(network=network), MEASURE)
    return kept


def _pairs(mine: Sequence[Record], theirs: Sequence[Record]) -> list[Pair]:
    """Processes of the same conditions, number and hour, in the order in which they were timed."""
    others = {record.job.spec.model_dump_json(): record for record in theirs}
    found = [(record, others.get(record.job.spec.model_dump_json())) for record in mine]
    near = [(one, other) for one, other in found if other and abs((one.at - other.at).total_seconds()) < APART_S]
    return sorted(near, key=lambda pair: pair[0].before.at)


def _of_one_protocol(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of the protocol (samples and seconds a process) that has most of them."""
    by_first = {id(pair[0]): pair for pair in pairs}
    quantity = pairs[0][0].job.spec.quantity if pairs else "latency"
    largest = max(grouped((pair[0] for pair in pairs), quantity, {"process"}), key=len, default=[])
    return [by_first[id(record)] for record in largest]


def _too_few(claim: Claim, pairs: Sequence[Pair], sound: Sequence[Pair]) -> str:
    told = f"{len(sound)} sound pairs of processes with {claim.against}, {LEAST} needed"
    reasons = [reason for pair in pairs for record in pair for reason in record.taints]
    return f"{told}: {len(pairs) - len(sound)} of {len(pairs)} were disturbed, {reasons[0]}" if reasons else told


def _alone(claim: Claim, mine: Sequence[Record]) -> Measured:
    """The median of the process medians, between the fastest and the slowest, of sound processes."""
    sound = [record for record in mine if not record.taints]
    found = of_processes([_samples(claim, record) for record in sound])
    if not found:
        raise Undecided(f"every process of {claim.network} was disturbed: {mine[0].taints[0]}", MEASURE)
    ids = tuple(record.id for record in sound)
    return Measured(found.value, found.low, found.high, ids, sound[0].machine.title, n=found.n)


def _samples(claim: Claim, record: Record) -> tuple[float, ...]:
    assert claim.about.samples
    return claim.about.samples(record.result)
