"""The answer in a few sentences, for whoever reads no table."""

from collections.abc import Callable

from bench.read.rows import Row
from bench.read.sections import Section
from bench.report.units import giga, millions, milliseconds, share
from bench.stats.estimate import Estimate

NAMED = 6  # names in a sentence that can still be read


def sentences(section: Section) -> list[str]:
    """Who is most accurate, who is fastest, who is smallest; nothing where fewer than two networks can be compared."""
    found = [_most_accurate(section), _fastest(section), _smallest(section)]
    return [sentence for sentence in found if sentence]


def _most_accurate(section: Section) -> str:
    ranked = _ranked(section, lambda row: row.dice, highest=True)
    if len(ranked) < 2:
        return ""
    (first, best), *_ = ranked
    lead = f"Most accurate: {first.title}, Dice {share(best.value)}"
    if section.protocol.name == "pooled":
        return (
            f"{lead} ({section.protocol.name}; whether that is chance is told image by image, by the usual protocol)."
        )
    pairs = section.paired_with(first)
    unit, n = section.protocol.units, min((one.difference.n for one in pairs), default=best.n)
    open_ = [one.title for one in pairs if not one.behind]
    if open_:
        return f"{lead}; paired on the same {n} {unit}, chance could explain its lead over {_list(open_)}."
    return f"{lead}, ahead of every other by more than chance, paired on the same {n} {unit}."


def _fastest(section: Section) -> str:
    ranked = _ranked(section, lambda row: None if row.taints else row.latency_s, highest=False)
    if len(ranked) < 2:
        return ""
    (first, best), *others = ranked
    times = f"{others[-1][1].value / best.value:.1f} times as fast as {others[-1][0].title}"
    return f"Fastest: {first.title}, {milliseconds(best.value)} ms an image on this machine, {times}."


def _smallest(section: Section) -> str:
    counted = [(row, row.cost) for row in section.rows if row.cost]
    if len(counted) < 2:
        return ""
    row, cost = min(counted, key=lambda pair: pair[1].parameters)
    trusted = [(row, cost.torch.macs) for row, cost in counted if cost.torch.macs is not None and not cost.doubt]
    sentence = f"Smallest: {row.title}, {millions(cost.parameters)} M parameters"
    if not trusted:
        return f"{sentence}."
    cheapest, macs = min(trusted, key=lambda pair: pair[1])
    return f"{sentence}; fewest multiply-adds: {cheapest.title}, {giga(macs)} G."


def _ranked(section: Section, value: Callable[[Row], Estimate | None], highest: bool) -> list[tuple[Row, Estimate]]:
    known = [(row, estimate) for row in section.rows if (estimate := value(row)) is not None]
    return sorted(known, key=lambda pair: pair[1].value, reverse=highest)


def _list(names: list[str]) -> str:
    """ "U-Net, UNet++ and Swin-UNet"; of very many the first ones and how many more."""
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], f"{len(names) - NAMED} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
