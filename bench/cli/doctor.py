"""`bench doctor`: what this machine is, whether it is fit to measure, and how small a difference it can resolve."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.app import DeviceChoice, Json, app, device_of, writable

if TYPE_CHECKING:
    from rich.console import Console

    from bench.judge.noise import Checkup, Same, Tell
    from bench.machine.doctor import Finding
    from bench.run.plan import Plan

MARKS = {"ok": ("✓", "green"), "note": ("!", "yellow"), "bad": ("✗", "red")}


@app.command()
def doctor(
    device: Annotated[DeviceChoice, typer.Option(help="Where would be measured.")] = DeviceChoice.auto,
    quick: Annotated[bool, typer.Option("--quick", help="Three pairs of processes, not ten or more.")] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Time the network against itself so often.")] = 1,
    out: Annotated[Path, typer.Option(help="What is found is kept in its folder doctor/.")] = Path("results"),
    as_json: Json = False,
) -> None:
    """Tell what this machine is, whether it is fit to measure, and how small a difference it can resolve.

    For the last, a network is timed against itself: what differs then is noise. Nothing on the machine is changed. The
    exit code is 1 where something spoils times.

    Examples:

      bench doctor

      bench doctor --quick --device cpu
    """
    from bench.cli.display import console
    from bench.judge.noise import Checkup
    from bench.machine import environment

    found = Checkup(device_of(device), quick, environment())
    writable(out)
    to = console(stderr=False)
    to.quiet = as_json
    stopped = False
    try:
        _examine(found, repeat, to)
    except KeyboardInterrupt:
        stopped = True
    _conclude(found, to, stopped)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1, allow_nan=False))
    if found.same or not stopped:
        kept = _keep(found, out)
        to.print(f"\nKept in {kept}", markup=False, highlight=False, soft_wrap=True)
    if stopped:
        raise typer.Exit(130)
    if not found.fit:
        raise typer.Exit(1)


def _examine(found: "Checkup", repeat: int, to: "Console") -> None:
    """Find out one thing after the other, and show each once it is known."""
    from bench.judge.noise import NETWORK, Failed, planned_for, watch
    from bench.machine import cuda_usable
    from bench.machine.doctor import Finding, findings

    before, after = watch()
    _machine(found, after.memory_free_bytes, to)
    _heading(f"For measuring on {found.device}", to)
    _add(found, findings(found.facts, before, after, found.device, cuda_usable()), to)
    planned = planned_for(found.device, found.quick)
    _heading("Peak rates", to)
    try:
        _peak(found, planned, to)
    except Failed as failed:
        _add(found, [Finding("note", f"not measured: {failed}")], to)
    _heading(f"Same against same: {NETWORK} over {NETWORK}, with its 95 % interval", to)
    try:
        _same(found, planned, repeat, to)
    except Failed as failed:
        _add(found, [Finding("bad", f"{NETWORK} cannot be timed: {failed}")], to)


def _machine(found: "Checkup", free: int | None, to: "Console") -> None:
    facts = found.facts
    quota = "" if facts.cpu_quota is None else f" (a quota of {facts.cpu_quota:g})"
    variables = ", ".join(f"{name}={value}" for name, value in facts.variables.items())
    torch = facts.packages.get("torch", "absent")
    lines = {
        "processor": f"{facts.cpu}, {facts.cores} cores{quota}",
        "memory": f"{facts.memory_bytes / 2**30:.0f} GiB" + ("" if free is None else f", {free / 2**30:.0f} GiB free"),
        "GPU": f"{', '.join(facts.gpus)}, driver {facts.driver}" if facts.gpus else "none",
        "software": f"{facts.system}, Python {facts.python}, torch {torch}",
        "switches": variables or "none set",
        "fingerprint": f"{facts.fingerprint} (times compare only under the same one)",
    }
    to.print("Machine", style="bold")
    _rows(lines, to)


def _peak(found: "Checkup", planned: "Plan", to: "Console") -> None:
    from bench.judge.noise import peak_rates
    from bench.units import significant

    with _progress() as tell:
        tell("measuring peak rates", 5.0, "")
        found.peak = peak_rates(planned)
    threads = f", {planned.threads} threads" if found.device == "cpu" else ""
    product, copied = significant(found.peak.macs_per_s / 1e9), significant(found.peak.bytes_per_s / 1e9)
    _rows({"matrix product": f"{product} GMAC/s (float32{threads})", "copy": f"{copied} GB/s, read and written"}, to)


def _same(found: "Checkup", planned: "Plan", repeat: int, to: "Console") -> None:
    """Time the network against itself so often; a run that is stopped leaves the pairs it has."""
    from bench.judge.noise import Pair, Same, rounds
    from bench.run.local import Clock

    clock = Clock(planned)
    for number in range(repeat):
        pairs: list[Pair] = []
        try:
            with _progress() as tell:
                for pair in rounds(planned, clock, repeat - number, tell):
                    pairs.append(pair)
        finally:
            if len(pairs) > 1:
                found.same.append(Same(tuple(pairs)))
                _interval(found.same[-1], to)


def _interval(same: "Same", to: "Console") -> None:
    from rich.text import Text

    ratio = same.ratio
    says, colour = ("leaves out 1", "yellow") if ratio.differs else ("contains 1", "green")
    figures = f"  {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] from {ratio.pairs} pairs of processes, "
    to.print(Text(figures).append(says, colour))


def _conclude(found: "Checkup", to: "Console", stopped: bool) -> None:
    """What the measurements say, and the verdict."""
    from bench.judge.noise import judge

    _add(found, judge(found, stopped), to)
    spoiled = sum(finding.mark == "bad" for finding in found.findings)
    if stopped:
        _heading("Stopped before the end: this is what is known", to)
    elif found.fit:
        _heading("Fit to measure", to, "bold green")
    else:
        things = "one thing spoils" if spoiled == 1 else f"{spoiled} things spoil"
        _heading(f"Not fit to measure: {things} times here, marked ✗ bad", to, "bold red")


def _keep(found: "Checkup", out: Path) -> Path:
    """Write down what was found, for whoever asks later how quiet the machine was."""
    from datetime import UTC, datetime

    from bench.files import write_whole

    path = out / "doctor" / f"{found.device}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    return write_whole(path, json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n")


def _heading(text: str, to: "Console", style: str = "bold") -> None:
    to.print()
    to.print(text, style=style, markup=False, highlight=False)


def _rows(lines: dict[str, str], to: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines.items():
        table.add_row(name, Text(text))
    to.print(table)


def _add(found: "Checkup", more: "list[Finding]", to: "Console") -> None:
    """Keep findings and show them: a sign and a word for each, coloured alike, and below it what to do."""
    if not more:
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
    table.add_column(no_wrap=True, min_width=len("! note"))
    table.add_column(overflow="fold")
    found.findings += more
    for finding in more:
        sign, colour = MARKS[finding.mark]
        table.add_row(Text(f"{sign} {finding.mark}", colour), Text(finding.what))
        if finding.todo:
            table.add_row("", Text(f"→ {finding.todo}", "dim"))
    to.print(table)


@contextmanager
def _progress() -> "Iterator[Tell]":
    """One line on standard error that says what is done now; drawn only when there is news, to leave times alone."""
    from rich.live import Live
    from rich.text import Text

    from bench.cli.display import console

    to = console()
    if not to.is_terminal:
        yield lambda *told: to.print(_doing(*told), markup=False, highlight=False, soft_wrap=True)
        return
    with Live(console=to, auto_refresh=False, transient=True) as live:
        yield lambda *told: live.update(Text(_doing(*told), "cyan"), refresh=True)


def _doing(what: str, seconds_left: float, more: str) -> str:
    from bench.units import duration

    return f"{what}, about {duration(seconds_left)}{more} left"
