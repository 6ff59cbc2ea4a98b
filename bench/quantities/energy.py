"""Energy of forward passes."""

from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import PASS, Metric, Pass, Quantity, Result
from bench.units import significant


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


def _doubt(result: Energy) -> str:
    return result.unreadable


QUANTITY = Quantity(
    name="energy",
    spec=EnergySpec,
    result=Energy,
    jobs=_jobs,
    doing="measuring the energy of",
    start_s=12.0,
    passes=lambda spec, asked: 0.0,  # its window has a fixed length, which is in `start_s`
    usual=lambda device: device == "cuda",  # elsewhere a counter is rarely readable
    quiet=True,
    summary=lambda energy: energy.unreadable or f"{significant(energy.joules_per_image)} J an image",
    metrics=(
        Metric("energy", "ratio", "joules", PASS, lambda energy, module: energy.joules_per_image, doubt=_doubt),
    ),
)  # fmt: skip
