"""A network's score on a data set, or its lead over another on the same test images, with the interval over images."""

from collections.abc import Sequence

from bench.judge.claim import Claim
from bench.judge.evidence import Measured, Undecided
from bench.quantities.scores import PROTOCOLS
from bench.read.rows import Row, grouped
from bench.run.store import Record
from bench.stats.estimate import Estimate, mean
from bench.stats.paired import differences


def scored(claim: Claim, records: Sequence[Record]) -> Measured:
    """The score, or its lead over `against`, of the longest training that both had. Raises Undecided."""
    networks = claim.networks
    groups = grouped((r for r in records if _fits(claim, r)), "dice", {"train": {"seed"}})
    complete = [g for g in groups if all(any(r.job.network == name for r in g) for name in networks)]
    if not complete:
        alike = "trained alike " if len(networks) > 1 else ""
        raise Undecided(f"no record of {' and '.join(networks)} {alike}on {claim.dataset}", _command(claim))
    best = max(complete, key=lambda group: _images_seen(group[0]))
    if _images_seen(best[0]) < claim.images_seen:
        raise Undecided(
            f"trained on {_images_seen(best[0]):,} images (steps times batch), the claim is of "
            f"{claim.images_seen:,} or more",
            _command(claim),
        )
    protocol = PROTOCOLS[claim.protocol or best[0].job.spec.protocol]
    rows = [Row(name, tuple(r for r in best if r.job.network == name), protocol) for name in networks]
    found = _lead(claim, *rows) if claim.is_lead else rows[0].score(claim.metric)
    if found is None:
        raise Undecided(f"{claim.network} has no {claim.metric} by the protocol {protocol.name}")
    return Measured(found.value, found.low, found.high, tuple(r.id for row in rows for r in row.records), n=found.n)


def _fits(claim: Claim, record: Record) -> bool:
    """Scored by a training of ours: how somebody's own weights were trained is unknown."""
    spec = record.job.spec
    return record.status == "ok" and spec.quantity == "dice" and spec.train is not None and (
        (spec.dataset, spec.size) == (claim.dataset, claim.size)
    )  # fmt: skip


def _images_seen(record: Record) -> int:
    train = record.job.spec.train
    return int(train.steps * train.batch)


def _lead(claim: Claim, row: Row, other: Row) -> Estimate:
    """Mean over the images that both were scored on of the first's score less the second's."""
    found = differences(row.by_unit(claim.metric), other.by_unit(claim.metric))
    if not len(found):
        raise Undecided(f"{claim.network} and {claim.against} were scored on no image in common")
    return mean(found)


def _command(claim: Claim) -> str:
    who = "--all" if claim.against else claim.network  # then all claims against others are decided at once
    return f"bench run {who} --dataset {claim.dataset} --data-root FOLDER --budget paper"
