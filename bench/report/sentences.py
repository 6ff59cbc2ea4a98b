"""Answers in sentences: the most accurate, the fastest and the smallest network, and the one that `bench pick` names."""

from collections.abc import Callable, Sequence

from bench.judge.pick import LIMITS, Broken, Candidate, number
from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.units import giga, in_unit, millions, milliseconds, share
from bench.stats.estimate import Estimate

NAMED = 6  # names in a sentence that can still be read


def sentences(section: Section) -> list[str]:
    """The most accurate, the fastest, the smallest network; nothing where fewer than two can be compared."""
    return list(filter(None, (_most_accurate(section), _fastest(section), _smallest(section))))


def _most_accurate(section: Section) -> str:
    ranked = _ranked(section, lambda row: row.dice, highest=True)
    if len(ranked) < 2:
        return ""
    first, best = ranked[0]
    lead = f"Most accurate: {first.title}, Dice {share(best.value)}"
    if section.protocol.name == "pooled":
        return f"{lead} (pooled; whether that is chance is told image by image, by the usual protocol)."
    pairs = section.paired_with(first)
    unit, n = section.protocol.units, min((one.difference.n for one in pairs), default=best.n)
    if rivals := [one.title for one in pairs if not one.behind]:
        return f"{lead}; paired on the same {n} {unit}, chance could explain its lead over {_list(rivals)}."
    return f"{lead}, ahead of every other by more than chance, paired on the same {n} {unit}."


def _fastest(section: Section) -> str:
    ranked = _ranked(section, lambda row: None if row.taints else row.latency_s, highest=False)
    if len(ranked) < 2:
        return ""
    (first, best), (last, worst) = ranked[0], ranked[-1]
    times = f"{worst.value / best.value:.1f} times as fast as {last.title}"
    return f"Fastest: {first.title}, {milliseconds(best.value)} ms an image on this machine, {times}."


def _smallest(section: Section) -> str:
    counted = [(row, row.cost) for row in section.rows if row.cost]
    if len(counted) < 2:
        return ""
    row, cost = min(counted, key=lambda pair: pair[1].parameters)
    trusted = [(cost.torch.macs, row) for row, cost in counted if cost.torch.macs is not None and not cost.doubt]
    sentence = f"Smallest: {row.title}, {millions(cost.parameters)} M parameters"
    if not trusted:
        return f"{sentence}."
    macs, cheapest = min(trusted, key=lambda pair: pair[0])
    return f"{sentence}; fewest multiply-adds: {cheapest.title}, {giga(macs)} G."


def _ranked(section: Section, value: Callable[[Row], Estimate | None], highest: bool) -> list[tuple[Row, Estimate]]:
    known = [(row, estimate) for row in section.rows if (estimate := value(row)) is not None]
    return sorted(known, key=lambda pair: pair[1].value, reverse=highest)


def _list(names: list[str]) -> str:
    """ "U-Net, UNet++ and Swin-UNet"; of very many the first ones and how many more."""
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], f"{len(names) - NAMED} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


# ---- the network for a budget ----------------------------------------------------------------------------------------


def pick_reason(section: Section, candidates: Sequence[Candidate]) -> str:
    """The network that `bench pick` names and why, or that none fits and which one comes nearest."""
    first = candidates[0]
    where = f"{section.environment.title}" + (f", {section.dice.dataset}" if section.dice else "")
    if not first.fits:
        nearest = min(candidates, key=lambda candidate: len(candidate.broken)).row.title
        return f"None of {len(candidates)} networks fits ({where}). The fewest limits are broken by {nearest}."
    fitting = sum(candidate.fits for candidate in candidates)
    if first.row.dice is None:
        return f"{first.row.title}: the fastest of {fitting} that fit; no Dice was measured ({where})."
    dice = share(first.row.dice.value)
    told = f"{first.row.title}: Dice {dice}, the highest of {fitting} that fit ({where})."
    if not first.rivals:
        return told
    rivals = ", ".join(row.title for row in first.rivals)
    return f"{told} Chance could explain its lead over {rivals}: take the cheaper one."


def candidate_line(candidate: Candidate) -> str:
    """A network with its figures, then the limits it breaks."""
    values = ((limit, number(limit.value(candidate.row))) for limit in LIMITS.values())
    known = [f"{limit.name} {in_unit(value, limit.unit)}" for limit, value in values if value is not None]
    return "; ".join([f"{candidate.row.title}: {', '.join(known)}", *map(_breaks, candidate.broken)])


def _breaks(broken: Broken) -> str:
    if broken.value is None:
        return f"{broken.limit.name} was not measured"
    bound = in_unit(broken.bound, broken.limit.unit)
    return f"{'over' if broken.limit.upper else 'under'} {broken.limit.name} {bound}"
