"""How a run looks in a terminal: a live table that fills row by row, and below it what runs and for how long.

Where the output is no terminal, the same facts come as plain lines. Everything goes to standard error; standard output
is for results.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from bench.data import SPLITS, DataSet
from bench.machine import environment
from bench.networks import title_of
from bench.quantities import DiceSpec, LatencySpec
from bench.read.sections import Section, sections
from bench.read.speeds import Speeds
from bench.report import columns, tables
from bench.report.columns import TAINTED, UNVERIFIED, Cell, Column
from bench.report.sentences import sentences
from bench.report.speed_tables import speed_tables
from bench.report.text import prose
from bench.report.units import duration, percent, share, significant
from bench.run.job import Job
from bench.run.local import Clock
from bench.run.plan import Plan
from bench.run.store import Record


def console(stderr: bool = True) -> Console:
    """Standard error for progress, standard output for results. `NO_COLOR` and pipes are honoured by rich."""
    return Console(stderr=stderr)


def announce(to: Console, planned: Plan, waiting: list[Job], out: Path) -> None:
    """What is about to happen: the machine, the networks, the data, the jobs and how long they may take."""
    question = planned.question
    lines = {
        "machine": f"{environment().title}; measuring on {question.device}",
        "networks": ", ".join(question.networks),
        "data": _data(planned.data) if planned.data else "none needed",
        "budget": f"{question.budget.name}: {question.budget.purpose}",
        **_conditions(planned),
        "jobs": _jobs(planned, waiting, out),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines.items():
        table.add_row(name, Text(text))
    to.print(table)
    to.print()


def _data(data: DataSet) -> str:
    counts = ", ".join(f"{len(data.splits[split])} {split}" for split in SPLITS if split in data.splits)
    return f"{data.name}: {counts} images" + (f" ({data.note})" if data.note else "")


def _conditions(planned: Plan) -> dict[str, str]:
    """One line for each quantity: under what conditions it is measured."""
    lines = {}
    for job in planned.jobs:
        spec = job.spec
        if isinstance(spec, LatencySpec):
            lines["latency"] = _latency(planned, spec)
        if isinstance(spec, DiceSpec):
            lines["weights" if spec.weights else "training"] = _weights(planned, spec)
    return lines


def _latency(planned: Plan, spec: LatencySpec) -> str:
    question = planned.question
    count = question.budget.processes
    processes = "1 process" if count == 1 else f"{count} processes"
    batches, sizes = (", ".join(map(str, ns)) for ns in (question.batches, (question.size, *question.sizes)))
    variants = f", also {', '.join(question.variants)}" if question.variants else ""
    return (
        f"batch {batches} of {spec.channels} channels at {sizes} pixels a side, float32{variants}, "
        f"{spec.threads} threads, {processes} of {spec.samples} calls or more"
    )


def _weights(planned: Plan, spec: DiceSpec) -> str:
    question, train = planned.question, spec.train
    if train is None:
        return f"from {question.weights}, trained elsewhere"
    stop = f", stopped after {train.patience} checks without gain" if train.patience else ""
    seeds = f"seed{'s' if len(question.seeds) > 1 else ''} {', '.join(map(str, question.seeds))}"
    checks = f"checked on {prose('validated', train)} and saved every {train.leg} steps"
    scored = f"; scored on {spec.test_images} test images" if spec.test_images else ""
    return f"{prose('training', train)}; {seeds}; {checks}{stop}{scored}"


def _jobs(planned: Plan, waiting: list[Job], out: Path) -> str:
    total, on_record = len(planned.jobs), len(planned.jobs) - len(waiting)
    if not waiting:
        return f"{total}, all on record in {out}: nothing is measured again"
    kept = f", {on_record} of them on record in {out}" if on_record else ""
    return f"{total}{kept}; about {duration(Clock(planned, out).left(waiting))} to go"


def conclude(
    to: Console,
    found: list[Section],
    timed: list[Speeds],
    paths: list[Path],
    claims: str = "",
) -> None:
    """The tables, what they say in words, what failed, what the claims say, and where the report lies."""
    for section in found:
        for shown in tables.tables(section):
            to.print(Text(f"{shown.caption}, {section.name}", "bold"))
            to.print(table(shown, to.width))
            to.print()
        for line in [*sentences(section), *failures(section)]:
            to.print(Text(line))
        to.print()
    for speeds in timed:
        for shown in speed_tables(speeds):
            to.print(Text(shown.caption, "bold"))
            to.print(table(shown, to.width))
            to.print()
    if claims:
        to.print(f"{claims}\n", markup=False, highlight=False, soft_wrap=True)
    read = [path for path in paths if path.suffix != ".svg"]  # figures are parts of the others
    to.print("\n".join(["Report:", *(f"  {path}" for path in read)]), markup=False, highlight=False, soft_wrap=True)


def overhead(wall_s: float, measured_s: float) -> str:
    """What the harness itself cost: starting workers, building networks, keeping records."""
    own = max(0.0, 1 - measured_s / wall_s)
    return f"Took {duration(wall_s)}, of which {percent(own)} outside measuring: starting workers, keeping records.\n"


@contextmanager
def counter(to: Console, doing: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for `done(count, total)`, gone when it is over; nothing where there is no terminal."""
    with Bars(TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=to, transient=True,
              disable=not to.is_terminal) as bars:  # fmt: skip
        bar = bars.add_task(doing, total=None)
        yield lambda count, total: bars.update(bar, completed=count, total=total)


def checked_table(to: Console, checked: "Checked") -> None:
    """What a data set holds against what was published, then every fault and remark, then the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("What", "Found", "Published"):
        table.add_column(header, justify="left" if header == "What" else "right")
    for split, samples in checked.data.splits.items():
        table.add_row(f"{split} images", str(len(samples)), "")
    for tally in checked.data.tallies:
        right = tally.published in (None, tally.found)
        published = "" if tally.published is None else str(tally.published)
        table.add_row(tally.what, Text(str(tally.found), "" if right else "red"), published)
    to.print(table)
    for style, name, lines in (("yellow", "remark", checked.remarks), ("red", "fault", checked.faults)):
        for line in lines:
            to.print(Text.assemble((f"{name}: ", style), line), soft_wrap=True)
    faults = len(checked.faults)
    verdict = Text(f"{faults} fault{'s' if faults != 1 else ''}", "red") if faults else Text("no fault", "green")
    to.print(Text.assemble(f"{checked.data.name}: ", verdict))


def failures(section: Section) -> list[str]:
    """A line for each job that gave no result, and for each figure that is not to be trusted."""
    lines = [f"{row.title}: {failure}" for row in section.rows for failure in row.failures]
    lines += [
        f"{UNVERIFIED} {row.title}: unverified, {row.cost.doubt}" for row in section.rows if row.cost and row.cost.doubt
    ]
    return lines + [f"{TAINTED} {row.title}: {why}" for row in section.rows for why in row.taints]


if TYPE_CHECKING:
    from bench.data.check import Checked

VERBS = {
    "peak": "finding the peak rates of", "cost": "counting", "memory": "weighing", "latency": "timing",
    "energy": "metering", "profile": "profiling", "dice": "training and scoring",
}  # fmt: skip
LIVE_S = 0.5  # seconds between two pictures on a terminal
HEARTBEAT_S = 30.0  # seconds between two lines where there is none
ROOMY = 110
GAP = 2  # characters between two columns


def table(shown: columns.Table, width: int) -> RenderableType:
    """A table of the report; below `ROOMY` columns without what is aside, which the report has.

    Where its columns are still too many for a line, they go on in a second table below, and so on.
    """
    return Group(*_blocks(shown, width))


def _blocks(shown: columns.Table, width: int) -> list[Table]:
    roomy = width >= ROOMY
    columns = [
        _column(shown, number, roomy) for number, column in enumerate(shown.columns) if roomy or not column.aside
    ]
    titles = [title for title, _ in shown.lines]
    # A name of a hundred characters is folded: half of the line is the figures'.
    named = min(max(map(cell_len, ["Network", *titles])), max(width // 2, cell_len("Network")))
    return [_block(titles, some, named) for some in _fitting(columns, width - named)]


def _column(shown: columns.Table, number: int, roomy: bool) -> list[Text]:
    """The header and the cells of a column."""
    column = shown.columns[number]
    header = Text(f"{column.name}\n{column.unit}")
    return [header, *(_cell(column, found[number], roomy) for _, found in shown.lines)]


def _fitting(columns: list[list[Text]], room: int) -> Iterator[list[list[Text]]]:
    """The columns in groups that fit in a line; at least one in each."""
    group: list[list[Text]] = []
    used = 0
    for column in columns:
        needed = GAP + max(cell_len(line) for text in column for line in text.plain.splitlines() or [""])
        if group and used + needed > room:
            yield group
            group, used = [], 0
        group.append(column)
        used += needed
    yield group


def _block(titles: list[str], columns: list[list[Text]], named: int) -> Table:
    drawn = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    drawn.add_column("Network", max_width=named, overflow="fold")
    for header, *_ in columns:
        drawn.add_column(header, justify="right", no_wrap=True)
    for title, *cells in zip(titles, *(column[1:] for column in columns), strict=True):
        drawn.add_row(title, *cells)
    return drawn


def _cell(column: Column, cell: Cell, roomy: bool) -> Text:
    kept = cell if roomy or column.ranged else replace(cell, interval="", deviation="")
    return Text(kept.text, "bold green" if cell.best else "")


class Progress:
    """Follows a run: the runner calls `begin`, `event` and `end`. A context: leaving it ends the live display.

    It draws when there is news and at no other time, so that nothing runs beside a network that is being timed.
    """

    def __init__(self, console: Console, jobs: int, records: list[Record], quiet: bool = False) -> None:
        self.console, self.jobs, self.records, self.quiet = console, jobs, list(records), quiet
        self.number, self.doing, self.deadline, self.shown = 0, "", 0.0, 0.0
        self.tables = self._tables()
        live = console.is_terminal and not quiet
        self.live = Live(get_renderable=self._picture, console=console, auto_refresh=False) if live else None

    def __enter__(self) -> "Progress":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.live:
            self.doing = ""
            if kind is None:
                self.tables = []  # the result is printed after it, once
            self.live.stop()

    def begin(self, job: Job, seconds_left: float) -> None:
        """A job starts; `seconds_left` is the estimate for it and all after it."""
        self.number += 1
        self.deadline = time.monotonic() + seconds_left
        self.name = f"{VERBS[job.spec.quantity]} {title_of(job.network)}"
        self._show(self.name, f", about {duration(seconds_left)} left", at_once=True)

    def event(self, event: dict[str, Any]) -> None:
        """News from the worker: a training step, or a count of images."""
        if "step" in event:
            dice = "" if event["val_dice"] is None else f", Dice {share(event['val_dice'])} on val"
            self._show(f"{self.name}: step {event['step']}/{event['steps']}, loss {significant(event['loss'])}{dice}")
        elif "done" in event:
            self._show(f"{self.name}: {event['doing']} {event['done']}/{event['of']}")

    def end(self, record: Record) -> None:
        """A job ended, well or not."""
        self.records.append(record)
        self.tables = self._tables()
        if record.status != "ok":
            self._show(f"{self.name}: {record.status.replace('_', ' ')}: {record.error}", at_once=True)

    def _show(self, doing: str, more: str = "", at_once: bool = False) -> None:
        """Redraw the live display, or print a plain line; what is not pressing only now and then."""
        self.doing = doing
        pause = LIVE_S if self.live else HEARTBEAT_S
        if self.quiet or not (at_once or time.monotonic() - self.shown > pause):
            return
        self.shown = time.monotonic()
        if self.live:
            self.live.refresh()
        else:
            line = f"[{self.number}/{self.jobs}] {doing}{more}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _tables(self) -> list[RenderableType]:
        # The first block of each: the line that says what runs now must not be pushed off the screen.
        found = sections(self.records, running=True)
        return [_blocks(tables.tables(section)[0], self.console.width)[0] for section in found]

    def _picture(self) -> RenderableType:
        if not self.doing:
            return Group(*self.tables)
        left = duration(max(0.0, self.deadline - time.monotonic()))
        return Group(*self.tables, Text(f"\n[{self.number}/{self.jobs}] {self.doing}  ({left} left)", "cyan"))
