"""The figure of a claim, computed from records, with its interval.

A count, or the memory that torch allocates on a GPU, comes from one record of each network. A time, the memory on a CPU
and an energy come from processes that were measured side by side: a slowdown of the machine affects both networks of a
round and cancels in their quotient. The functions raise Undecided if the records do not contain the figure.
"""

from collections.abc import Sequence

from bench.judge.claim import Claim
from bench.judge.figure import Measured, Undecided
from bench.judge.scored import counted, scored
from bench.quantities import Metric
from bench.quantities.base import SWITCHES
from bench.quantities.variants import name_of
from bench.read.code import moment
from bench.read.rows import longest, of_newest_runtime
from bench.run.store import Record
from bench.stats.estimate import of_processes
from bench.stats.ratio import ratio_with_control

MEASURE = "bench check --measure-missing"
LEAST = 4  # pairs; with fewer, Student's interval is too wide to decide anything
APART_S = 3600.0  # processes that began further apart do not form a pair
Pair = tuple[Record, Record]


def measured(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    """The figure of a claim. Records of the machine with the fingerprint `machine` take precedence."""
    if claim.about.tier == "score":
        return scored(claim, records)
    exactly = claim.about.gates_exactly(claim.device)
    return exact(claim, records, machine) if exactly else interleaved(claim, records, machine)


def fitting(claim: Claim, network: str, records: Sequence[Record]) -> list[Record]:
    """The network's records under the claim's conditions, including failures, oldest first."""
    about = claim.about
    names = [name for name in ("channels", "classes", "size", "batch", "device") if name in about.conditions]
    conditions = {name: getattr(claim, name) for name in names} | dict(about.where)

    def fits(record: Record) -> bool:
        spec = record.job.spec
        return (
            (record.job.network, spec.quantity, name_of(spec)) == (network, about.quantity, claim.variant)
            and all(getattr(spec, name) == value for name, value in conditions.items())
            and not any(getattr(spec, name, False) for name in SWITCHES)
            and getattr(spec, "threads", record.machine.cores) == record.machine.cores  # claims are of whole machines
            and claim.may_be_of(record.machine)
        )

    found = sorted(filter(fits, records), key=moment)
    return of_newest_runtime(found) if about.quantity == "latency" else found


def preferred(records: Sequence[Record], machine: str) -> list[Record]:
    """The records of this machine if there are any, else those of the last record's machine."""
    machines = [record.machine_id for record in records]
    wanted = machine if machine in machines else next(reversed(machines), "")
    return [record for record in records if record.machine_id == wanted]


def previous(claim: Claim, older: Sequence[Record]) -> float | None:
    """The figure from the newest of the records `older`, which are of earlier code; None if there is none."""
    if claim.against or claim.about.tier != "exact":
        return None
    found = [_value(claim, record) for record in fitting(claim, claim.network, older) if record.status == "ok"]
    return next((value for value in reversed(found) if value is not None), None)


def exact(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    """The figure, or the quotient of two, from one record of each network."""
    (value, mine), *others = [_figure(claim, network, records, machine) for network in claim.networks]
    for theirs, other in others:
        if mine.machine_id != other.machine_id:
            places = (f"{record.job.network} on {record.machine.title}" for record in (mine, other))
            raise Undecided(f"measured on two machines: {', '.join(places)}", MEASURE)
        if not theirs:
            raise Undecided(f"the {claim.metric} of {claim.against} is 0, so there is no quotient")
        value /= theirs
    ids = (mine.id, *(other.id for _, other in others))
    return Measured(value, value, value, ids, "" if claim.about.tier == "exact" else mine.machine.title)


def _on_record(claim: Claim, network: str, records: Sequence[Record], machine: str) -> list[Record]:
    """The network's records under the claim's conditions on one machine. Raises Undecided if there are none."""
    found = preferred(fitting(claim, network, records), machine)
    if not found:
        where = f" on {claim.machine}" if claim.machine else ""
        raise Undecided(f"no record of {network} under these conditions{where}", MEASURE)
    return found


def _figure(claim: Claim, network: str, records: Sequence[Record], machine: str) -> tuple[float, Record]:
    """One network's figure and the record it comes from."""
    found = _on_record(claim, network, records, machine)
    record = next((r for r in reversed(found) if r.status == "ok"), found[-1])
    if record.status != "ok":
        raise Undecided(f"{network}: {record.outcome}: {record.error}")
    value, doubt = _value(claim, record), claim.about.doubt(record.result)
    if value is None and claim.module:
        known = ", ".join(getattr(record.result, "attended", {}))
        if not known:
            raise Undecided(f"{network}'s record has no share of pairs, for it is older than the measure", MEASURE)
        raise Undecided(f"{network} has no module '{claim.module}' that attends; known: {known}")
    if doubt or value is None:
        raise Undecided(f"{network} is unverified: {doubt or 'no figure'}")
    if doubts := record.doubts(claim.about.unit):
        raise Undecided(f"{network} was disturbed while it was measured: {'; '.join(doubts)}")
    return value, record


def _value(claim: Claim, record: Record) -> float | None:
    return claim.about.value(record.result, claim.module) if claim.about.value else None


def interleaved(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    """The ratio of the two networks' times, memory or energy; without a second network, the figure itself.

    Only pairs whose processes began within an hour of each other and were not disturbed are used.
    """
    finished = [record for record in records if record.status == "ok"]
    mine, *others = [_on_record(claim, network, finished, machine) for network in claim.networks]
    if not others:
        return _alone(claim, longest(mine))
    pairs = _pairs(mine, others[0])
    sound = _of_one_protocol([pair for pair in pairs if not any(_disturbed(claim, record) for record in pair)])
    if len(sound) < LEAST:
        told = f"{counted(len(sound), 'sound pair')} of processes with {claim.against}, {LEAST} needed"
        spoilt = [pair for pair in pairs if any(_disturbed(claim, record) for record in pair)]
        reasons = [reason for pair in spoilt for record in pair for reason in record.taints]
        spoiled = f": {len(spoilt)} of {len(pairs)} were disturbed, {reasons[0]}" if reasons else ""
        raise Undecided(told + spoiled, MEASURE)
    found, noise = ratio_with_control(*(_series(claim, side) for side in zip(*sound, strict=True)))
    ids = tuple(record.id for pair in sound for record in pair)
    return Measured(found.value, found.low, found.high, ids, mine[0].machine.title, noise, found.pairs)


def _pairs(mine: Sequence[Record], theirs: Sequence[Record]) -> list[Pair]:
    """Pairs of processes with the same conditions and number that began within an hour, in the order of timing."""
    others = {record.job.spec.model_dump_json(): record for record in theirs}
    found = [(record, others.get(record.job.spec.model_dump_json())) for record in mine]
    return [(one, other) for one, other in found if other and abs(moment(one) - moment(other)) < APART_S]


def _of_one_protocol(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of the protocol (samples and seconds per process) that has the most pairs."""
    protocols = [one.job.spec.model_dump_json(exclude={"process"}) for one, _ in pairs]
    most = max(protocols, key=protocols.count, default="")
    return [pair for pair, protocol in zip(pairs, protocols, strict=True) if protocol == most]


def _alone(claim: Claim, mine: Sequence[Record]) -> Measured:
    """The geometric mean of the medians of undisturbed processes, with its 95 % interval."""
    sound = [record for record in mine if not _disturbed(claim, record)]
    if not sound:
        raise Undecided(f"every process of {claim.network} was disturbed: {mine[0].taints[0]}", MEASURE)
    if len(sound) < LEAST:
        raise Undecided(f"{counted(len(sound), 'sound process')} of {claim.network}, {LEAST} needed", MEASURE)
    found = of_processes(_series(claim, sound))
    assert found
    ids = tuple(record.id for record in sound)
    return Measured(found.value, found.low, found.high, ids, sound[0].machine.title, n=found.n)


def _disturbed(claim: Claim, record: Record) -> bool:
    """Whether the figure is not to be trusted."""
    return bool(record.doubts(claim.about.unit))


def _series(claim: Claim, records: Sequence[Record]) -> list[tuple[float, ...]]:
    """The times of each process, or its one figure. Raises Undecided for a figure that could not be read."""
    if claim.about.samples:
        times = times_of(claim.about, records)
        if len(times) < len(records):
            raise Undecided(f"{records[0].job.network} has no {claim.metric} on {records[0].job.spec.device}")
        return times
    series: list[tuple[float, ...]] = []
    for record in records:
        doubt, value = claim.about.doubt(record.result), _value(claim, record)
        if doubt or value is None or value <= 0:
            fault = doubt or ("no figure" if value is None else f"its {claim.metric} is {value:g}")
            raise Undecided(f"{record.job.network} is unverified: {fault}")
        series.append((value,))
    return series


def times_of(metric: Metric, records: Sequence[Record]) -> list[tuple[float, ...]]:
    """The raw times in seconds of each process that has some; empty for a metric that is not repeated in processes."""
    return [times for record in records if (times := metric.samples(record.result))] if metric.samples else []
