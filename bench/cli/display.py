"""The display of a run in a terminal: the announcement, a table that fills row by row, and the summary."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from typer import Exit, echo

from bench.cli.options import print_json
from bench.cli.signals import as_typed
from bench.cli.terminal import Part, Screen, Status, blocks, console, key_values, say
from bench.data import SPLITS, DataSet
from bench.errors import plain
from bench.machine import this_machine
from bench.quantities import QUANTITIES
from bench.quantities.scores import Protocol
from bench.read.across import transfers
from bench.read.sections import Section, sections
from bench.read.speeds import Speeds
from bench.report import across_tables, columns, compose, speed_tables, tables, text, tidy, verdicts, write
from bench.report.fewer import chosen, is_long
from bench.run import engine
from bench.run.clock import Clock
from bench.run.foreign import seen_before
from bench.run.job import Job, in_words
from bench.run.plan import Plan, missing
from bench.run.store import Record, Store
from bench.units import duration, percent, share, significant

MOST = 100  # networks of a table, or remarks, that a terminal shows
IN_FULL = 40  # networks of which a terminal shows all tables
FIRST = 10  # networks of which a terminal shows a line, where nobody would read all
OTHERS = f"The other tables, of more than {IN_FULL} networks, are in the report.\n"
REST = 20  # times as long as the tables took is waited until they are drawn again
Source = Section | Speeds
Made = Callable[[Any, int | None], list[columns.Table]]  # the tables of a source, or as many of them
HANG = 2  # characters by which the further lines of a remark are indented
ROOMY = 110  # characters of a line from which on a table is shown with all of its columns


def announce(to: Screen, planned: Plan, out: Path) -> None:
    """Announce the run: the machine, the networks, the data, the jobs and the estimated time."""
    study, waiting = planned.study, missing(planned, Store(out))
    machine = "the nodes of the queue" if study.elsewhere else this_machine().title
    lines = {
        "machine": f"{machine}; measuring on {study.device}", "networks": ", ".join(study.networks),
        "data": "none needed", "budget": f"{study.budget.name}: {study.budget.purpose}",
    }  # fmt: skip
    if planned.opened:
        lines["data"] = "; ".join(_of_data(one.data) for one in planned.opened)
    if differing := {one.data.name: one.data.differs for one in planned.opened if one.data.differs}:
        each = [f"{name}: {differs}" if len(planned.opened) > 1 else differs for name, differs in differing.items()]
        lines["differs"] = f"from the published data set: {'; '.join(each)}"
    with Status(to, transient=True) as status:
        seen = seen_before(planned, lambda names, *counts: status.count(f"comparing {names}", *counts))
    if seen:
        lines["seen before"] = "; ".join(seen)
    for job in sorted(planned.jobs, key=lambda job: job.network in study.own_training):  # first what holds for most
        if told := QUANTITIES[job.spec.quantity].told(job.spec, planned.asked):
            lines.setdefault(*told)
    done, total = len(planned.jobs) - len(waiting), len(planned.jobs)
    kept = f", {done} of them on record in {out}" if done else ""
    to_go = f"{kept}; about {duration(Clock(planned, out).left(waiting))} to go"
    lines["jobs"] = f"{total}{to_go if waiting else f', all on record in {out}: nothing is measured again'}"
    key_values(to, (((name, "bold"), text) for name, text in lines.items()))
    to.print()


def _of_data(data: DataSet) -> str:
    counts = ", ".join(f"{len(data.splits[split])} {split}" for split in SPLITS if split in data.splits)
    return f"{data.name}: {counts} images" + (f" ({data.note})" if data.note else "")


def do(planned: Plan, out: Path, quiet: bool) -> list[Record]:
    """Do the jobs that are not on record, showing how far they are; the records of the whole plan.

    On Ctrl-C it prints what is kept and how to resume, and exits with code 130.
    """
    store, began = Store(out), time.monotonic()
    waiting = missing(planned, store)
    try:
        records = followed(planned, waiting, out, quiet)
    except KeyboardInterrupt:
        done = len(planned.jobs) - len(missing(planned, store))
        trained = any(getattr(job.spec, "train", None) for job in planned.jobs)
        training = ", and an unfinished training up to its last checkpoint" if trained else ""
        stopped = f"Stopped. {done} of {len(planned.jobs)} jobs are on record in {out}{training}."
        say(console(), f"\n{stopped}", wrap=False)
        echo(plain(f"Go on with: {as_typed()}"), err=True)
        raise Exit(130) from None
    if waiting and not quiet:
        # The rest is what the harness itself costs: starting workers, building networks, keeping records.
        keys = {job.key for job in waiting}
        took, measured = time.monotonic() - began, sum(r.window_s or 0.0 for r in records if r.id in keys)
        took_in_all, own = duration(took), percent(max(0.0, 1 - measured / took))
        told = f"Took {took_in_all}, of which {own} outside measuring: starting workers, keeping records.\n"
        say(console(), told, wrap=False)
    return records


def followed(planned: Plan, waiting: list[Job], out: Path, quiet: bool) -> list[Record]:
    """Do the jobs that are `waiting`, showing how far they are; the records of the whole plan."""
    keys, store = {job.key for job in waiting}, Store(out)
    ready = [record for job in planned.jobs if job.key not in keys and (record := store.find(job))]
    with Progress(console(), len(waiting), ready, quiet, in_words(planned.jobs)) as progress:
        return engine().carry_out(planned, waiting, out, progress)


class Progress(Status):
    """Follows a run: `begin`, `event` and `end` are called as its jobs begin, tell something and end. A context.

    `words` say what each job of the run does, by its key.
    """

    def __init__(
        self, to: Screen, jobs: int, records: Sequence[Record], quiet: bool = False,
        words: Mapping[str, str] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        super().__init__(to, quiet)
        self.words, self.started = words, time.monotonic()
        self.jobs, self.records, self.number, self.deadline = jobs, list(records), 0, 0.0
        self.last = ""  # the key of the job that began last
        self.names: dict[str, str] = {}  # of the jobs that run, by their keys
        self.news: dict[str, str] = {}
        self.filled, self.took = 0.0, 0.0  # the time of the tables, and what they took
        self._fill_tables()

    def __exit__(self, kind: object, *others: object) -> None:
        if kind:  # what stays on the screen is whole
            self._fill_tables()
        super().__exit__(kind, *others)

    def begin(self, job: Job, seconds_left: float) -> None:
        """A job starts; `seconds_left` is the estimate for it and all after it."""
        self.number += 1
        self.deadline = time.monotonic() + seconds_left
        words = self.words.get(job.key) or in_words([job])[job.key]
        self.last = job.key
        self.names[job.key] = f"[{self.number}/{self.jobs}] {words}"
        self._tell(job.key, "", at_once=True)

    def event(self, event: dict[str, Any], job: Job | None = None) -> None:
        """News from the worker of a job, by default of the last: a training step, a count, or what is waited for."""
        key = job.key if job else self.last
        if "waiting" in event:
            self.show(event["waiting"])
        elif "step" in event:
            dice = "" if event["val_dice"] is None else f", Dice {share(event['val_dice'])} on val"
            which = f"{event['doing']}, " if event.get("doing") else ""
            self._tell(key, f": {which}step {event['step']}/{event['steps']}, loss {significant(event['loss'])}{dice}")
        elif "done" in event:
            self._tell(key, f": {event['doing']} {event['done']}/{event['of']}")

    def end(self, record: Record) -> None:
        """A job ended, with or without a result."""
        key = record.job.key if record.job.key in self.names else self.last
        name, _ = self.names.pop(key, ""), self.news.pop(key, "")
        self.records.append(record)
        if time.monotonic() - self.filled > REST * self.took:
            self._fill_tables()
        if record.status != "ok":
            self.show(f"{name}: {record.outcome}: {record.error}")

    def _tell(self, key: str, news: str, at_once: bool = False) -> None:
        """Say what a job does; on a terminal also what the others do that run beside it, a line each."""
        now = time.monotonic()
        self.news[key] = news
        shown = self.names if self.live else [key]
        lines = [self.names.get(one, "") + self.news.get(one, "") for one in shown]
        self.show("\n".join(lines), max(0.0, self.deadline - now), at_once=at_once, took=now - self.started)

    def _fill_tables(self) -> None:
        if self.live is None:
            return
        # The first block of each: the line that says what runs now must not be pushed off the screen.
        began = time.monotonic()
        found = sections(self.records, running=True)
        drawn = (report_table(_cut(tables.main_table(section)), self.to.width) for section in found[:MOST])
        self.tables = [block for blocks in drawn for block in blocks[:1]]
        self.filled, self.took = time.monotonic(), time.monotonic() - began


def _cut(shown: columns.Table) -> columns.Table:
    """A table without the networks for which a terminal has no room."""
    return replace(shown, lines=shown.lines[:MOST], origins=shown.origins[:MOST])


def report_table(shown: columns.Table, width: int) -> list[Any]:
    """A table of the report, in as many blocks as its columns need to fit in a line.

    Below `ROOMY` characters it does without the columns that are aside; the report has them.
    """
    roomy = width >= ROOMY
    kept = [number for number, column in enumerate(shown.columns) if roomy or not column.aside]
    headers = [f"{shown.columns[number].name}\n{shown.columns[number].unit}" for number in kept]
    lines = [[title, *(_cell(shown.columns[n], cells[n], roomy) for n in kept)] for title, cells in shown.lines]
    return blocks(["Network", *headers], lines, width)


def _cell(column: columns.Column, cell: columns.Cell, roomy: bool) -> Part:
    kept = cell if roomy or column.ranged else replace(cell, interval="", deviation="")
    return kept.text, "bold green" if cell.best else ""


def conclude(
    records: list[Record], reports: Path, as_json: bool, folders: Sequence[Path], protocol: Protocol | None = None,
    against: str | None = None, claims: Path | None = None, formats: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write the report of the records; print the tables, what they say in words, and where it lies.

    `claims` is a file of claims, by default ./claims.toml, else the program's own. Of these, those about networks of
    the report are judged. Claims that nobody asked for and that cannot be read are told, and left out. Raises
    write.Unwritten, after all else, if a format could not be written.
    """
    found = compose.composed(records, folders, protocol, against, claims, _warn)
    failed = None
    try:
        paths = write.write_report(found.document, reports, formats or tuple(write.FORMATS), _warn)
    except write.Unwritten as error:
        failed, paths = error, error.paths
    if as_json:
        rows, paired, foreign = (of(found.sections) for of in (tidy.tidy_rows, tidy.paired_rows, tidy.foreign_rows))
        told = {"rows": rows, "paired": paired, **({"foreign": foreign} if foreign else {})}
        print_json({**told, "files": [*map(str, paths)]})
    else:
        _show(found, paths)
    if failed:
        raise failed


def _warn(line: str) -> None:
    echo(text.in_line(line), err=True)


def _show(found: compose.Composed, paths: Sequence[Path]) -> None:
    to = console(stderr=False)
    draw(to, found.sections, found.speeds)
    if found.verdicts:
        say(to, f"Claims: {verdicts.count(found.verdicts)}; `bench check` tells why.\n", wrap=False)
    read = [path for path in paths if path.suffix != ".svg"]  # figures are parts of the others
    say(to, "\n".join(["Report:", *(f"  {path}" for path in read)]), wrap=False)


def draw(to: Screen, found: list[Section], timed: list[Speeds]) -> None:
    """The tables of a report, what they say in words, and what failed."""
    long = is_long([*found, *timed])
    for section in found:
        _print_tables(to, section, _tables_of, long, f", {section.name}")
        _print_lines(to, [*text.sentences(section), *_of_rows(section)])
    for transfer in transfers(found):
        _print_table(to, across_tables.transfer_table(transfer))
        _print_lines(to, across_tables.transfer_sentences(transfer))
    for one in timed:
        _print_tables(to, one, speed_tables.speed_tables, long)
        if one.refusals:
            _print_lines(to, one.refusals)


def _tables_of(section: Section, most: int | None = None) -> list[columns.Table]:
    return tables.tables(section) if most is None else [tables.main_table(section)]


def _print_tables(to: Screen, source: Source, made: Made, long: bool, more: str = "") -> None:
    """All tables of few networks; of more the first; of a long report the first with some of its networks."""
    if long:
        some, which = chosen(source, FIRST)
        told = f"; {FIRST} of {len(source.rows)} networks, {which}" if which else ""
        for shown in made(some, 1):
            _print_table(to, _unmarked(shown) if which else shown, more + told)
        return
    few = len(source.rows) <= IN_FULL
    for shown in made(source, None if few else 1):
        _print_table(to, shown, more)
    if not few:
        say(to, OTHERS)


def _unmarked(shown: columns.Table) -> columns.Table:
    """The table without marks of the best, which would be the best of the lines that are shown."""
    lines = ((title, tuple(replace(cell, best=False, second=False) for cell in cells)) for title, cells in shown.lines)
    return replace(shown, lines=tuple(lines))


def _print_lines(to: Screen, lines: Sequence[str]) -> None:
    for line in lines[:MOST]:
        say(to, line, hang=HANG)
    if len(lines) > MOST:
        say(to, f"{len(lines) - MOST} more remarks are left out.")
    to.print()


def _print_table(to: Screen, shown: columns.Table, more: str = "") -> None:
    if not shown.columns:  # every job failed, or there are scores and nothing else
        return
    say(to, shown.caption + more, style="bold")
    for block in report_table(shown, to.width):
        to.print(block)
    to.print()


def _of_rows(section: Section) -> list[str]:
    """A line for each job that gave no result, for each figure that is not to be trusted, and for each note."""
    lines = [f"{row.title}: {failure}" for row in section.rows for failure in row.failures]
    doubted = [row for row in section.rows if row.cost and row.cost.doubt]
    lines += [f"{columns.UNVERIFIED} {row.title}: unverified, {row.cost.doubt}" for row in doubted if row.cost]
    lines += [f"{columns.TAINTED} {row.title}: {why}" for row in section.rows for why in row.taints]
    return lines + [f"{row.title}: {'; '.join(row.notes)}" for row in section.rows if row.notes]
