"""The energy counters of the hardware: NVML for a GPU of NVIDIA, zeus for one of AMD, RAPL for a CPU.

Sources: NVML's `nvmlDeviceGetTotalEnergyConsumption`; `zeus.device.get_gpus`; the kernel's
Documentation/power/powercap. A counter covers the whole GPU, or all CPU packages and their memory where that is counted
apart, so it includes other processes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pynvml
import torch

NO_GPU = "no NVIDIA GPU whose energy counter can be read"
NO_AMD = "no AMD GPU whose energy counter can be read"
NO_CPU = "no CPU whose energy counter can be read"

Counter = Callable[[], float]  # joules since a fixed time, never decreasing; raises Unreadable
Thermometer = Callable[[], float]  # degrees C; raises Unreadable


class Unreadable(Exception):
    """No counter can be read. The text gives the reason and, if there is one, the remedy."""


class Meter(NamedTuple):
    """A counter, the names of the zones that it adds up, and the thermometer of the device, if there is one."""

    joules: Counter
    zones: tuple[str, ...] = ()
    celsius: Thermometer | None = None


def meter_of(device: str) -> Meter:
    """The meter of a device. Raises Unreadable if there is none."""
    if device == "cpu":
        rapl = Rapl()
        return Meter(rapl.joules, rapl.names)
    return zeus() if torch.version.hip else nvml()


def nvml() -> Meter:
    """The meter of torch's present GPU, found by its UUID: NVML's numbers ignore CUDA_VISIBLE_DEVICES."""
    if not torch.cuda.is_available():
        raise Unreadable(f"{NO_GPU}: torch finds no CUDA device")
    errors = pynvml.NVMLError  # GPUs before Volta, and virtual ones, have no counter
    _asked(NO_GPU, errors, pynvml.nvmlInit)
    uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
    handle = _asked(NO_GPU, errors, lambda: pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))

    def celsius() -> float:
        ask = pynvml.nvmlDeviceGetTemperature
        return float(_asked(NO_GPU, errors, lambda: ask(handle, pynvml.NVML_TEMPERATURE_GPU)))

    def joules() -> float:  # since the driver was loaded
        return float(_asked(NO_GPU, errors, lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3)

    return Meter(joules, ("GPU, by NVML",), celsius)


def zeus() -> Meter:
    """The meter of torch's present GPU of AMD. zeus counts visible GPUs, as torch does."""
    try:
        from zeus.device import get_gpus
    except ImportError:
        raise Unreadable(f"{NO_AMD}: it takes zeus; pip install 'mdsa-bench[amd]'") from None
    gpus, number = _asked(NO_AMD, Exception, get_gpus), torch.cuda.current_device()

    def ask(*names: str) -> float:  # the names of newer and of older versions
        def value() -> float:
            return float(next(getattr(gpus, name) for name in names if hasattr(gpus, name))(number))

        return float(_asked(NO_AMD, Exception, value))  # zeus and amdsmi raise many types of their own

    return Meter(
        lambda: ask("get_total_energy_consumption", "getTotalEnergyConsumption") / 1e3, ("GPU, by zeus",),
        lambda: ask("get_gpu_temperature", "getGpuTemperature"),
    )  # fmt: skip


def _asked(what: str, errors: type[Exception], ask: Callable[[], Any]) -> Any:
    """The answer. Raises Unreadable with the reason if there is none."""
    try:
        return ask()
    except errors as error:
        raise Unreadable(f"{what}: {error}") from None


class Rapl:
    """The sum over the CPU's packages, and over the zones of their memory (`dram`), which no package includes.

    The other subzones are part of packages, and packages of `psys`. `names` are those of the zones that are added up:
    "package-0", "package-0 dram".
    """

    def __init__(self, powercap: Path = Path("/sys/class/powercap")) -> None:
        self._zones: list[Path] = []
        names: list[str] = []
        for zone in sorted(powercap.glob("intel-rapl:*")):
            name = _read(zone / "name").strip()
            if zone.name.count(":") == 1 and name.startswith("package"):
                self._zones.append(zone)
                names.append(name)
            elif zone.name.count(":") > 1 and name == "dram":
                self._zones.append(zone)
                names.append(f"{_read(powercap / zone.name.rpartition(':')[0] / 'name').strip()} dram")
        self.names = tuple(names)
        if not self._zones:
            raise Unreadable(
                f"{NO_CPU}: {powercap} has no intel-rapl package; it takes Linux on an Intel or AMD processor, and not "
                f"in a virtual machine"
            )
        self._ranges, self._last = self._microjoules("max_energy_range_uj"), self._microjoules("energy_uj")
        self._passed = 0

    def joules(self) -> float:
        """Joules since this object was created. Each counter may have wrapped around once since the last reading."""
        found = self._microjoules("energy_uj")
        for now, before, span in zip(found, self._last, self._ranges, strict=True):
            self._passed += (now - before) % span
        self._last = found
        return self._passed / 1e6

    def _microjoules(self, file: str) -> list[int]:
        return [int(_read(zone / file)) for zone in self._zones]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        opens = f"sudo chmod a+r {path.parent.parent}/intel-rapl:*/energy_uj"
        denied = f"{path} is for root alone; `{opens}` opens it until the next start"
        reason = denied if isinstance(error, PermissionError) else error
        raise Unreadable(f"{NO_CPU}: {reason}") from None
