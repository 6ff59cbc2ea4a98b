"""A network's score on a data set, or its lead over another on the same test images, with the interval over images."""

from collections.abc import Sequence
from typing import Any, cast

from bench.judge.claim import Claim
from bench.judge.evidence import Measured, Undecided
from bench.quantities import DiceSpec
from bench.quantities.protocols import PROTOCOLS, Measure
from bench.read.paired import differences
from bench.read.rows import Row, spec_of
from bench.read.sections import grouped
from bench.run.store import Record
from bench.stats.estimate import mean


def scored(claim: Claim, records: Sequence[Record]) -> Measured:
    """The score, or its lead over `against`, of the longest training that both had. Raises Undecided."""
    networks = claim.networks
    groups = grouped([r for r in records if _fits(claim, r)], DiceSpec, {"train": {"seed"}})
    complete = [g for g in groups if all(any(r.job.network == name for r in g) for name in networks)]
    if not complete:
        names = " and ".join(networks)
        alike = "trained alike " if len(networks) > 1 else ""
        raise Undecided(f"no record of {names} {alike}on {claim.dataset}", _command(claim, networks))
    best = max(complete, key=lambda group: _seen(group[0]))
    if _seen(best[0]) < claim.images_seen:
        raise Undecided(
            f"trained on {_seen(best[0]):,} images (steps times batch), the claim is of {claim.images_seen:,} or more",
            _command(claim, networks),
        )
    rows = [_row(claim, [r for r in best if r.job.network == name]) for name in networks]
    return _figure(claim, rows[0]) if len(rows) == 1 else _lead(claim, *rows)


def _fits(claim: Claim, record: Record) -> bool:
    """Scored by a training of ours: somebody's own weights were trained nobody knows how."""
    spec = record.job.spec
    return (
        isinstance(spec, DiceSpec) and spec.train is not None and record.status == "ok"
        and (spec.dataset, spec.size) == (claim.dataset, claim.size)
    )  # fmt: skip


def _seen(record: Record) -> int:
    train = spec_of(record).train
    return int(train.steps * train.batch)


def _row(claim: Claim, records: Sequence[Record]) -> Row:
    protocol = PROTOCOLS[claim.protocol or spec_of(records[0]).protocol]
    return Row(records[0].job.network, tuple(records), protocol)


def _figure(claim: Claim, row: Row) -> Measured:
    found: Any = getattr(row, claim.metric)
    if found is None:
        raise Undecided(f"{claim.network} has no {claim.metric} by the protocol {row.protocol.name}")
    return Measured(found.value, found.low, found.high, tuple(r.id for r in row.records), n=found.n)


def _lead(claim: Claim, row: Row, other: Row) -> Measured:
    """Mean over the images that both were scored on of the first's score less the second's."""
    metric = cast("Measure", claim.metric)
    found = differences(row.by_unit(metric), other.by_unit(metric))
    if not len(found):
        raise Undecided(f"{claim.network} and {claim.against} were scored on no image in common")
    lead = mean(found)
    ids = tuple(r.id for r in (*row.records, *other.records))
    return Measured(lead.value, lead.low, lead.high, ids, n=lead.n)


def _command(claim: Claim, networks: Sequence[str]) -> str:
    who = "--all" if len(networks) > 1 else networks[0]  # then all claims against others are decided at once
    return f"bench run {who} --dataset {claim.dataset} --data-root FOLDER --budget paper"
