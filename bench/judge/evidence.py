"""A claim's figure from records, where a single one holds it: parameters, multiply-adds, memory, energy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.judge.claim import Claim
from bench.quantities.variants import PLAIN, name_of
from bench.read.speeds import SWITCHES
from bench.run.store import Record

NOTHING = "no record of {network} under these conditions"
MEASURE = "bench check --measure-missing"


@dataclass(frozen=True)
class Measured:
    """A figure in base units, its 95 % interval, the ids of the records behind it, and the machine they are of.

    Of a count the interval is the figure. `noise` is the share by which the control network differs from itself.
    """

    value: float
    low: float
    high: float
    records: tuple[str, ...]
    machine: str = ""
    noise: float = 0.0
    n: int = 1


class Undecided(Exception):
    """Why the records decide nothing. `todo` says what would help."""

    def __init__(self, reason: str, todo: str = "") -> None:
        super().__init__(reason)
        self.todo = todo


def exact(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    """The figure, or the quotient of two, from one record of each network. Raises Undecided."""
    value, mine = _figure(claim, claim.network, records, machine)
    behind = [mine]
    if claim.against:
        theirs, other = _figure(claim, claim.against, records, machine)
        _refuse_two_machines(mine, other)
        if not theirs:
            raise Undecided(f"the {claim.metric} of {claim.against} is 0, of which nothing is a share")
        value, behind = value / theirs, [mine, other]
    where = "" if claim.about.tier == "exact" else mine.machine.title
    return Measured(value, value, value, tuple(record.id for record in behind), where)


def previous(claim: Claim, older: Sequence[Record]) -> float | None:
    """The figure of the newest of the records, all of older code, of the claim's network; None where there is none."""
    fit = fitting(claim, claim.network, older)
    found = [value for r in fit if r.status == "ok" and (value := _value(claim, r)) is not None]
    return found[-1] if found and not claim.against else None


def fitting(claim: Claim, network: str, records: Iterable[Record]) -> list[Record]:
    """The network's records under the claim's conditions, failures included, oldest first."""
    about = claim.about
    fields = {name: getattr(claim, name) for name in ("channels", "classes", "size", "batch", "device")
              if name in about.conditions} | dict(about.where)  # fmt: skip
    found = [r for r in records if r.job.network == network and r.job.spec.quantity == about.quantity]
    found = [r for r in found if all(getattr(r.job.spec, name) == value for name, value in fields.items())]
    found = [r for r in found if not any(getattr(r.job.spec, name, False) for name in SWITCHES)]
    found = [r for r in found if name_of(r.job.spec) == (claim.variant if "variant" in about.conditions else PLAIN)]
    return sorted(_on_machine(claim, found), key=lambda r: r.before.at)


def _on_machine(claim: Claim, records: Iterable[Record]) -> list[Record]:
    """The records of the machine that the claim names; all where it names none."""
    names = [(r, (r.machine.cpu, r.machine.fingerprint, *r.machine.gpus)) for r in records]
    return [r for r, known in names if not claim.machine or claim.machine in known]


def preferred(records: Iterable[Record], machine: str) -> list[Record]:
    """Those of this machine where there are any, else those of the machine that was measured on last; oldest first."""
    found = sorted(records, key=lambda r: r.before.at)
    machines = [r.machine_id for r in found]
    wanted = machine if machine in machines else next(reversed(machines), "")
    return [r for r in found if r.machine_id == wanted]


def _figure(claim: Claim, network: str, records: Sequence[Record], machine: str) -> tuple[float, Record]:
    """One network's figure and the record it is from."""
    found = preferred(fitting(claim, network, records), machine)
    if not found:
        where = f" on {claim.machine}" if claim.machine else ""
        raise Undecided(NOTHING.format(network=network) + where, MEASURE)
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
    if claim.about.unit != "bytes" and record.taints:  # other processes take no memory from this one
        raise Undecided(f"{network} was disturbed while it was measured: {'; '.join(record.taints)}")
    return value, record


def _value(claim: Claim, record: Record) -> float | None:
    read = claim.about.value
    return None if read is None or record.result is None else read(record.result, claim.module)


def _refuse_two_machines(one: Record, other: Record) -> None:
    """Two figures that depend on the machine must be of the same one."""
    if one.machine_id != other.machine_id:
        raise Undecided(
            f"measured on two machines: {one.job.network} on {one.machine.title}, {other.job.network} on "
            f"{other.machine.title}",
            MEASURE,
        )
