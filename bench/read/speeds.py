"""What was timed and weighed on one machine: by batch, by size, by variant, and beside what the machine could do."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from bench.machine import Environment
from bench.networks import is_pretrained, title_of
from bench.quantities import (
    Cost,
    CostSpec,
    Energy,
    EnergySpec,
    Latency,
    LatencySpec,
    Memory,
    MemorySpec,
    Peak,
    PeakSpec,
    Profile,
    ProfileSpec,
)
from bench.quantities.variants import PLAIN, name_of
from bench.read.rows import latency_s, longest, spec_of, taints
from bench.read.sections import USUAL_SIZE, outdated
from bench.run.store import Record
from bench.stats.estimate import Estimate
from bench.stats.ratio import ratio

KNEE = 0.9  # the knee of a batch sweep is the smallest batch with this share of the best throughput
PERCENTILES = {90: 36, 95: 72, 99: 368}  # and the least samples for a distribution-free 95 % interval of each
ROUND = {"process", "samples", "seconds", "warmup_calls", "warmup_s"}  # what processes of one round have in common
T = TypeVar("T")


@dataclass(frozen=True)
class Speed:
    """One network's records on one machine and device. `batch` and `size` are those that single figures are of."""

    network: str
    records: tuple[Record, ...]
    batch: int
    size: int
    peaks: tuple[Record, ...] = ()

    @property
    def title(self) -> str:
        """The network's name as its paper writes it, else as it was called."""
        return title_of(self.network)

    def latency_s(self, batch: int | None = None, size: int | None = None, variant: str = PLAIN) -> Estimate | None:
        """Median of the process medians, between the fastest and the slowest process; None where not measured."""
        return latency_s(self._latencies(batch, size, variant))

    def over_plain(self, variant: str) -> Estimate | None:
        """A variant's time over the plain network's, from processes of the same rounds; None where there are none.

        The interval is of the rounds, from 0 to infinity where there is one.
        """
        plain, ours = (
            {r.job.spec.model_dump_json(include=ROUND): result for r in self._every(name)
             if isinstance(result := r.result, Latency)}
            for name in (PLAIN, variant)
        )  # fmt: skip
        rounds = [key for key in ours if key in plain]
        if variant == PLAIN or not rounds:
            return None
        found = ratio(*([side[key].samples_s for key in rounds] for side in (ours, plain)))
        return Estimate(found.value, found.low, found.high, found.pairs)

    def throughput(self, batch: int) -> float | None:
        """Images a second at a batch."""
        latency = self.latency_s(batch)
        return batch / latency.value if latency else None

    @cached_property
    def calls_s(self) -> tuple[float, ...]:
        """Every timed call behind the single figures, of every process."""
        return tuple(s for result in self._latencies(None, None, PLAIN) for s in result.samples_s)

    def percentile_s(self, percent: int) -> Estimate | None:
        """A percentile of single calls, all processes together, with a distribution-free 95 % interval.

        None where there are too few calls for such an interval.
        """
        samples = np.sort(self.calls_s)
        if len(samples) < PERCENTILES[percent]:
            return None
        low, high = _order_statistics(len(samples), percent / 100)
        return Estimate(float(np.percentile(samples, percent)), samples[low], samples[high], len(samples))

    def variant(self, variant: str) -> Latency | None:
        """The first process's result in a variant: what making it took, and how far its output strays."""
        return next(iter(self._latencies(None, None, variant)), None)

    def memory(self, mode: str, size: int | None = None) -> Memory | None:
        """The peak of one pass at the smallest batch measured: `inference`, or a `training` step."""
        wanted = (mode, size or self.size)
        found = {r.job.spec.batch: r.result for r in self.records
                 if isinstance(r.job.spec, MemorySpec) and (r.job.spec.mode, r.job.spec.size) == wanted}  # fmt: skip
        memory = found[min(found)] if found else None
        return memory if isinstance(memory, Memory) else None

    def cost(self, size: int | None = None) -> Cost | None:
        """Parameters and multiply-adds at a size."""
        return self._first(Cost, CostSpec, lambda s: s.size == (size or self.size))

    @property
    def energy(self) -> Energy | None:
        """Joules an image."""
        return self._first(Energy, EnergySpec, lambda s: s.size == self.size)

    @property
    def profile(self) -> Profile | None:
        """Where its time goes, module by module."""
        return self._first(Profile, ProfileSpec, lambda s: s.size == self.size)

    @property
    def share_of_peak(self) -> float | None:
        """Multiply-adds a second at the single figures' batch and size, as a share of the machine's matrix product."""
        peak = next(
            (r.result for r in self.peaks if isinstance(r.result, Peak) and spec_of(r).precision == "float32"), None
        )
        latency, cost = self.latency_s(), self.cost()
        if not (peak and latency and cost and cost.torch.macs) or cost.doubt:
            return None
        return cost.torch.macs * self.batch / latency.value / peak.macs_per_s

    def knee(self, batches: Sequence[int]) -> int | None:
        """The smallest batch whose throughput is within a tenth of the best; None with fewer than two batches."""
        found = {batch: rate for batch in batches if (rate := self.throughput(batch))}
        if len(found) < 2:
            return None
        return min(batch for batch, rate in found.items() if rate >= KNEE * max(found.values()))

    def failure(self, quantity: str, **conditions: Any) -> str:
        """The status of a job that gave no result under these conditions; nothing where there is none."""
        failed = (r for r in self.records if r.status != "ok" and r.job.spec.quantity == quantity)
        alike = (r for r in failed if all(getattr(r.job.spec, name) == value for name, value in conditions.items()))
        return next((r.status.replace("_", " ") for r in alike), "")

    @property
    def taints(self) -> tuple[str, ...]:
        """What disturbed the single figures' processes."""
        return taints(self._timed(None, None, PLAIN))

    def refusal(self, variant: str) -> str:
        """Why a variant could not be timed; nothing where it could, or was not asked for."""
        failed = (r for r in self.records if r.status != "ok" and isinstance(r.job.spec, LatencySpec))
        return next((r.error for r in failed if name_of(r.job.spec) == variant), "")  # type: ignore[arg-type]

    def _latencies(self, batch: int | None, size: int | None, variant: str) -> list[Latency]:
        return [r.result for r in self._timed(batch, size, variant) if isinstance(r.result, Latency)]

    def _timed(self, batch: int | None, size: int | None, variant: str) -> list[Record]:
        return longest(self._every(variant, batch, size))

    def _every(self, variant: str, batch: int | None = None, size: int | None = None) -> list[Record]:
        """Latencies of all protocols."""
        wanted = (batch or self.batch, size or self.size, variant)
        return [r for r in self.records if isinstance(s := r.job.spec, LatencySpec)
                and (s.batch, s.size, name_of(s)) == wanted]  # fmt: skip

    def _first(self, kind: type[T], spec: type, fits: Callable[[Any], bool]) -> T | None:
        found = (r.result for r in self.records if isinstance(r.job.spec, spec) and fits(r.job.spec))
        return next((result for result in found if isinstance(result, kind)), None)


@dataclass(frozen=True)
class Speeds:
    """All networks on one machine and device, with one number of channels and maps; pre-trained ones apart."""

    device: str
    environment: Environment
    rows: tuple[Speed, ...]
    pretrained: bool = False

    @cached_property
    def batches(self) -> list[int]:
        """The batches that plain networks were timed at, at the single figures' size."""
        size = self.rows[0].size
        return self._seen(lambda s: s.batch if s.size == size and name_of(s) == PLAIN else None)

    @cached_property
    def sizes(self) -> list[int]:
        """The sizes that plain networks were timed at, at the single figures' batch."""
        batch = self.rows[0].batch
        return self._seen(lambda s: s.size if s.batch == batch and name_of(s) == PLAIN else None)

    @cached_property
    def variants(self) -> list[str]:
        """The variants that were timed, plain first."""
        names = self._seen(name_of)
        return sorted(names, key=lambda name: (name != PLAIN, name))

    def swept(self, fact: Callable[[LatencySpec], Any]) -> tuple[Speed, ...]:
        """The networks that were timed at more than one value of a condition, or tried; all, where none was."""

        def values(row: Speed) -> set[Any]:
            return {fact(r.job.spec) for r in row.records if isinstance(r.job.spec, LatencySpec)}

        return tuple(row for row in self.rows if len(values(row)) > 1) or self.rows

    def _seen(self, fact: Callable[[LatencySpec], T | None]) -> list[T]:
        specs = (r.job.spec for row in self.rows for r in row.records)
        return sorted({f for s in specs if isinstance(s, LatencySpec) and (f := fact(s)) is not None})  # type: ignore[type-var]


def growth(points: Iterable[tuple[float, float | None]]) -> float | None:
    """The exponent e of value ~ size^e, by least squares of logarithms; None with fewer than three points."""
    known = [(size, value) for size, value in points if value]
    if len(known) < 3:
        return None
    sizes, values = np.log(np.array(known)).T
    return float(np.polyfit(sizes, values, 1)[0])


def speeds(records: Sequence[Record]) -> list[Speeds]:
    """Put the records of each machine and device together; only where something was timed or weighed."""
    old = {id(record) for record in outdated(records)}
    families: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        spec = record.job.spec
        if id(record) not in old and isinstance(spec, LatencySpec | MemorySpec | EnergySpec | ProfileSpec):
            families.setdefault(_family(record), []).append(record)
    costs = [r for r in records if id(r) not in old and isinstance(r.job.spec, CostSpec)]
    peaks = [r for r in records if isinstance(r.job.spec, PeakSpec)]
    return [_speeds(key, family, costs, peaks) for key, family in families.items()]


def _family(record: Record) -> tuple[Any, ...]:
    """What networks have in common that are shown together."""
    spec = spec_of(record)
    return spec.machine, spec.device, spec.channels, spec.classes, is_pretrained(record.job.network)


def _speeds(key: tuple[Any, ...], family: list[Record], costs: list[Record], peaks: list[Record]) -> Speeds:
    machine, device, channels, classes, pretrained = key
    members = [*family, *(r for r in costs if (spec_of(r).channels, spec_of(r).classes) == (channels, classes))]
    known = tuple(r for r in peaks if (spec_of(r).machine, spec_of(r).device) == (machine, device))
    single = [r for r in family if isinstance(r.job.spec, LatencySpec)] or family  # what single figures are of
    sizes, batches = {spec_of(r).size for r in single}, {spec_of(r).batch for r in single}
    size, batch = USUAL_SIZE if USUAL_SIZE in sizes else min(sizes), min(batches)
    names = sorted({r.job.network for r in family})
    rows = tuple(Speed(name, tuple(r for r in members if r.job.network == name), batch, size, known) for name in names)
    return Speeds(device, family[0].environment, rows, pretrained)


def _order_statistics(n: int, share: float) -> tuple[int, int]:
    """Places, from 0, of the two of n sorted samples that a quantile lies between in at least 95 of 100 cases."""
    from scipy.stats import binom

    low, high = int(binom.ppf(0.025, n, share)), int(binom.ppf(0.975, n, share))
    return max(0, low - 1), min(n - 1, high)
