"""A choice under a budget in words: who, why, and what breaks which limit."""

from collections.abc import Sequence

from bench.judge.pick import LIMITS, Broken, Candidate, number
from bench.read.sections import Section
from bench.report.units import in_unit


def because(section: Section, candidates: Sequence[Candidate]) -> str:
    """Who is chosen and why, on whose figures; or that nobody fits and who comes nearest."""
    first = candidates[0]
    where = f"{section.environment.title}" + (f", {section.dice.dataset}" if section.dice else "")
    if not first.fits:
        nearest = f"The fewest limits are broken by {_nearest(candidates)}."
        return f"None of {len(candidates)} networks fits ({where}). {nearest}"
    fitting = sum(candidate.fits for candidate in candidates)
    if first.row.dice is None:
        return f"{first.row.title}: the fastest of {fitting} that fit; no Dice was measured ({where})."
    dice = in_unit(first.row.dice.value, "score")
    told = f"{first.row.title}: Dice {dice}, the highest of {fitting} that fit ({where})."
    if not first.rivals:
        return told
    rivals = ", ".join(row.title for row in first.rivals)
    return f"{told} Chance could explain its lead over {rivals}: take the cheaper one."


def _nearest(candidates: Sequence[Candidate]) -> str:
    return min(candidates, key=lambda candidate: len(candidate.broken)).row.title


def line(candidate: Candidate) -> str:
    """A network with its figures, then the limits it breaks."""
    values = ((limit, number(limit.value(candidate.row))) for limit in LIMITS.values())
    known = [f"{limit.name} {in_unit(value, limit.unit)}" for limit, value in values if value is not None]
    return "; ".join([f"{candidate.row.title}: {', '.join(known)}", *map(_breaks, candidate.broken)])


def _breaks(broken: Broken) -> str:
    bound = in_unit(broken.bound, broken.limit.unit)
    side = "over" if broken.limit.upper else "under"
    return f"{broken.limit.name} was not measured" if broken.value is None else f"{side} {broken.limit.name} {bound}"
