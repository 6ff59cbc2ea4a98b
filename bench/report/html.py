"""The report as one HTML file that needs nothing else, neither a network nor a folder beside it; on a phone or a desk.

All text from outside, names and errors, is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from bench.files import write_whole
from bench.judge.verdict import Verdict
from bench.read.sections import outdated
from bench.report.columns import Cell, Column
from bench.report.document import Document, Part
from bench.report.html_pictures import pictures_html, slug
from bench.report.html_records import anchor, link, records_html, repeat
from bench.report.tables import Table
from bench.report.units import NONE
from bench.report.verdicts import MARKS, claimed, count, measured_parts
from bench.run.store import Record

TEMPLATE = Path(__file__).with_name("template")
# Of which quantity's records a column's figures are, by its header or its name; the others' by the kind of their part.
QUANTITY = {
    "Params": "cost", "GMAC": "cost", "Latency": "latency", "Memory": "memory", "Weights": "memory",
    "Inference": "memory", "Training (MiB)": "memory", "Growth (GMAC)": "cost", "Growth (memory)": "memory",
    "Energy": "energy", "Idle": "energy",
}  # fmt: skip
PUBLISHED = "Published"  # a paper's figures, which no record is behind


def write(document: Document, folder: Path) -> list[Path]:
    """Write report.html."""
    return [write_whole(folder / "report.html", page(document))]


def page(document: Document) -> str:
    """The whole report; all style sheets and scripts of the template's folder go into it."""
    old = {record.id for record in outdated(document.records)}
    blocks = [
        _machines(document),
        _claims(document),
        *map(_part, document.parts),
        _definitions(document),
        _commands(document),
        records_html(document.records, old),
    ]
    return Template((TEMPLATE / "report.html").read_text()).substitute(
        style=_all("*.css"),
        script=_all("*.js"),
        question=escape(document.question),
        contents=_contents(document),
        body="\n".join(filter(None, blocks)),
    )


def _all(pattern: str) -> str:
    return "\n".join(path.read_text() for path in sorted(TEMPLATE.glob(pattern)))


def _contents(document: Document) -> str:
    places = [("claims", "Claims")] if document.verdicts else []
    places += [(f"part-{slug(part.name)}", part.title) for part in document.parts]
    places += [("definitions", "What the words mean"), ("again", "How to do it again"), ("records", "Records")]
    return "".join(f'<a href="#{place}">{escape(title)}</a>' for place, title in places)


def _section(place: str, title: str, *blocks: str) -> str:
    return "\n".join([f'<section id="{place}"><h2>{escape(title)}</h2>', *filter(None, blocks), "</section>"])


def _list(kind: str, texts: Sequence[str]) -> str:
    return f'<ul class="{kind}">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>' if texts else ""


def _machines(document: Document) -> str:
    return _section("machines", "Measured on", _list("machines", document.machines)) if document.machines else ""


def _definitions(document: Document) -> str:
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in document.definitions)
    return _section("definitions", "What the words mean", f'<dl class="definitions">{terms}</dl>')


def _commands(document: Document) -> str:
    return _section("again", "How to do it again", *(f"<pre>{escape(command)}</pre>" for command in document.commands))


# ---- verdicts --------------------------------------------------------------------------------------------------------


def _claims(document: Document) -> str:
    """What fails first, then what holds; what is undecided is folded away, together where the reason is one."""
    if not document.verdicts:
        return ""
    known = {record.id for record in document.records}
    decided = [v for outcome in ("fails", "holds") for v in document.verdicts if v.outcome == outcome]
    undecided: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in document.verdicts:
        if verdict.outcome == "undecided":
            undecided.setdefault((verdict.reason, verdict.todo), []).append(verdict)
    blocks = [_verdicts("Decided claims", decided, known)] if decided else []
    blocks += [_undecided(reason, todo, group, known) for (reason, todo), group in undecided.items()]
    return _section("claims", "What is claimed, and what was found", f"<p>{count(document.verdicts)}.</p>", *blocks)


def _undecided(reason: str, todo: str, group: Sequence[Verdict], known: set[str]) -> str:
    claims = f"{len(group)} claims" if len(group) > 1 else group[0].claim.says
    help_ = f"<p>To decide it: <code>{escape(todo)}</code></p>" if todo else ""
    return (
        f'<details class="open"><summary>{_mark("undecided")} {escape(claims)}: {escape(reason)}</summary>'
        f"{help_}{_verdicts(f'Undecided: {reason}', group, known)}</details>"
    )


def _mark(outcome: str) -> str:
    """A verdict by sign and word, which its colour only repeats."""
    return f'<span class="verdict {outcome}">{MARKS[outcome]} {outcome}</span>'


def _verdicts(caption: str, verdicts: Sequence[Verdict], known: set[str]) -> str:
    """A table, in which claims of one sentence and source, a line for each other network, share their first cells."""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Verdict", "Claim", "Claimed", "Measured", "From"))
    groups = [list(group) for _, group in groupby(verdicts, lambda v: (v.outcome, v.claim.says, v.claim.source))]
    body = "".join(f"<tbody>{_sharing(group, known)}</tbody>" for group in groups)
    return _scrolling(caption, f'<table class="claims"><thead><tr>{head}</tr></thead>{body}</table>')


def _sharing(group: Sequence[Verdict], known: set[str]) -> str:
    first, rows = group[0], f' rowspan="{len(group)}"' if len(group) > 1 else ""
    shared = (
        f"<td{rows}>{_mark(first.outcome)}</td>"
        f'<td{rows} class="says">{escape(first.claim.says)}{_small(first.claim.source)}</td>'
    )
    return "".join(f"<tr>{'' if n else shared}{_verdict(verdict, known)}</tr>" for n, verdict in enumerate(group))


def _verdict(verdict: Verdict, known: set[str]) -> str:
    measured = verdict.measured
    figure, beside = measured_parts(verdict)
    behind = _behind(measured.records, known) if measured else NONE
    machine = measured.machine if measured else ""
    return (
        f'<td class="claimed">{escape(claimed(verdict.claim))}</td>'
        f'<td class="measured">{" ".join(filter(None, (escape(figure), _small(beside))))}</td>'
        f'<td class="behind">{behind}{_small(machine)}</td>'
    )


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>" if text else ""


def _behind(ids: Sequence[str], known: set[str]) -> str:
    """The records that a verdict rests on, folded where there are several."""
    code = {name: f"<code>{escape(name)}</code>" for name in ids}
    links = [f'<a href="#{anchor(name)}">{code[name]}</a>' if name in known else code[name] for name in ids]
    if len(links) < 2:
        return "".join(links) or NONE
    return f"<details><summary>{len(links)} records</summary>{'<br>'.join(links)}</details>"


# ---- parts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where the figures of a row come from: its records, and the id of the element that lists them."""

    title: str
    place: str
    records: tuple[Record, ...]

    @property
    def by_quantity(self) -> dict[str, list[Record]]:
        """Its records by quantity, repeats in order."""
        ordered = sorted(self.records, key=lambda record: (record.job.spec.quantity, repeat(record), record.id))
        return {name: list(group) for name, group in groupby(ordered, lambda record: record.job.spec.quantity)}

    def target(self, quantity: str) -> str:
        """The id of what lies behind a figure: the record where there is one, else the list of them."""
        records = self.by_quantity.get(quantity, [])
        if len(records) == 1:
            return anchor(records[0].id)
        return f"{self.place}-{quantity}" if records else self.place


def _part(part: Part) -> str:
    origins = _origins(part)
    return _section(
        f"part-{slug(part.name)}",
        part.title,
        *(f"<p>{escape(sentence)}</p>" for sentence in part.says),
        *(_table(part, number, table, origins) for number, table in enumerate(part.tables)),
        pictures_html(part),
        _sources(part, origins),
    )


def _origins(part: Part) -> dict[str, Origin]:
    """Where the rows of its tables come from, by their titles."""
    source = part.section or part.speeds
    behind: dict[str, list[Record]] = {}
    for row in source.rows if source else ():
        behind.setdefault(row.title, []).extend(row.records)
    place = f"row-{slug(part.name)}"
    return {title: Origin(title, f"{place}-{n}", tuple(of)) for n, (title, of) in enumerate(behind.items())}


def _sources(part: Part, origins: dict[str, Origin]) -> str:
    """Every row's records by quantity: where its figures lead."""
    lines = []
    for origin in origins.values():
        lines.append(f'<dt id="{origin.place}">{escape(origin.title)}</dt>')
        for quantity, records in origin.by_quantity.items():
            links = "".join(f"<li>{link(record)}</li>" for record in records)
            lines.append(f'<dd id="{origin.place}-{quantity}">{quantity}<ul>{links}</ul></dd>')
    return (
        f'<details class="sources" id="from-{slug(part.name)}"><summary>The records behind these figures</summary>'
        f"<dl>{''.join(lines)}</dl></details>"
    )


def _scrolling(caption: str, table: str) -> str:
    """A table in a container of its own that scrolls, by keyboard too, so that the page never does so sideways."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">{table}</div>'


def _table(part: Part, number: int, table: Table, origins: dict[str, Origin]) -> str:
    place = f"table-{slug(part.name)}-{number}"
    usual = "dice" if part.section else "latency"
    head = "".join(f'<th scope="col">{_header(column)}</th>' for column in table.columns)
    lines = "".join(_line(title, line, table.columns, origins, usual) for title, line in table.lines)
    whole = (
        f'<table class="figures" aria-labelledby="{place}"><thead><tr><th scope="col">Network</th>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )
    title = f'<h3 id="{place}">{escape(table.caption)}</h3>'
    return "\n".join([title, _scrolling(table.caption, whole), _list("notes", table.notes)])


def _header(column: Column) -> str:
    return escape(column.name) + (f' <span class="unit">({escape(column.unit)})</span>' if column.unit else "")


def _line(title: str, line: Sequence[Cell], columns: Sequence[Column], origins: dict[str, Origin], usual: str) -> str:
    """A row; its title and its figures lead to where they come from."""
    # "U-Net, folded" is of U-Net's records.
    origin = origins.get(title) or next((one for one in origins.values() if title.startswith(f"{one.title}, ")), None)
    name = f'<a href="#{origin.place}">{escape(title)}</a>' if origin else escape(title)
    shown = []
    for column, cell in zip(columns, line, strict=True):
        quantity = QUANTITY.get(column.header) or QUANTITY.get(column.name, usual)
        traced = column.name != PUBLISHED and cell.figure != NONE
        shown.append(_cell(cell, origin.target(quantity) if origin and traced else ""))
    return f'<tr><th scope="row">{name}</th>{"".join(shown)}</tr>'


def _cell(cell: Cell, target: str) -> str:
    figure = escape(cell.figure)
    if cell.best:
        figure = f"<b>{figure}</b>"
    elif cell.second:
        figure = f"<u>{figure}</u>"
    figure = f'<a class="figure" href="#{target}">{figure}</a>' if target else f'<span class="figure">{figure}</span>'
    return f"<td>{figure}{escape(cell.mark)}{_small(' '.join(filter(None, (cell.deviation, cell.interval))))}</td>"
