"""The figure of a claim, computed from records, with its interval.

A count, a memory or an energy comes from one record of each network. A time comes from processes that were timed side
by side: a slowdown of the machine affects both networks of a round and cancels in their quotient. A score is the mean
over test images. The functions raise Undecided if the records do not contain the figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.judge.claim import Claim
from bench.quantities import Metric
from bench.quantities.scores import PROTOCOLS
from bench.quantities.variants import name_of
from bench.read.rows import Row, grouped, longest
from bench.read.speeds import SWITCHES
from bench.run.store import Record
from bench.stats.estimate import mean, of_processes
from bench.stats.paired import differences
from bench.stats.ratio import ratio_with_control

MEASURE = "bench check --measure-missing"
LEAST = 4  # pairs; with fewer, Student's interval is too wide to decide anything
APART_S = 3600.0  # processes that began further apart do not form a pair
Pair = tuple[Record, Record]


@dataclass(frozen=True)
class Measured:
    """A figure in base units, its 95 % interval, the ids of its records, and their machine.

    The interval of a count is the count itself. `noise` is the relative difference among the second network's
    processes. `n` is the number of images, processes or pairs.
    """

    value: float
    low: float
    high: float
    records: tuple[str, ...]
    machine: str = ""
    noise: float = 0.0
    n: int = 1


class Undecided(Exception):
    """The records do not decide the claim. The text gives the reason, `todo` what would help."""

    def __init__(self, reason: str, todo: str = "") -> None:
        super().__init__(reason)
        self.todo = todo


def measured(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    """The figure of a claim. Records of the machine with the fingerprint `machine` take precedence."""
    if claim.about.tier == "score":
        return scored(claim, records)
    return interleaved(claim, records, machine) if claim.about.samples else exact(claim, records, machine)


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
            and claim.may_be_of(record.machine)
        )

    return sorted(filter(fits, records), key=lambda record: record.before.at)


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
    if claim.about.unit != "bytes" and record.taints:  # other processes do not affect this one's memory
        raise Undecided(f"{network} was disturbed while it was measured: {'; '.join(record.taints)}")
    return value, record


def _value(claim: Claim, record: Record) -> float | None:
    return claim.about.value(record.result, claim.module) if claim.about.value else None


def interleaved(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    """The ratio of the two networks' times; without a second network, the time itself.

    Only pairs whose processes began within an hour of each other and were not disturbed are used.
    """
    finished = [record for record in records if record.status == "ok"]
    mine, *others = [_on_record(claim, network, finished, machine) for network in claim.networks]
    if not others:
        return _alone(claim, longest(mine))
    pairs = _pairs(mine, others[0])
    sound = _of_one_protocol([pair for pair in pairs if not any(record.taints for record in pair)])
    if len(sound) < LEAST:
        told = f"{len(sound)} sound pairs of processes with {claim.against}, {LEAST} needed"
        reasons = [reason for pair in pairs for record in pair for reason in record.taints]
        spoiled = f": {len(pairs) - len(sound)} of {len(pairs)} were disturbed, {reasons[0]}" if reasons else ""
        raise Undecided(told + spoiled, MEASURE)
    found, noise = ratio_with_control(*(times_of(claim.about, side) for side in zip(*sound, strict=True)))
    ids = tuple(record.id for pair in sound for record in pair)
    return Measured(found.value, found.low, found.high, ids, mine[0].machine.title, noise, found.pairs)


def _pairs(mine: Sequence[Record], theirs: Sequence[Record]) -> list[Pair]:
    """Pairs of processes with the same conditions and number that began within an hour, in the order of timing."""
    others = {record.job.spec.model_dump_json(): record for record in theirs}
    found = [(record, others.get(record.job.spec.model_dump_json())) for record in mine]
    return [(one, other) for one, other in found if other and abs((one.at - other.at).total_seconds()) < APART_S]


def _of_one_protocol(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of the protocol (samples and seconds per process) that has the most pairs."""
    protocols = [one.job.spec.model_dump_json(exclude={"process"}) for one, _ in pairs]
    most = max(protocols, key=protocols.count, default="")
    return [pair for pair, protocol in zip(pairs, protocols, strict=True) if protocol == most]


def _alone(claim: Claim, mine: Sequence[Record]) -> Measured:
    """The median of the medians of undisturbed processes, with the range from the fastest to the slowest."""
    sound = [record for record in mine if not record.taints]
    found = of_processes(times_of(claim.about, sound))
    if not found:
        raise Undecided(f"every process of {claim.network} was disturbed: {mine[0].taints[0]}", MEASURE)
    ids = tuple(record.id for record in sound)
    return Measured(found.value, found.low, found.high, ids, sound[0].machine.title, n=found.n)


def times_of(metric: Metric, records: Sequence[Record]) -> list[tuple[float, ...]]:
    """The raw times of each process in seconds; empty for a metric that is not repeated in several processes."""
    return [metric.samples(record.result) for record in records] if metric.samples else []


def scored(claim: Claim, records: Sequence[Record]) -> Measured:
    """The score, or its difference to that of `against` on the same images, for the longest training that both had."""
    networks = claim.networks
    todo = f"--dataset {claim.dataset} --data-root FOLDER --budget paper"
    todo = f"bench run {'--all' if claim.against else claim.network} {todo}"  # --all measures what all such claims need
    groups = grouped((r for r in records if _is_scored(claim, r)), "dice", {"train": {"seed"}})
    complete = [group for group in groups if {r.job.network for r in group}.issuperset(networks)]
    if not complete:
        alike = "trained alike " if len(networks) > 1 else ""
        raise Undecided(f"no record of {' and '.join(networks)} {alike}on {claim.dataset}", todo)
    best = max(complete, key=lambda group: _images_seen(group[0]))
    if (seen := _images_seen(best[0])) < claim.images_seen:
        wanted = f"the claim is of {claim.images_seen:,} or more"
        raise Undecided(f"trained on {seen:,} images (steps times batch), {wanted}", todo)
    protocol = PROTOCOLS[claim.protocol or best[0].job.spec.protocol]
    rows = [Row(name, tuple(r for r in best if r.job.network == name), protocol) for name in networks]
    if claim.is_lead:
        units = differences(*(row.by_unit(claim.metric) for row in rows))
        if not len(units):
            raise Undecided(f"{claim.network} and {claim.against} were scored on no image in common")
    found = mean(units) if claim.is_lead else rows[0].score(claim.metric)
    if found is None:
        raise Undecided(f"{claim.network} has no {claim.metric} by the protocol {protocol.name}")
    return Measured(found.value, found.low, found.high, tuple(r.id for row in rows for r in row.records), n=found.n)


def _is_scored(claim: Claim, record: Record) -> bool:
    """Whether it is scored on the claim's data after training here, not with the user's own weights."""
    spec = record.job.spec
    return (record.status, spec.quantity) == ("ok", "dice") and (
        spec.train is not None and (spec.dataset, spec.size) == (claim.dataset, claim.size)
    )


def _images_seen(record: Record) -> int:
    train = record.job.spec.train
    return int(train.steps * train.batch)
