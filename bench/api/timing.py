"""`bench.time`: the latency of a network, or of two in turn with the ratio of their times."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from bench.api.built import Subject, measure, subject
from bench.api.said import errors_in_python, whole
from bench.api.shown import Shown, Table
from bench.cli.terminal import Status, console
from bench.errors import UserError
from bench.files import temporary_folder
from bench.judge.noise import RESOLUTION
from bench.locks import machine_lock
from bench.machine import this_machine
from bench.quantities import Latency, LatencySpec
from bench.quantities.budget import find_budget
from bench.quantities.variants import PLAIN, made_so, ordered
from bench.run.asked import DeviceChoice, device_of, refuse_on_cpu
from bench.run.store import Record
from bench.stats.estimate import Estimate, of_processes
from bench.stats.ratio import Ratio, ratio, ratio_with_control
from bench.units import milliseconds, percent, significant

if TYPE_CHECKING:
    from torch import nn

MOST = 1000  # processes of a network, and calls and seconds of a process
Round = tuple[Record, ...]  # a process of each network, one after the other


@dataclass(frozen=True)
class Timed:
    """The times of one network, in seconds: of every call, by process, without the processes that are left out.

    `latency_s` is the geometric mean of the processes' medians, with its 95 % interval.
    """

    title: str
    latency_s: Estimate
    calls_s: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, repr=False)
class Timing(Shown):
    """One network or two that were timed in turn, the conditions `spec`, and the machine in words.

    `ratio` is the first network's time over the second's, from pairs of processes; its interval is at least as wide as
    the `noise`: the smallest difference of the second network from itself that could be told here, as a share. Both are
    None for one network. `warnings` say what makes these times less sure.
    """

    networks: tuple[Timed, ...]
    spec: LatencySpec
    machine: str
    ratio: Ratio | None = None
    noise: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def latency_s(self) -> Estimate:
        """The latency of the first network, in seconds."""
        return self.networks[0].latency_s

    def _tables(self) -> list[Table]:
        headers = ["Network", "Latency (ms)", "95 % interval", "Processes", "Calls"]
        lines = [
            [one.title, milliseconds(one.latency_s.value), _interval(one.latency_s), str(len(one.calls_s)),
             str(sum(map(len, one.calls_s)))]
            for one in self.networks
        ]  # fmt: skip
        return [Table(headers, lines)]

    def _says(self) -> list[str]:
        spec, told = self.spec, []
        if self.ratio:
            told.append(_ratio_told(self.ratio, *(one.title for one in self.networks)))
        form: str = spec.precision
        form += "" if spec.form == PLAIN else f", {spec.form}"
        form += "" if spec.memory_format == "contiguous" else f", {spec.memory_format}"
        batch = f"{spec.batch}x{spec.channels}x{spec.size}x{spec.size}"
        threads = f" with {spec.threads} thread{'s' if spec.threads > 1 else ''}" if spec.device == "cpu" else ""
        told.append(f"A batch of {batch} in {form} on {spec.device}{threads}: {self.machine}.")
        return [*told, *(f"Warning: {warning}." for warning in self.warnings)]


def _interval(found: Estimate) -> str:
    return f"[{milliseconds(found.low)}, {milliseconds(found.high)}]" if found.has_interval else "–"


def _ratio_told(found: Ratio, first: str, second: str) -> str:
    """The ratio in a sentence, and whether it tells which of the two is faster."""
    if math.isinf(found.high):
        return f"{first} takes {significant(found.value)} times as long as {second}; so few processes give no interval."
    figures = f"{significant(found.value)} [{significant(found.low)}, {significant(found.high)}]"
    told = f"{first} takes {figures} times as long as {second} (95 % interval, {found.pairs} pairs of processes)"
    return f"{told}." if found.differs else f"{told}: which of the two is faster cannot be told."


@errors_in_python
def time(
    network: "str | nn.Module", other: "str | nn.Module | None" = None, size: int = 224, *, batch: int = 1,
    device: DeviceChoice = "auto", channels: int = 3, classes: int = 1, variant: str = PLAIN,
    threads: int | None = None, tf32: bool = False, cudnn_benchmark: bool = False, processes: int = 5,
    samples: int = 15, seconds: float = 0.5, quiet: bool = False,
) -> Timing:  # fmt: skip
    """Time forward passes of a network, or of two in turn, with the ratio of their times and its interval.

    Each is a name, as `bench.network` takes it, or a network that is built. It is timed as `bench run` does it: in
    eval and inference mode on one random batch (batch, channels, size, size), in `processes` fresh processes of at
    least `samples` calls and `seconds` after a warm-up, the two networks in turn, with the machine to itself. Networks
    that are given as they are get no adaptation, and the caller's own stay as they are.

    `variant` is a form of both, such as "channels_last" or "folded+compiled"; `threads` of CPU operators are one a core
    by default. `classes` is for networks that are built by their names. `quiet` tells no progress. Raises UserError if
    a network cannot be found, handed over or run, and for a GPU or a variant that is not there.

        bench.time(TinyNet(), bench.network("unet")).ratio
    """
    where, cores = device_of(device), this_machine().cores
    used = cores if threads is None else whole("threads", threads, 1, cores)
    refuse_on_cpu(where, tf32=tf32, cudnn_benchmark=cudnn_benchmark)
    if not 0 <= seconds <= MOST:
        raise UserError(f"seconds must be from 0 to {MOST}, got {seconds}")
    usual, form = find_budget("quick"), dict[str, Any](made_so(ordered(variant)))
    spec = LatencySpec(
        machine=this_machine().fingerprint, device=where, threads=used,
        channels=whole("channels", channels), classes=whole("classes", classes), size=whole("size", size),
        batch=whole("batch", batch), **form, tf32=tf32, cudnn_benchmark=cudnn_benchmark,
        warmup_calls=usual.warmup_calls, warmup_s=usual.warmup_s, samples=whole("samples", samples, 1, MOST),
        seconds=seconds,
    )  # fmt: skip
    given = [network] if other is None else [network, other]
    with temporary_folder() as folder, Status(console(), quiet, transient=True) as status:
        timed = [subject(one, folder / f"network-{place}") for place, one in enumerate(given)]
        with machine_lock(exclusive=True, tell=status.show):
            rounds = _rounds(timed, spec, whole("processes", processes, 1, MOST), folder, status)
    return judged(_titles(timed), spec, rounds)


def _rounds(timed: Sequence[Subject], spec: LatencySpec, count: int, folder: Path, status: Status) -> list[Round]:
    """Time each network once a round, each time in a fresh process."""
    rounds, began, total = list[Round](), monotonic(), count * len(timed)
    for number in range(count):
        asked, made = spec.model_copy(update={"process": number}), list[Record]()
        for place, one in enumerate(timed):
            done = number * len(timed) + place
            left = (monotonic() - began) / done * (total - done) if done else None
            status.show(f"timing {one.title}, process {number + 1} of {count}", left, at_once=False)
            made.append(measure(one, asked, folder / f"records-{place}", spec.device, spec.threads))
        rounds.append(tuple(made))
    return rounds


def _titles(timed: Sequence[Subject]) -> list[str]:
    """The networks' titles, told apart where they are the same."""
    titles = [one.title for one in timed]
    same = len(set(titles)) < len(titles)
    return [f"{title} ({place})" for place, title in enumerate(titles, start=1)] if same else titles


def judged(titles: Sequence[str], spec: LatencySpec, rounds: Sequence[Round]) -> Timing:
    """What the rounds say of the networks, in their order: a record of each in each round.

    A round in which something disturbed a process is left out, as long as two are left. That depends on what others
    did on the machine alone, never on the times.
    """
    calm = [one for one in rounds if not any(record.taints for record in one)]
    kept = calm if len(calm) > 1 else rounds
    sides = [[_calls(record) for record in side] for side in zip(*kept, strict=True)]
    networks = []
    for title, calls in zip(titles, sides, strict=True):
        latency = of_processes(calls)
        assert latency
        networks.append(Timed(title, latency, tuple(calls)))
    found: Ratio | None = None
    noise: float | None = None
    if len(sides) > 1:
        found, noise = ratio_with_control(*sides) if len(kept) > 1 else (ratio(*sides), math.inf)
    warnings = [*_disturbed(rounds, kept), *_loud(noise, titles[-1], len(kept))]
    return Timing(tuple(networks), spec, this_machine().title, found, noise, tuple(warnings))


def _calls(record: Record) -> tuple[float, ...]:
    assert isinstance(record.result, Latency)
    return record.result.samples_s


def _disturbed(rounds: Sequence[Round], kept: Sequence[Round]) -> list[str]:
    """Which processes something disturbed, by what, and whether they count."""
    reasons = [record.taints[0] for one in rounds for record in one if record.taints]
    if not reasons:
        return []
    left_out = len(rounds) - len(kept)
    counted = f"{len(reasons)} of {sum(map(len, rounds))} processes were disturbed, one because {reasons[0]}"
    if left_out:
        return [f"{counted}; {left_out} of {len(rounds)} rounds are left out"]
    return [f"{counted}; they count all the same, for too few others are left"]


def _loud(noise: float | None, control: str, pairs: int) -> list[str]:
    """That the machine is too loud to tell small differences, or that so few pairs do not show how loud it is."""
    if noise is None or noise <= RESOLUTION:
        return []
    if math.isinf(noise):
        return [f"{pairs} rounds do not show how loud this machine is; take 5 processes or more"]
    told = f"this machine is too loud to tell differences under {percent(noise)}: so much {control} differs from itself"
    return [f"{told}; let nothing else run, or take more processes; `bench doctor` tells what is wrong"]
