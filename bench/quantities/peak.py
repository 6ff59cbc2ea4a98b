"""The machine's peak rates, which the rates of networks are held against."""

from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import Conditions, Device, Precision, Quantity, Result
from bench.units import as_published


class PeakSpec(Conditions):
    """The best rates that large plain operations reach: a matrix product, and a copy larger than any cache."""

    quantity: Literal["peak"] = "peak"
    machine: str
    device: Device
    precision: Precision = "float32"
    threads: int = Field(ge=1)


class Peak(Result):
    """Multiply-adds a second of a large square matrix product; bytes read and written a second by a large copy."""

    quantity: Literal["peak"] = "peak"
    macs_per_s: float
    bytes_per_s: float


def _jobs(asked: Asked) -> list[PeakSpec]:
    """One for the machine, wherever something is timed."""
    wanted = "latency" in asked.measures
    return [PeakSpec(machine=asked.machine, device=asked.device, threads=asked.threads)] if wanted else []


QUANTITY = Quantity(
    name="peak",
    spec=PeakSpec,
    result=Peak,
    jobs=_jobs,
    doing="finding the peak rates of",
    start_s=10.0,
    passes=lambda spec, asked: 0.0,
    takes="machine",
    quiet=True,
    summary=lambda p: f"{as_published(p.macs_per_s / 1e9)} G multiply-adds/s, {as_published(p.bytes_per_s / 1e9)} GB/s",
)
