"""Energy of forward passes."""

from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import PASS, Metric, Pass, Quantity, Result
from bench.units import in_unit


class EnergySpec(Pass):
    """Energy of forward passes, read from the device's counter over at least `seconds` and `counter_steps` updates.

    The counter covers the whole GPU, or all CPU packages, so it includes the energy used by other processes. `process`
    numbers the repeats.
    """

    quantity: Literal["energy"] = "energy"
    seconds: float = Field(5.0, gt=0)
    counter_steps: int = Field(50, ge=1)
    process: int = Field(0, ge=0)
    tf32: bool = False
    cudnn_benchmark: bool = False


class Energy(Result):
    """Joules per image, including idle power; None if there is no counter, and then `unreadable` gives the reason.

    Without idle power it is `joules_per_image - idle_watts * window_s / images`.
    """

    quantity: Literal["energy"] = "energy"
    joules_per_image: float | None
    idle_watts: float | None
    images: int = 0
    window_s: float = 0.0
    counter_steps: int = 0
    unreadable: str = ""


def _jobs(asked: Asked) -> list[EnergySpec]:
    return [EnergySpec(**asked.one_pass, **asked.switches, size=asked.size, batch=asked.batches[0])]


QUANTITY = Quantity(
    "energy", EnergySpec, Energy, _jobs, "measuring the energy of", quiet=True, repeats=frozenset({"process"}),
    start_s=12.0,  # the measurement has a fixed length, so `passes` is not needed
    usual=lambda device: device == "cuda",  # elsewhere a counter is rarely readable
    summary=lambda energy: energy.unreadable or f"{in_unit(energy.joules_per_image, 'joules')} an image",
    metrics=(
        Metric("energy", "ratio", "joules", PASS, lambda energy, module: energy.joules_per_image,
               doubt=lambda energy: energy.unreadable),
    ),
)  # fmt: skip
