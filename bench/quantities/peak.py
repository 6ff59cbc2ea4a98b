"""The machine's peak rates, with which the rates of networks are compared."""

from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import Conditions, Device, Precision, Quantity, Result
from bench.units import giga


class PeakSpec(Conditions):
    """The best rates that large plain operations reach: a matrix product, and a copy larger than any cache."""

    quantity: Literal["peak"] = "peak"
    machine: str
    device: Device
    precision: Precision = "float32"
    threads: int = Field(ge=1)
    tf32: bool = False
    cudnn_benchmark: bool = False


class Peak(Result):
    """Multiply-adds per second of a large square matrix product; bytes read and written per second by a large copy."""

    quantity: Literal["peak"] = "peak"
    macs_per_s: float
    bytes_per_s: float


def _jobs(asked: Asked) -> list[PeakSpec]:
    """One job for the machine if latency is measured, else none."""
    wanted = "latency" in asked.measures
    spec = PeakSpec(machine=asked.machine, device=asked.device, threads=asked.threads, **asked.switches)
    return [spec] if wanted else []


QUANTITY = Quantity(
    "peak", PeakSpec, Peak, _jobs, "finding the peak rates of", start_s=5.0, takes="machine", quiet=True,
    summary=lambda peak: f"{giga(peak.macs_per_s)} G multiply-adds/s, {giga(peak.bytes_per_s)} GB/s",
)  # fmt: skip
