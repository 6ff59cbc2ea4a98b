"""Verdicts on claims as text, Markdown, JSON, JUnit and GitHub's annotations: one literal table of formats.

A claim that fails is one line that says what was measured, what it was before, and what is allowed.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from typing import Any

from bench.errors import plain
from bench.judge.claim import Claim
from bench.judge.verdict import Verdict
from bench.networks import find_network, title_of
from bench.report.text import in_line, interval, joined, template
from bench.units import NONE, UNITS, in_unit

MARKS = {"fails": "✗", "holds": "✓", "undecided": "?"}  # in the order of importance
LEVELS = {"fails": "error", "undecided": "notice"}
BESIDE = 13  # characters of a verdict and its mark, beside which a claim stands
WORDS = {"equals": "", "at_most": "at most ", "at_least": "at least "}


def figure(claim: Claim, value: float) -> str:
    """One figure of a claim with its unit: a quotient as "0.25 times", a lead with its sign."""
    return in_unit(value, _unit(claim))


def _unit(claim: Claim) -> str:
    return "ratio" if claim.is_ratio else "difference" if claim.is_lead else claim.about.unit


def claimed(claim: Claim) -> str:
    """What is claimed, in words: "at most 6.65 M parameters ± 2 %"."""
    other = f"{title_of(claim.against)}'s" if claim.against else ""
    slack = f"{claim.margin:g}" if claim.about.tier == "score" else f"{100 * claim.margin:g} %"
    bound = figure(claim, claim.bound)
    if claim.about.unit == "score" and not other:
        bound = f"{claim.bound:.4f}"  # a paper's Dice has four digits
    elif other and claim.bound == (0 if claim.is_lead else 1):
        bound = ""
    return WORDS[claim.relation] + joined(bound, other, f"± {slack}" if claim.margin else "")


def figures(verdict: Verdict) -> tuple[str, str, str]:
    """What was measured, its interval, and what it was for an older code: "was 4.45 GMAC".

    The last two are empty where there is none; the first is a dash where nothing was measured.
    """
    measured, before, write = verdict.measured, verdict.before, partial(figure, verdict.claim)
    if measured is None:
        return NONE, "", ""
    was = f"was {write(before)}" if before is not None and before != measured.value else ""
    return write(measured.value), interval(write, measured.low, measured.high), was


def found(verdict: Verdict) -> str:
    """What was measured, with its interval where it has one; a dash where nothing was."""
    return joined(*figures(verdict)[:2])


def scope(verdict: Verdict) -> str:
    """What a score is a figure of, the probability of a false claim of a lead that holds, and what would decide it.

    "the networks: 40 patients, 3 trainings each; probability of a false claim 0.002". Empty where there is none.
    """
    more = "" if command_of(verdict) else verdict.todo
    return joined(_whose(verdict), _unsealed(verdict), f"to decide it: {more}" if more else "", by="; ")


def _unsealed(verdict: Verdict) -> str:
    count = len(verdict.unsealed)
    have = "1 of its records has" if count == 1 else f"{count} of its records have"
    return f"{have} no digest, so edits would not be seen" if count else ""


def _whose(verdict: Verdict) -> str:
    measured, doubt = verdict.measured, false_claim(verdict)
    if measured is None or doubt is None:
        return measured.scope if measured else ""
    told = f"probability of a false claim {UNITS['probability'].cell(doubt)}"
    rare = f"misses in fewer than about {100 * measured.unseen:.2g} % would not be seen" if measured.unseen else ""
    return joined(measured.scope, told, rare, by="; ")


def false_claim(verdict: Verdict) -> float | None:
    """The probability that the other network is the better one, for a lead that holds; None for all other claims.

    "Not worse by more than 0.01" may hold of a network that is no better: that is no lead.
    """
    measured, relation = verdict.measured, verdict.claim.relation
    if measured is None or verdict.outcome != "holds":
        return None
    leads = measured.low > 0 if relation == "at_least" else measured.high < 0 and relation == "at_most"
    return measured.false_claim if leads else None


def command_of(verdict: Verdict) -> str:
    """The command that would decide more; empty where what would help is no command."""
    return verdict.todo if verdict.todo.startswith("bench ") else ""


def _with_before(verdict: Verdict) -> str:
    return joined(found(verdict), figures(verdict)[2], by=", ")


def sentence(verdict: Verdict) -> str:
    """One line: network, metric, what was measured and before, what is claimed, of whom, why nothing is decided."""
    claim, measured, now, was = verdict.claim, verdict.measured, found(verdict), figures(verdict)[2]
    course = f" is {now}" if measured else ""
    if measured and was:
        went = "grew" if measured.value > (verdict.before or 0) else "fell"
        course = f" {went} from {was.removeprefix('was ')} to {now}"
    about = f"{claim.metric} of {claim.network}{f' at {claim.module}' if claim.module else ''}{course}"
    todo = f"(to decide it: {verdict.todo})" if verdict.reason and verdict.todo else ""
    return joined(
        about, f"claimed {claimed(claim)}", _whose(verdict), _unsealed(verdict), joined(verdict.reason, todo), by="; "
    )  # fmt: skip


def count(verdicts: Sequence[Verdict]) -> str:
    """How many hold, fail and are undecided."""
    by = Counter(verdict.outcome for verdict in verdicts)
    hold, fail = "holds" if by["holds"] == 1 else "hold", "fails" if by["fails"] == 1 else "fail"
    return f"{by['holds']} {hold}, {by['fails']} {fail}, {by['undecided']} undecided"


def grouped(
    verdicts: Sequence[Verdict], key: Callable[[Verdict], Any], order: Sequence[str] = tuple(MARKS)
) -> list[list[Verdict]]:
    """Verdicts in the order of their outcomes, those beside each other with one key together."""
    ranked = sorted(verdicts, key=lambda verdict: order.index(verdict.outcome))
    return [list(group) for _, group in groupby(ranked, key)]


def as_text(verdicts: Sequence[Verdict]) -> str:
    """For each claim its verdict, name and sentence, and below it what was measured and what is claimed.

    Failed claims come last, and then the commands that decide the undecided ones. The claims of one table that have one
    verdict share its line; below it those that are undecided for the same reason share one. Below the line of a score
    stands of whom and of how many patients and trainings it is.
    """
    groups, text = grouped(verdicts, _sharing, ("holds", "undecided", "fails")), []
    for (outcome, table, says), some in groupby(groups, lambda group: _heading(group[0])):
        text += [f"{MARKS[outcome]} {outcome:<{BESIDE - 4}}  {table}: {says}", *_details(list(some))]
    todo = dict.fromkeys(command for group in groups for verdict in group if (command := command_of(verdict)))
    steps = ["", "To decide more:", *(f"  {step}" for step in todo)] if todo else []
    return "\n".join([*text, *steps, "", count(verdicts)])


def _heading(verdict: Verdict) -> tuple[str, str, str]:
    """What the claims of one heading share: the verdict, the table in the file of claims, and its sentence."""
    claim = verdict.claim
    return verdict.outcome, claim.name.partition("/")[0], in_line(claim.says)


def _details(groups: Sequence[Sequence[Verdict]]) -> list[str]:
    """A line for each group of claims in columns: against whom, what was measured, what is claimed."""
    lines = [_columns(*group) for group in groups]
    widths = [max(len(line[column]) for line in lines) for column in range(2)]
    text = []
    for line, (first, *_) in zip(lines, groups, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False) if width]
        text.append(f"{' ' * BESIDE}{'  '.join([*cells, line[2]])}".rstrip())
        if below := scope(first):
            text.append(f"{' ' * (BESIDE + 2)}{below}")
    return text


def _sharing(verdict: Verdict) -> Any:
    """What the claims of one line have in common: undecided ones their table and reason, others all."""
    claim = verdict.claim
    if verdict.outcome != "undecided":
        return claim.name
    return claim.name.partition("/")[0], verdict.reason, found(verdict), scope(verdict)


def _columns(first: Verdict, *others: Verdict) -> tuple[str, str, str]:
    """Against whom, what was measured, and what is claimed or why nothing is decided."""
    whom = [one.claim.name.partition("/")[2] for one in (first, *others)]
    why = joined("" if others else f"claimed {claimed(first.claim)}", first.reason, by="; ")
    return ", ".join(filter(None, whom)), _with_before(first) if first.measured else "", why


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """A table for a person or a step summary, with the source of each claim."""
    told = {"claimed": claimed, "measured": _with_before, "scope": scope, "command_of": command_of}
    return str(template("claims.md").render(verdicts=verdicts, marks=MARKS, count=count(verdicts), **told))


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Every fact in base units; a bound that is not known is null."""
    told = ("line", "says", "source", "network", "metric", "against", "relation", "bound", "margin")
    facts = [
        {
            "claim": v.claim.name, **{name: getattr(v.claim, name) for name in told}, "unit": _unit(v.claim),
            "outcome": v.outcome, **{name: _finite(v, name) for name in ("value", "low", "high", "n", "false_claim")},
            "scope": getattr(v.measured, "scope", ""), "need": _needed(v),
            "before": v.before, "reason": v.reason, "todo": v.todo,
            "machine": getattr(v.measured, "machine", ""), "records": getattr(v.measured, "records", ()),
            "unsealed": v.unsealed,
        }
        for v in verdicts
    ]  # fmt: skip
    return json.dumps(facts, indent=1, allow_nan=False)


def _finite(verdict: Verdict, name: str) -> float | None:
    """A number of what was measured; None where it is not known."""
    value = getattr(verdict.measured, name, None)
    return value if value is not None and math.isfinite(value) else None


def _needed(verdict: Verdict) -> dict[str, int | None] | None:
    """About how many patients or trainings of each network would decide; None where no number of them is known to."""
    wanted = verdict.measured.need if verdict.measured else None
    return asdict(wanted) if wanted and verdict.outcome == "undecided" and not command_of(verdict) else None


def as_junit(verdicts: Sequence[Verdict]) -> str:
    """JUnit's XML, which CI servers other than GitHub's show: undecided is skipped."""
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    return str(template("junit.xml").render(verdicts=verdicts, outcomes=outcomes, sentence=sentence))


def as_github(verdicts: Sequence[Verdict]) -> str:
    """GitHub's annotations: an error at the network's file for what fails, a notice for what is undecided."""
    lines = [_annotation(verdict) for verdict in verdicts if verdict.outcome in LEVELS]
    return "\n".join([*lines, count(verdicts)])


def _annotation(verdict: Verdict) -> str:
    place = find_network(verdict.claim.network).place
    title = f"claim {verdict.claim.name} {verdict.outcome if verdict.outcome == 'fails' else 'is undecided'}"
    properties = f"file={_escaped(place, ':,')},line=1,title={_escaped(title, ':,')}"
    return f"::{LEVELS[verdict.outcome]} {properties}::{_escaped(sentence(verdict))}"


def _escaped(text: str, more: str = "") -> str:
    """Text as GitHub's commands want it. Source: the toolkit's rules for workflow commands."""
    return plain(text).translate({ord(character): f"%{ord(character):02X}" for character in "%\r\n" + more})


FORMATS: dict[str, Callable[[Sequence[Verdict]], str]] = {
    "text": as_text, "markdown": as_markdown, "json": as_json, "junit": as_junit, "github": as_github,
}  # fmt: skip
