"""Energy of forward passes."""

from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import PASS, Frozen, Metric, Pass, Quantity, Result
from bench.units import in_unit

WINDOWS = 3  # of one process


class EnergySpec(Pass):
    """Energy of forward passes, read from the device's counter in several windows.

    Each of the `windows` lasts at least `seconds` and `counter_steps` updates, and begins at the temperature of the
    idle device. The counter covers the whole GPU, or all CPU packages, so it includes the energy used by other
    processes. `process` numbers the repeats, each of which runs in a fresh process.
    """

    quantity: Literal["energy"] = "energy"
    seconds: float = Field(5.0, gt=0)
    counter_steps: int = Field(50, ge=1)
    windows: int = Field(1, ge=1)
    process: int = Field(0, ge=0)
    tf32: bool = False
    cudnn_benchmark: bool = False


class Window(Frozen):
    """The joules, images, seconds and counter updates of one window, and the temperature at which it began.

    `start_celsius` is None without a thermometer.
    """

    joules: float
    window_s: float
    images: int
    counter_steps: int
    start_celsius: float | None = None


class Energy(Result):
    """Joules per image, including idle power; None if there is no counter, and then `unreadable` gives the reason.

    Without idle power it is `joules_per_image - idle_watts * window_s / images`. `images`, `window_s` and
    `counter_steps` are those of all windows together; older records have one window, and no `windows`. `zones` are what
    the counter adds up: "package-0", "package-0 dram".
    """

    quantity: Literal["energy"] = "energy"
    joules_per_image: float | None
    idle_watts: float | None
    images: int = 0
    window_s: float = 0.0
    counter_steps: int = 0
    windows: tuple[Window, ...] = ()
    zones: tuple[str, ...] = ()
    unreadable: str = ""


def _jobs(asked: Asked) -> list[EnergySpec]:
    """Interleaved, as latency: every network once, then every network again in another process."""
    batch = asked.batches[0]
    spec = EnergySpec(**asked.one_pass, **asked.switches, size=asked.size, batch=batch, windows=WINDOWS)
    return [spec.model_copy(update={"process": process}) for process in range(asked.budget.processes)]


QUANTITY = Quantity(
    "energy", EnergySpec, Energy, _jobs, "measuring the energy of", quiet=True, repeats=frozenset({"process"}),
    start_s=40.0,  # the measurement has a fixed length, so `passes` is not needed
    usual=lambda device: device == "cuda",  # elsewhere a counter is rarely readable
    repeat=lambda s: (f"batch {s.batch}", f"{s.size}x{s.size}", f"process {s.process}"),
    summary=lambda energy: energy.unreadable or f"{in_unit(energy.joules_per_image, 'joules')} an image",
    metrics=(
        Metric("energy", "ratio", "joules", PASS, lambda energy, module: energy.joules_per_image,
               doubt=lambda energy: energy.unreadable),
    ),
)  # fmt: skip
