"""Speed and memory on one machine by batch, size and variant, with the peak rates of the machine."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.machine import Machine
from bench.networks import is_pretrained, title_of, titles
from bench.quantities import QUANTITIES, Cost, Energy, Latency, LatencySpec, Memory, Peak, Profile
from bench.quantities.base import SWITCHES
from bench.quantities.variants import PLAIN, name_of
from bench.read.beside import USUAL_SIZE
from bench.read.paired import SUBJECT
from bench.read.rows import T, longest, of_newest_runtime, pretended, taints, typical
from bench.read.sections import outdated
from bench.run.store import Record
from bench.stats.estimate import Estimate, of_processes
from bench.stats.order import percentile
from bench.stats.ratio import ratio, spread_ratio

SATURATED = 0.9  # throughput is saturated at the smallest batch that reaches this share of the best throughput
ROUNDED = ("bfloat16", "float16")  # variants that change the output
SHOWN = ("latency", "memory", "energy", "profile")
SHARED = ("machine", "device", "threads", "channels", "classes")  # conditions shared by all records of one `Speeds`


@dataclass(frozen=True)
class Speed:
    """One network's records on one machine and device.

    `batch` and `size` are the conditions of single figures. `peak` holds the peak rates of the machine in float32, and
    `called` the network's title among those of all records, if it is to differ from `title_of` the network.
    """

    network: str
    records: tuple[Record, ...]
    batch: int
    size: int
    peak: Peak | None = None
    called: str = ""

    @property
    def title(self) -> str:
        """The network's name as in its paper, else its name here."""
        return self.called or title_of(self.network)

    def latency_s(self, batch: int | None = None, size: int | None = None, variant: str = PLAIN) -> Estimate | None:
        """Geometric mean over processes of their medians, with its 95 % interval; None if not measured."""
        asked = batch or self.batch, size or self.size, variant
        if asked not in self._kept:
            self._kept[asked] = of_processes([result.samples_s for result in self._latencies(*asked)])
        return self._kept[asked]

    @cached_property
    def _kept(self) -> dict[tuple[int, int, str], Estimate | None]:
        """The latencies that were asked for, for several columns show the same."""
        return {}

    def gpu_time_s(self, variant: str = PLAIN) -> Estimate | None:
        """The time of the same calls between two events on the GPU, as `latency_s`; None without a GPU."""
        events = [found.event_samples_s for found in self._latencies(variant=variant)]
        return of_processes(events) if all(events) else None

    def over_plain(self, variant: str) -> Estimate | None:
        """The ratio of a variant's time to the plain network's in the same rounds; None if there are none."""
        ours, plain = self._rounds(variant)
        if variant == PLAIN or not ours:
            return None
        found = ratio(ours, plain)
        return Estimate(found.value, found.low, found.high, found.pairs)

    def plain_beside_s(self, variant: str) -> Estimate | None:
        """The plain network's latency in the rounds in which a variant was timed; None if there are none."""
        return of_processes(self._rounds(variant)[1]) if variant != PLAIN else None

    def _rounds(self, variant: str) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
        """The times of a variant and of the plain network, in seconds, by process of the rounds that both have."""
        number = set(QUANTITIES["latency"].repeats)
        plain, ours = (
            {r.job.spec.model_dump_json(include=number): r.result.samples_s for r in self._timed(variant=name)
             if isinstance(r.result, Latency)}
            for name in (PLAIN, variant)
        )  # fmt: skip
        rounds = [key for key in ours if key in plain]
        return [ours[key] for key in rounds], [plain[key] for key in rounds]

    @cached_property
    def best_form(self) -> "BestForm | None":
        """The form with the lowest latency of all that give the plain network's output in float32."""
        precise = (name for name in self.timed_variants if not set(name.split("+")) & set(ROUNDED))
        found = {name: latency for name in precise if (latency := self.latency_s(variant=name))}
        if not found:
            return None
        name = min(found, key=lambda name: found[name].value)
        return BestForm(self, name, found[name], len(found))

    @property
    def timed_variants(self) -> set[str]:
        """The variants that were timed, the plain network among them."""
        return {name_of(r.job.spec) for r in self.records if isinstance(r.result, Latency)}

    def throughput(self, batch: int) -> float | None:
        """Images per second at a batch size."""
        latency = self.latency_s(batch)
        return batch / latency.value if latency else None

    @cached_property
    def calls_s(self) -> tuple[float, ...]:
        """Every timed call of every process behind the single figures."""
        return tuple(s for result in self._latencies() for s in result.samples_s)

    def percentile_s(self, percent: int) -> Estimate | None:
        """A percentile of single calls, pooled over processes, with its distribution-free 95 % interval."""
        return percentile(self.calls_s, percent)

    def variant(self, variant: str) -> Latency | None:
        """The first process's result for a variant: conversion time and agreement with the plain network."""
        return next(iter(self._latencies(variant=variant)), None)

    def memory(self, mode: str, size: int | None = None, batch: int | None = None) -> Memory | None:
        """Peak memory of one pass, the median over processes; `mode` is `inference` or `training`.

        At a batch, by default the smallest that was measured.
        """
        batch = min(self.memory_batches(mode, size), default=0) if batch is None else batch
        found = ((spec, result) for spec, result in self._results(Memory, size) if spec.mode == mode)
        return typical([result for spec, result in found if spec.batch == batch])

    def memory_batches(self, mode: str, size: int | None = None) -> set[int]:
        """The batches at which memory was measured in a mode."""
        return {spec.batch for spec, _ in self._results(Memory, size) if spec.mode == mode}

    def cost(self, size: int | None = None) -> Cost | None:
        """Parameters and multiply-adds at a size."""
        return self._first(Cost, size)

    @property
    def energy(self) -> Energy | None:
        """The energy of the first process; its figure over all processes is `joules`."""
        return self._first(Energy)

    @property
    def joules(self) -> Estimate | None:
        """Joules an image: geometric mean over processes, with its 95 % interval; None if it could not be read."""
        found = [one.joules_per_image for spec, one in self._results(Energy) if spec.batch == self.batch]
        read = [(value,) for value in found if value]
        return of_processes(read) if read and len(read) == len(found) else None

    @property
    def profile(self) -> Profile | None:
        """The cost and time of each module."""
        return self._first(Profile)

    @property
    def share_of_peak(self) -> float | None:
        """Multiply-adds per second at the single figures' batch and size, as a share of the machine's peak."""
        latency, cost = self.latency_s(), self.cost()
        if not (self.peak and latency and cost and cost.torch.macs) or cost.doubt:
            return None
        return cost.torch.macs * self.batch / latency.value / self.peak.macs_per_s

    def saturates_at(self, batches: Sequence[int]) -> int | None:
        """The smallest batch with at least 90 % of the best throughput; None with fewer than two batches."""
        found = {batch: rate for batch in batches if (rate := self.throughput(batch))}
        enough = (batch for batch, rate in found.items() if rate >= SATURATED * max(found.values()))
        return min(enough) if len(found) > 1 else None

    def failure(self, quantity: str, **conditions: Any) -> str:
        """The outcome of a failed job under these conditions; empty if none failed."""
        failed = (r for r in self.records if r.status != "ok" and r.job.spec.quantity == quantity)
        alike = (r for r in failed if all(getattr(r.job.spec, name) == value for name, value in conditions.items()))
        return next((r.outcome for r in alike), "")

    @property
    def taints(self) -> tuple[str, ...]:
        """What disturbed the processes of the single figures, or makes all figures worthless."""
        return taints(longest(self._timed())) or pretended(self.records)

    def refusal(self, variant: str) -> str:
        """Why a variant could not be timed; empty if it could, or was not asked for."""
        failed = (r for r in self.records if r.status != "ok" and r.job.spec.quantity == "latency")
        return next((r.error for r in failed if name_of(r.job.spec) == variant), "")

    def _latencies(self, batch: int | None = None, size: int | None = None, variant: str = PLAIN) -> list[Latency]:
        return [r.result for r in longest(self._timed(batch, size, variant)) if isinstance(r.result, Latency)]

    def _timed(self, batch: int | None = None, size: int | None = None, variant: str = PLAIN) -> list[Record]:
        """Latency records of all protocols, by default at the batch and size of the single figures."""
        wanted = (batch or self.batch, size or self.size, variant)
        return of_newest_runtime([r for r in self.records if isinstance(s := r.job.spec, LatencySpec)
                                  and (s.batch, s.size, name_of(s)) == wanted])  # fmt: skip

    def _results(self, kind: type[T], size: int | None = None) -> list[tuple[Any, T]]:
        """Conditions and results of a type at a size, by default that of the single figures."""
        found = ((record.job.spec, record.result) for record in self.records)
        return [(s, result) for s, result in found if isinstance(result, kind) and s.size == (size or self.size)]

    def _first(self, kind: type[T], size: int | None = None) -> T | None:
        return next((result for _, result in self._results(kind, size)), None)


@dataclass(frozen=True)
class BestForm:
    """The fastest of the `tried` forms of a network that give the same output."""

    speed: Speed
    variant: str
    latency_s: Estimate
    tried: int

    @property
    def title(self) -> str:
        """The network's name."""
        return self.speed.title

    @property
    def over_plain(self) -> Estimate | None:
        """Its time over the plain network's in the same rounds; None for the plain network itself."""
        return self.speed.over_plain(self.variant)

    @property
    def samples_s(self) -> list[tuple[float, ...]]:
        """The times of its processes in seconds."""
        return [found.samples_s for found in self.speed._latencies(variant=self.variant)]


@dataclass(frozen=True)
class Speeds:
    """All networks on one machine and device with the same channels and classes. Pre-trained networks are separate.

    `switches` names the settings that were on during timing: `tf32`, `cudnn_benchmark`.
    """

    device: str
    machine: Machine
    rows: tuple[Speed, ...]
    pretrained: bool = False
    switches: tuple[str, ...] = ()

    @property
    def pretended(self) -> tuple[str, ...]:
        """Why none of its figures was measured on a GPU."""
        return pretended(record for row in self.rows for record in row.records)

    @property
    def threads(self) -> int:
        """The threads of CPU operators that all of its records were measured with."""
        return next(r.job.spec.threads for row in self.rows for r in row.records if hasattr(r.job.spec, "threads"))

    @property
    def measured(self) -> set[str]:
        """The quantities of its records."""
        return {record.job.spec.quantity for row in self.rows for record in row.records}

    @cached_property
    def batches(self) -> list[int]:
        """The batches at which plain networks were timed, at the size of the single figures."""
        size = self.rows[0].size
        return sorted(self._seen(lambda s: s.batch if s.size == size and name_of(s) == PLAIN else None))

    @cached_property
    def sizes(self) -> list[int]:
        """The sizes at which plain networks were timed, at the batch of the single figures."""
        batch = self.rows[0].batch
        return sorted(self._seen(lambda s: s.size if s.batch == batch and name_of(s) == PLAIN else None))

    @cached_property
    def variants(self) -> list[str]:
        """The variants that were timed, plain first."""
        return sorted(self._seen(name_of), key=lambda name: (name != PLAIN, name))

    @property
    def refusals(self) -> list[str]:
        """A line for each variant of a network that was asked for and could not be timed."""
        asked = [(row, name) for row in self.rows for name in self.variants if name != PLAIN]
        return [f"{row.title}, {name}: {why}" for row, name in asked if (why := row.refusal(name))]

    def memory_batch(self, mode: str) -> int:
        """The batch at which the most networks have their memory measured in a mode, the smaller of two; else 0."""
        seen = Counter(batch for row in self.rows for batch in row.memory_batches(mode))
        return min(seen, key=lambda batch: (-seen[batch], batch), default=0)

    @cached_property
    def best_forms(self) -> tuple[BestForm, ...]:
        """The best form of each network of which more than one was timed; none where TF32 rounds the output."""
        forms = (row.best_form for row in self.rows if len(row.timed_variants) > 1)
        return () if "tf32" in self.switches else tuple(form for form in forms if form and form.tried > 1)

    def over_reference(self, form: BestForm) -> Estimate | None:
        """The time of a best form over that of MDSA-UNet's best form, of unpaired processes; None without that one."""
        reference = next((one for one in self.best_forms if one.speed.network == SUBJECT), None)
        if reference is None or reference is form:
            return None
        found = spread_ratio(form.samples_s, reference.samples_s)
        return Estimate(found.value, found.low, found.high, found.pairs)

    def swept(self, fact: Callable[[LatencySpec], Any]) -> tuple[Speed, ...]:
        """The networks with jobs at more than one value of a condition, failures included.

        All networks if there are none.
        """
        return tuple(row for row in self.rows if len(_values(row, fact)) > 1) or self.rows

    def _seen(self, fact: Callable[[LatencySpec], Any]) -> set[Any]:
        return {value for row in self.rows for value in _values(row, fact)} - {None}


def _values(row: Speed, fact: Callable[[LatencySpec], Any]) -> set[Any]:
    return {fact(r.job.spec) for r in row.records if isinstance(r.job.spec, LatencySpec)}


def speeds(records: Sequence[Record]) -> list[Speeds]:
    """Group the records by machine and device, if there is a latency, memory, energy or profile among them."""
    old = {id(record) for record in outdated(records)}
    recent = [record for record in records if id(record) not in old]
    families: dict[tuple[Any, ...], list[Record]] = {}
    for record in recent:
        if record.job.spec.quantity in SHOWN:
            families.setdefault(_family(record), []).append(record)
    beside: dict[tuple[Any, ...], list[Record]] = {}  # counts and peaks by the conditions that they have
    for record in recent:
        if record.job.spec.quantity in ("cost", "peak"):
            beside.setdefault(tuple(getattr(record.job.spec, n, None) for n in SHARED), []).append(record)
    called = titles(record.job.network for record in records)
    return [_speeds(key, family, beside, called) for key, family in families.items()]


def _family(record: Record) -> tuple[Any, ...]:
    """The conditions that are equal for all networks of one `Speeds`."""
    spec, pretrained = record.job.spec, is_pretrained(record.job.network)
    return *(getattr(spec, n) for n in SHARED), pretrained, _switched_on(record)


def _switched_on(record: Record) -> tuple[str, ...]:
    return tuple(name for name in SWITCHES if getattr(record.job.spec, name, False))


def _speeds(
    key: tuple[Any, ...], family: list[Record], beside: dict[tuple[Any, ...], list[Record]], called: Mapping[str, str]
) -> Speeds:
    """Make the Speeds of a family, with the costs of its networks and the peak rates of its machine."""
    shared = dict(zip(SHARED, key, strict=False))
    alike = [some for of, some in beside.items() if all(a in (None, b) for a, b in zip(of, key, strict=False))]
    members = [*family, *(record for some in alike for record in some)]
    # Single figures use the conditions of a latency if there is one.
    single = [r.job.spec for r in family if r.job.spec.quantity == "latency"] or [r.job.spec for r in family]
    size, batch = min((s.size != USUAL_SIZE, s.size) for s in single)[1], min(s.batch for s in single)
    by_name: dict[str, list[Record]] = {name: [] for name in sorted({r.job.network for r in family})}
    for record in members:
        if record.job.network in by_name:
            by_name[record.job.network].append(record)
    peaks = [r.result for r in members if isinstance(r.result, Peak) and r.job.spec.precision == "float32"
             and _switched_on(r) == key[-1]]  # fmt: skip
    peak = peaks[0] if peaks else None
    rows = (Speed(name, tuple(own), batch, size, peak, called[name]) for name, own in by_name.items())
    return Speeds(shared["device"], family[0].machine, tuple(rows), *key[len(SHARED) :])
