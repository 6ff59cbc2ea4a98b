"""The tables over data sets: what weights lose on data that they were not trained on, and mean ranks."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bench.quantities.scores import SCORES
from bench.read.across import Abroad, Overall, Transfer
from bench.report.columns import RANKS, Column, Ranked, Table, Value, of_score, table
from bench.report.tables import ranked, whose
from bench.report.text import prose, remarks, slug
from bench.stats.estimate import Estimate

DICE = of_score(SCORES["dice"])
_column = partial(Column, quantity="")  # a line is of two sections, so no figure leads to the records of one


def transfer_table(found: Transfer) -> Table:
    """Dice at home, Dice on the other data set, that of the same networks trained there, and the difference."""
    here, there = found.trained_on, found.tested_on
    columns = (
        _column("dice_home", "Dice", f"on {here}", lambda line: line.home, "score"),
        _column("dice", "Dice", f"on {there}", lambda line: line.there, "score", ranged=True),
        _column("dice_own", "Dice", f"on {there}, trained on it", lambda line: line.own, "score"),
        _column("difference", "Difference", f"on {there}", _difference, "difference", ranged=True),
        _column("patients", "Patients", "", _patients, "count", optional=True),
        _column("trainings", "Trainings", "", _trainings, "text", optional=True),
        _column("holm_p", "p", "Holm", _p, "probability", optional=True),
        _column("verdict", "Verdict", "", _verdict, "text", optional=True),
    )
    caption = f"Trained on {here}, tested on {there}: what is lost"
    return table(f"foreign-{slug(found.section.name)}", caption, columns, found.lines, *remarks("transfer", found))


def transfer_sentences(found: Transfer) -> list[str]:
    """What the intervals say of weights on data that they were not trained on."""
    return remarks("transfer_answers", found)


def _difference(line: Abroad) -> Value:
    found = line.difference
    return Estimate(found.value, found.low, found.high, found.patients) if found else None


def _patients(line: Abroad) -> Value:
    return line.difference.patients if line.difference else None


def _trainings(line: Abroad) -> Value:
    return "{} and {}".format(*line.difference.trainings) if line.difference else None


def _p(line: Abroad) -> Value:
    return line.difference.holm_p if line.difference and line.difference.has_interval else None


def _verdict(line: Abroad) -> Value:
    if line.difference is None:
        return None
    of = {"these trainings": "these weights", "the networks": "networks"}[line.difference.of]
    return line.verdict if line.verdict == "undecided" else f"{line.verdict} ({of})"


def ranks_table(found: Overall) -> Table:
    """The mean rank of each network with its interval, and its rank on each data set."""

    def on(dataset: str, ranked: Ranked) -> str | None:
        one = found.each[dataset].get(ranked.title)
        return f"{one.rank:g} ({one.low:g} to {one.high:g})" if one else None

    of = next(iter(found.mean.values())).of
    mean, interval, best = RANKS
    mean = replace(mean, value=lambda ranked: f"{ranked.rank.rank:.3g}")
    interval = replace(interval, value=lambda ranked: f"{ranked.rank.low:.3g} to {ranked.rank.high:.3g}")
    each = [Column(f"rank_{name}", "Rank", name, partial(on, name), "text", quantity="dice") for name in found.each]
    caption, told = f"Mean ranks {whose(of)} over data sets", remarks("mean_ranks", found, of)
    return table("mean-ranks", caption, [mean, interval, best, *each], ranked(found.mean), *told)


def titled(found: Sequence[Transfer]) -> str:
    """The heading above the tables of what is lost."""
    return prose("transfer_title", found)
