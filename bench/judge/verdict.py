"""Decides a claim from records: it holds, it fails, or it is undecided and why.

A figure comes with the interval it lies in. Inside what the claim allows, with all of its interval, it holds; outside
with all of it, it fails; else nothing is decided, for a gate that cries wolf is switched off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.errors import UserError
from bench.judge.claim import Claim
from bench.judge.evidence import Measured, Undecided, exact, previous
from bench.judge.interleaved import interleaved
from bench.judge.scored import scored
from bench.networks import find_network
from bench.run.store import Record

Outcome = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What became of a claim, in base units. `reason` and `todo` say why nothing was decided, and what would help.

    `before` is what the same figure was for an older code of the network, where records of that are left.
    """

    claim: Claim
    outcome: Outcome
    reason: str = ""
    todo: str = ""
    measured: Measured | None = None
    before: float | None = None


def judge(claims: Sequence[Claim], records: Sequence[Record], machine: str) -> list[Verdict]:
    """A verdict for each claim. `machine` is the fingerprint of this one, whose records go before another's.

    Only records of the networks' present code count: an edited network is another network.
    """
    of_now = [record for record in records if _is_of_now(record)]
    older = [record for record in records if not _is_of_now(record)]
    return [_verdict(claim, of_now, older, machine) for claim in claims]


def _is_of_now(record: Record) -> bool:
    try:
        network = find_network(record.job.network)
    except UserError:  # the machine's peak, or a network whose file is gone
        return False
    return record.job.network_digest == network.digest_for(record.job.spec.quantity)


def _verdict(claim: Claim, of_now: Sequence[Record], older: Sequence[Record], machine: str) -> Verdict:
    try:
        measured = _measure(claim, of_now, machine)
    except Undecided as undecided:
        return Verdict(claim, "undecided", str(undecided), undecided.todo)
    before = previous(claim, older) if claim.about.tier == "exact" else None
    allowed = claim.allowed
    if allowed.low <= measured.low and measured.high <= allowed.high:
        return Verdict(claim, "holds", measured=measured, before=before)
    if measured.low > allowed.high or measured.high < allowed.low:
        return Verdict(claim, "fails", measured=measured, before=before)
    return _spanning(claim, measured)


def _measure(claim: Claim, records: Sequence[Record], machine: str) -> Measured:
    if claim.about.tier == "score":
        return scored(claim, records)
    return interleaved(claim, records, machine) if claim.about.samples else exact(claim, records, machine)


def _spanning(claim: Claim, measured: Measured) -> Verdict:
    """The interval holds figures that are allowed and figures that are not."""
    if measured.noise > claim.margin and claim.is_ratio:
        reason = (
            f"untestable here: the margin of {100 * claim.margin:g} % is below what the same network against itself "
            f"differs by, {100 * measured.noise:.2g} %"
        )
        return Verdict(claim, "undecided", reason, "measure on a quieter machine", measured)
    more = {"score": "train with more seeds", "ratio": "measure more processes"}.get(claim.about.tier, "")
    return Verdict(claim, "undecided", "the interval spans the limit", more, measured)
