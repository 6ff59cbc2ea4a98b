"""Answers in sentences: the most accurate, fastest and smallest network, and the one that `bench pick` names.

The sentences themselves are in template/text.txt.
"""

from collections.abc import Sequence

from bench.judge.pick import LIMITS, Candidate
from bench.read.sections import Section
from bench.report.text import prose, remarks


def sentences(section: Section) -> list[str]:
    """The most accurate, the fastest, the smallest network; nothing where fewer than two can be compared."""
    return remarks("answers", section)


def pick_reason(section: Section, candidates: Sequence[Candidate]) -> str:
    """The network that `bench pick` names and why, or that none fits and which one comes nearest."""
    return prose("picked", section, sorted(candidates, key=lambda one: not one.fits and len(one.broken)))


def candidate_line(candidate: Candidate) -> str:
    """A network with its figures, then the limits it breaks."""
    return prose("candidate", candidate, LIMITS.values())
