"""Composes a report of records: their sections and speeds, the verdicts on claims about them, and the document."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError
from bench.judge import claims_file, verdict
from bench.judge.claim import Claim
from bench.machine import this_machine
from bench.networks.table import in_groups
from bench.quantities import MACHINE
from bench.quantities.scores import Protocol
from bench.read.rows import score_together
from bench.read.sections import Section, sections
from bench.read.speeds import Speeds, speeds
from bench.report.document import Document, document
from bench.run.store import Record

Tell = Callable[[str], object]  # receives a sentence on what is left out


@dataclass(frozen=True)
class Composed:
    """A report's document, and what it was made from."""

    sections: list[Section]
    speeds: list[Speeds]
    verdicts: list[verdict.Verdict]
    document: Document


def composed(
    records: Sequence[Record], folders: Sequence[Path], protocol: Protocol | None = None, against: str | None = None,
    claims: Path | None = None, tell: Tell = lambda line: None,
) -> Composed:  # fmt: skip
    """The report of records. Example images come from the `folders` of records.

    `claims` is a file of claims, by default ./claims.toml, else the program's own. Of these, those about networks of
    the report are judged. Claims that nobody asked for and that cannot be read are told, and left out.
    """
    found, timed = sections(records, protocol, against), speeds(records)
    score_together(row for section in found for row in section.rows)
    networks = {record.job.network for record in records}
    about = [claim for claim in _claims(claims, tell) if networks.issuperset(claim.networks)]
    judged = list(verdict.judge(about, records, this_machine().fingerprint))
    return Composed(found, timed, judged, document(records, found, timed, judged, folders))


def _claims(given: Path | None, tell: Tell) -> list[Claim]:
    try:
        return claims_file.read_claims(given or claims_file.default_claims())
    except UserError as error:
        if given:
            raise
        tell(f"left out: {error}")
        return []


def of_groups(records: Sequence[Record], groups: Sequence[str]) -> list[Record]:
    """The records of networks of these groups, and those of the machine; all without a group.

    Raises UserError if a group is unknown, or if no record is of its networks.
    """
    if not groups:
        return list(records)
    wanted = in_groups(groups)
    if not any(record.job.network in wanted for record in records):
        raise UserError(f"no record is of a network of {', '.join(groups)}; it has {', '.join(wanted)}")
    return [record for record in records if record.job.network in (*wanted, MACHINE)]
