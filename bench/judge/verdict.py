"""Decides claims from records: a claim holds, fails or is undecided.

Each figure has an interval. A claim holds if the whole interval is inside the allowed range, and fails if the whole
interval is outside. Otherwise it is undecided, so that no check fails by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.judge.claim import Claim
from bench.judge.evidence import measured, previous
from bench.judge.figure import Measured, Undecided
from bench.networks import NETWORKS, find_network
from bench.read.code import is_of_present_code
from bench.run.store import Record
from bench.stats.power import Need

Outcome = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, in base units. If undecided, `reason` and `todo` say why, and what would help.

    `before` is the same figure for an earlier version of the network's code, if there are records of it. `unsealed` are
    the ids of the records behind it that have no digest.
    """

    claim: Claim
    outcome: Outcome
    reason: str = ""
    todo: str = ""
    measured: Measured | None = None
    before: float | None = None
    unsealed: tuple[str, ...] = ()


def judge(claims: Sequence[Claim], records: Sequence[Record], machine: str) -> list[Verdict]:
    """Judge each claim. Records of the machine with the fingerprint `machine` take precedence over others.

    Only records of the networks' present code are used, and only those of networks that are claimed about.
    """
    claimed = {name for claim in claims for name in claim.networks}
    for name in claimed - NETWORKS.keys():
        find_network(name).libraries  # noqa: B018  # whoever claims something of code elsewhere lets it be looked at
    present: dict[str, list[Record]] = {name: [] for name in claimed}
    older: dict[str, list[Record]] = {name: [] for name in claimed}
    for record in records:
        if (name := record.job.network) in claimed:
            (present if is_of_present_code(record) else older)[name].append(record)

    def of(claim: Claim, found: dict[str, list[Record]]) -> list[Record]:
        return [record for name in claim.networks for record in found[name]]

    open_to_edits = {record.id for found in present.values() for record in found if not record.is_sealed}
    verdicts = [_verdict(claim, of(claim, present), of(claim, older), machine) for claim in claims]
    return [_marked(verdict, open_to_edits) for verdict in verdicts] if open_to_edits else verdicts


def _marked(verdict: Verdict, unsealed: set[str]) -> Verdict:
    behind = verdict.measured.records if verdict.measured else ()
    return replace(verdict, unsealed=tuple(dict.fromkeys(one for one in behind if one in unsealed)))


def _verdict(claim: Claim, present: Sequence[Record], older: Sequence[Record], machine: str) -> Verdict:
    try:
        found = measured(claim, present, machine)
    except Undecided as undecided:
        return Verdict(claim, "undecided", str(undecided), undecided.todo, undecided.measured)
    before, allowed = previous(claim, older), claim.allowed
    inside = allowed.low <= found.low and found.high <= allowed.high
    if inside or found.low > allowed.high or found.high < allowed.low:
        return Verdict(claim, "holds" if inside else "fails", measured=found, before=before)
    reason = "the interval spans the limit"
    todo = {"score": _more(claim, found.need), "ratio": "measure more processes"}.get(claim.about.tier, "")
    if found.noise > claim.margin and claim.is_ratio:
        itself = f"what the same network against itself differs by, {100 * found.noise:.2g} %"
        reason = f"untestable here: the margin of {100 * claim.margin:g} % is below {itself}"
        todo = "measure on a quieter machine"
    return Verdict(claim, "undecided", reason, todo, found)


def _more(claim: Claim, wanted: Need | None) -> str:
    """About how much more would decide, in words."""
    if wanted is None or (wanted.patients is None and wanted.trainings is None):
        return "more patients and more trainings; the figure is too near the limit to say how many"
    patients = f"about {wanted.patients:,} patients" if wanted.patients else ""
    of_each = " of each network" if claim.against else ""
    trainings = f"about {wanted.trainings:,} trainings{of_each}" if wanted.trainings else ""
    return " or ".join(filter(None, (patients, trainings)))
