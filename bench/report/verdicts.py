"""Verdicts on claims as text, Markdown, JSON, JUnit and GitHub's annotations: one literal table of formats.

A claim that fails is one line that says what was measured, what it was before, and what is allowed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any
from xml.etree import ElementTree

from bench.judge.claim import Claim
from bench.judge.evidence import Measured
from bench.judge.verdict import Verdict
from bench.networks import find_network, title_of
from bench.report.markdown import escaped
from bench.report.units import NONE, difference, in_unit, significant

MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}
LEVELS = {"fails": "error", "undecided": "notice"}
WORDS = {"equals": "", "at_most": "at most ", "at_least": "at least "}


def figure(claim: Claim, value: float) -> str:
    """One figure of a claim with its unit: a quotient as "0.25 times", a lead with its sign."""
    if claim.is_ratio:
        return f"{significant(value)} times"
    if claim.is_lead:
        return difference(value)
    return in_unit(value, claim.about.unit)


def claimed(claim: Claim) -> str:
    """What is claimed, in words: "at most 6.65 M parameters ± 2 %"."""
    other = f" {title_of(claim.against)}'s" if claim.against else ""
    slack = f"{100 * claim.margin:g} %" if claim.about.tier != "score" else f"{claim.margin:g}"
    margin = f" ± {slack}" if claim.margin else ""
    level = claim.bound == (0 if claim.is_lead else 1) and bool(other)
    written = f"{claim.bound:.4f}" if claim.about.unit == "score" and not other else figure(claim, claim.bound)
    bound = other.strip() if level else f"{written}{other}"  # a paper's Dice has four digits
    return f"{WORDS[claim.relation]}{bound}{margin}"


def found(claim: Claim, measured: Measured | None) -> str:
    """What was measured, with its interval where it has one; a dash where nothing was."""
    if measured is None:
        return NONE
    text = figure(claim, measured.value)
    if measured.low == measured.high:
        return text
    return f"{text} [{', '.join(figure(claim, end).split(' ')[0] for end in (measured.low, measured.high))}]"


def before(verdict: Verdict) -> str:
    """ "was 4.45 GMAC": what the figure was for an older code, where it was another."""
    if verdict.before is None or verdict.measured is None or verdict.before == verdict.measured.value:
        return ""
    return f"was {figure(verdict.claim, verdict.before)}"


def measured_parts(verdict: Verdict) -> tuple[str, str]:
    """What was measured: the figure, and what stands smaller beside it, its interval and what it was before."""
    value, bracket, interval = found(verdict.claim, verdict.measured).partition("[")
    return value.strip(), ", ".join(filter(None, (bracket + interval, before(verdict))))


def sentence(verdict: Verdict) -> str:
    """One line: network, metric, what was measured, what it was before, what is claimed, why nothing is decided."""
    claim = verdict.claim
    parts = [f"{claim.metric} of {claim.network}{f' at {claim.module}' if claim.module else ''}{_course(verdict)}"]
    parts.append(f"claimed {claimed(claim)}")
    if verdict.reason:
        parts.append(verdict.reason + (f" (to decide it: {verdict.todo})" if verdict.todo else ""))
    return "; ".join(parts)


def _course(verdict: Verdict) -> str:
    """What the figure is, or from what to what it went."""
    if verdict.measured is None:
        return ""
    is_ = found(verdict.claim, verdict.measured)
    if not before(verdict) or verdict.before is None:
        return f" is {is_}"
    went = "grew" if verdict.measured.value > verdict.before else "fell"
    return f" {went} from {figure(verdict.claim, verdict.before)} to {is_}"


def count(verdicts: Sequence[Verdict]) -> str:
    """How many hold, fail and are undecided."""
    by = Counter(verdict.outcome for verdict in verdicts)
    fail = "fails" if by["fails"] == 1 else "fail"
    hold = "holds" if by["holds"] == 1 else "hold"
    return f"{by['holds']} {hold}, {by['fails']} {fail}, {by['undecided']} undecided"


def as_text(verdicts: Sequence[Verdict]) -> str:
    """A line a claim in columns, those that fail last, where a reader looks first; then how to decide what is open.

    Claims of one table that are undecided for the same reason share a line.
    """
    order = ("holds", "undecided", "fails")
    ranked = sorted(verdicts, key=lambda verdict: order.index(verdict.outcome))
    lines = [_columns(group) for _, group in groupby(ranked, _sharing)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    text = ["  ".join([*map(str.ljust, line[:3], widths), line[3]]).rstrip() for line in lines]
    todo = dict.fromkeys(verdict.todo for verdict in ranked if verdict.todo)
    steps = ["", "To decide more:", *(f"  {step}" for step in todo)] if todo else []
    return "\n".join([*text, *steps, "", count(verdicts)])


def _sharing(verdict: Verdict) -> tuple[str, ...]:
    """What the claims of one line have in common: undecided ones their table and reason, others all."""
    name = verdict.claim.name
    if verdict.outcome != "undecided":
        return (name,)
    return name.partition("/")[0], verdict.reason, found(verdict.claim, verdict.measured)


def _columns(group: Iterable[Verdict]) -> tuple[str, str, str, str]:
    """Verdict, name, what was measured, what is claimed and why nothing is decided."""
    first, *others = group
    claim, mark = first.claim, f"{MARKS[first.outcome]} {first.outcome}"
    name = claim.name.partition("/")[0] if others else claim.name
    parts = [] if others else [f"claimed {claimed(claim)}"]
    reason = [first.reason] if first.reason else []
    return mark, name, _with_before(first), "; ".join(parts + reason)


def _with_before(verdict: Verdict) -> str:
    """What was measured, and what it was before."""
    return ", ".join(filter(None, (found(verdict.claim, verdict.measured), before(verdict))))


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """A table a person or a step summary shows, with the source of each claim."""
    lines = ["| Claim | Claimed | Measured | Verdict | Why, or from what |", "| --- | --- | --- | --- | --- |"]
    for verdict in verdicts:
        claim, measured = verdict.claim, verdict.measured
        why = verdict.reason + (f"; to decide it: `{verdict.todo}`" if verdict.todo else "")
        because = why or (f"{len(measured.records)} records" if measured else "")
        if measured and measured.machine:
            because += f", {measured.machine}"
        cells = (
            claim.says,
            claimed(claim),
            _with_before(verdict),
            f"{MARKS[verdict.outcome]} {verdict.outcome}",
            because,
        )
        lines.append(f"| {' | '.join(escaped(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    sources = dict.fromkeys(verdict.claim.source for verdict in verdicts)
    return "\n".join([*lines, "", f"{count(verdicts)}. Sources: {'; '.join(map(escaped, sources))}."])


def facts(verdict: Verdict) -> dict[str, Any]:
    """A verdict in base units, for JSON."""
    claim, measured = verdict.claim, verdict.measured
    return {
        "claim": claim.name, "line": claim.line, "says": claim.says, "source": claim.source,
        "network": claim.network, "metric": claim.metric, "against": claim.against, "relation": claim.relation,
        "bound": claim.bound, "margin": claim.margin, "unit": _unit(claim), "outcome": verdict.outcome,
        "value": measured and measured.value, "low": measured and measured.low, "high": measured and measured.high,
        "n": measured and measured.n, "before": verdict.before, "reason": verdict.reason, "todo": verdict.todo,
        "machine": measured.machine if measured else "", "records": list(measured.records) if measured else [],
    }  # fmt: skip


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Every fact in base units."""
    return json.dumps([facts(verdict) for verdict in verdicts], indent=1, allow_nan=False)


def as_junit(verdicts: Sequence[Verdict]) -> str:
    """JUnit's XML, which CI servers other than GitHub's show: undecided is skipped."""
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    totals = {"tests": len(verdicts), "failures": outcomes["fails"], "skipped": outcomes["undecided"]}
    suite = ElementTree.Element("testsuite", {"name": "bench check", **{k: str(v) for k, v in totals.items()}})
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"claims.{verdict.claim.network}", "name": verdict.claim.name}
        )
        if verdict.outcome != "holds":
            kind = "failure" if verdict.outcome == "fails" else "skipped"
            ElementTree.SubElement(case, kind, {"message": sentence(verdict)})
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def as_github(verdicts: Sequence[Verdict]) -> str:
    """GitHub's annotations: an error at the network's file for what fails, a notice for what is undecided."""
    lines = [_annotation(verdict) for verdict in verdicts if verdict.outcome in LEVELS]
    return "\n".join([*lines, count(verdicts)])


def _annotation(verdict: Verdict) -> str:
    place = find_network(verdict.claim.network).place
    title = f"claim {verdict.claim.name} {verdict.outcome if verdict.outcome == 'fails' else 'is undecided'}"
    properties = f"file={place},line=1,title={_escaped(title, ':,')}"
    return f"::{LEVELS[verdict.outcome]} {properties}::{_escaped(sentence(verdict))}"


def _escaped(text: str, more: str = "") -> str:
    """Text as GitHub's commands want it. Source: the toolkit's rules for workflow commands."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _unit(claim: Claim) -> str:
    return "ratio" if claim.is_ratio else "difference" if claim.is_lead else claim.about.unit


FORMATS: dict[str, Callable[[Sequence[Verdict]], str]] = {
    "text": as_text, "markdown": as_markdown, "json": as_json, "junit": as_junit, "github": as_github,
}  # fmt: skip
