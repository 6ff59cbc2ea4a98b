"""How a run looks in a terminal: a live table that fills row by row, and below it what runs and for how long.

Where the output is no terminal, the same facts come as plain lines. Everything goes to standard error; standard output
is for results.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.data import SPLITS, DataSet
from bench.environment import environment
from bench.jobs import Job
from bench.networks import NETWORKS
from bench.plan import Plan
from bench.quantities import DiceSpec, LatencySpec
from bench.records import Record, Store
from bench.report.summary import Section, sections
from bench.report.tables import COLUMNS, cells
from bench.report.units import duration, share, significant
from bench.report.words import sentences
from bench.runner import Clock, missing


def console(stderr: bool = True) -> Console:
    """Standard error for progress, standard output for results. `NO_COLOR` and pipes are honoured by rich."""
    return Console(stderr=stderr)


def announce(to: Console, planned: Plan, out: Path) -> None:
    """What is about to happen: the machine, the networks, the data, the jobs and how long they may take."""
    question = planned.question
    waiting = missing(planned, Store(out))
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
            lines["latency"] = (
                f"batch {spec.batch} of {spec.channels}x{spec.size}x{spec.size}, {spec.precision}, "
                f"{spec.threads} threads, {planned.question.budget.processes} processes of {spec.samples} calls or more"
            )
        if isinstance(spec, DiceSpec):
            train = spec.train
            lines["training"] = (
                f"{train.steps} steps of {train.batch} images in {train.precision}, AdamW to {train.learning_rate:g}, "
                f"cosine, seed {train.seed}; checked on val and saved every {train.leg} steps"
            )
    return lines


def _jobs(planned: Plan, waiting: list[Job], out: Path) -> str:
    total, on_record = len(planned.jobs), len(planned.jobs) - len(waiting)
    if not waiting:
        return f"{total}, all on record in {out}: nothing is measured again"
    kept = f", {on_record} of them on record in {out}" if on_record else ""
    return f"{total}{kept}; about {duration(Clock(planned).left(waiting))} to go"


def conclude(to: Console, found: list[Section], paths: list[Path]) -> None:
    """The tables, what they say in words, what failed, and where the report lies."""
    for section in found:
        to.print(comparison(section, to.width))
        to.print()
        for line in [*sentences(section), *failures(section)]:
            to.print(Text(line))
        to.print()
    to.print("\n".join(["Report:", *(f"  {path}" for path in paths)]), markup=False, highlight=False, soft_wrap=True)


def failures(section: Section) -> list[str]:
    """A line for each job that gave no result, and for each count that is not to be trusted."""
    lines = [f"{row.title}: {failure}" for row in section.rows for failure in row.failures]
    return lines + [
        f"† {row.title}: unverified, {row.cost.doubt}" for row in section.rows if row.cost and row.cost.doubt
    ]


VERBS = {"cost": "counting", "latency": "timing", "dice": "training and scoring"}
HEARTBEAT_S = 30.0
ROOMY = 110


def comparison(section: Section, width: int) -> Table:
    """The comparison as a table; below `ROOMY` columns only Dice keeps its interval, and the report has the others."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Network", no_wrap=True)
    for column in COLUMNS:
        table.add_column(f"{column.name}\n{column.unit}", justify="right", no_wrap=True)
    for row, found in cells(section):
        shown = [
            cell if width >= ROOMY or column.name == "Dice" else replace(cell, interval="")
            for column, cell in zip(COLUMNS, found, strict=True)
        ]
        table.add_row(row.title, *(Text(cell.text, "bold green" if cell.best else "") for cell in shown))
    return table


def _title(network: str) -> str:
    return NETWORKS[network].title if network in NETWORKS else network


class Progress:
    """Follows a run: the runner calls `begin`, `event` and `end`. A context: leaving it ends the live display."""

    def __init__(self, console: Console, jobs: int, records: list[Record], quiet: bool = False) -> None:
        self.console, self.jobs, self.records, self.quiet = console, jobs, list(records), quiet
        self.number, self.doing, self.deadline = 0, "", 0.0
        self.last_line = 0.0
        live = console.is_terminal and not quiet
        self.live = Live(get_renderable=self._picture, console=console, refresh_per_second=2) if live else None

    def __enter__(self) -> "Progress":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.doing = ""
            self.live.stop()

    def begin(self, job: Job, seconds_left: float) -> None:
        """A job starts; `seconds_left` is the estimate for it and all after it."""
        self.number += 1
        self.deadline = time.monotonic() + seconds_left
        self.name = f"{VERBS[job.spec.quantity]} {_title(job.network)}"
        self.doing = self.name
        self._line(f"{self.name}, about {duration(seconds_left)} left", always=True)

    def event(self, event: dict[str, Any]) -> None:
        """News from the worker: a training step, or a count of images."""
        if "step" in event:
            dice = "" if event["val_dice"] is None else f", Dice {share(event['val_dice'])} on val"
            self.doing = f"{self.name}: step {event['step']}/{event['steps']}, loss {significant(event['loss'])}{dice}"
        else:
            self.doing = f"{self.name}: {event['doing']} {event['done']}/{event['of']}"
        self._line(self.doing)

    def end(self, record: Record) -> None:
        """A job ended, well or not."""
        self.records.append(record)
        if record.status != "ok":
            self._line(f"{self.name}: {record.status.replace('_', ' ')}: {record.error}", always=True)

    def _line(self, text: str, always: bool = False) -> None:
        """A plain line where there is no live display: at once for what matters, else now and then."""
        if self.live or self.quiet:
            return
        if always or time.monotonic() - self.last_line > HEARTBEAT_S:
            self.last_line = time.monotonic()
            self.console.print(f"[{self.number}/{self.jobs}] {text}", markup=False, highlight=False, soft_wrap=True)

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = [comparison(section, self.console.width) for section in sections(self.records)]
        if self.doing:
            left = duration(max(0.0, self.deadline - time.monotonic()))
            parts.append(Text(f"\n[{self.number}/{self.jobs}] {self.doing}  ({left} left)", "cyan"))
        return Group(*parts)
