"""Energy of forward passes."""

from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import PASS, Metric, Pass, Quantity, Result
from bench.units import in_unit


class EnergySpec(Pass):
    """Energy of forward passes, from the device's own counter over at least `seconds` and `counter_steps` of its steps.

    The counter is of the whole GPU, or of all packages of the CPU, so other processes count too.
    """

    quantity: Literal["energy"] = "energy"
    seconds: float = Field(5.0, gt=0)
    counter_steps: int = Field(50, ge=1)


class Energy(Result):
    """Joules an image, what the idle device draws included; None without a counter, and `unreadable` says why.

    Less its idle share it is `joules_per_image - idle_watts * window_s / images`.
    """

    quantity: Literal["energy"] = "energy"
    joules_per_image: float | None
    idle_watts: float | None
    images: int = 0
    window_s: float = 0.0
    counter_steps: int = 0
    unreadable: str = ""


def _jobs(asked: Asked) -> list[EnergySpec]:
    return [EnergySpec(**asked.one_pass, size=asked.size, batch=asked.batches[0])]


QUANTITY = Quantity(
    "energy", EnergySpec, Energy, _jobs, "measuring the energy of", quiet=True,
    start_s=12.0,  # its window has a fixed length, so passes don't count
    usual=lambda device: device == "cuda",  # elsewhere a counter is rarely readable
    summary=lambda energy: energy.unreadable or f"{in_unit(energy.joules_per_image, 'joules')} an image",
    metrics=(
        Metric("energy", "ratio", "joules", PASS, lambda energy, module: energy.joules_per_image,
               doubt=lambda energy: energy.unreadable),
    ),
)  # fmt: skip
