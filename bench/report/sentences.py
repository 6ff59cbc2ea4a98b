"""Answers in sentences: the most accurate, fastest and smallest network, and the one that `bench pick` names."""

from collections.abc import Sequence

from bench.judge.pick import LIMITS, Broken, Candidate
from bench.read.sections import Section
from bench.report.text import prose
from bench.units import in_unit


def sentences(section: Section) -> list[str]:
    """The most accurate, the fastest, the smallest network; nothing where fewer than two can be compared."""
    told, rows = [], section.rows
    if len(scored := [(row.dice.value, row) for row in rows if row.dice]) > 1:
        _, first = max(scored, key=lambda pair: pair[0])
        told.append(prose("most_accurate", section, first, section.paired_with(first)))
    if len(timed := [(row.latency_s.value, row) for row in rows if row.latency_s and not row.taints]) > 1:
        timed = sorted(timed, key=lambda pair: pair[0])
        told.append(prose("fastest", timed[0][1], timed[-1][1]))
    if len(counted := [(row.cost, row) for row in rows if row.cost]) > 1:
        _, least = min(counted, key=lambda pair: pair[0].parameters)
        trusted = [(cost.torch.macs, row) for cost, row in counted if cost.torch.macs is not None and not cost.doubt]
        cheapest = min(trusted, key=lambda pair: pair[0], default=(0, None))[1]
        told.append(prose("smallest", least, cheapest))
    return told


def pick_reason(section: Section, candidates: Sequence[Candidate]) -> str:
    """The network that `bench pick` names and why, or that none fits and which one comes nearest."""
    return prose("picked", section, sorted(candidates, key=lambda one: not one.fits and len(one.broken)))


def candidate_line(candidate: Candidate) -> str:
    """A network with its figures, then the limits it breaks."""
    values = ((limit, limit.value(candidate.row)) for limit in LIMITS.values())
    known = [f"{limit.name} {in_unit(value, limit.unit)}" for limit, value in values if value is not None]
    return "; ".join([f"{candidate.row.title}: {', '.join(known)}", *map(_breaks, candidate.broken)])


def _breaks(broken: Broken) -> str:
    if broken.value is None:
        return f"{broken.limit.name} was not measured"
    bound = in_unit(broken.bound, broken.limit.unit)
    return f"{'over' if broken.limit.upper else 'under'} {broken.limit.name} {bound}"
