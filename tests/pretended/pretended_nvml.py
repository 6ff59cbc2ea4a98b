"""NVIDIA's management library for the pretended GPUs: idle, cool, alone, and with a counter of energy that moves."""

import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pretended_gpus as gpus

WATTS = 100.0
UPDATES_S = 0.02  # between two steps of the counter


def module(name: str) -> ModuleType:
    """A module with the functions of `pynvml` that are asked for here, and no others."""
    folder = str(Path(__file__).parents[1])
    sys.path.append(folder)
    from fake_nvml import Card, Nvml, NVMLError

    sys.path.remove(folder)
    cards = [Card(gpus.uuid(one), _facts()) for one in range(gpus.count())]

    def named(uuid: str | bytes) -> Any:
        text = uuid if isinstance(uuid, str) else uuid.decode()
        found = [card for card in cards if card.uuid == text]
        if not found:
            raise NVMLError("Not Found")
        return found[0]

    library, made = Nvml(*cards), ModuleType(name, __doc__)
    made.__dict__.update(
        __getattr__=lambda wanted: _function(library, wanted),
        NVMLError=NVMLError, nvmlInit=lambda: None, nvmlShutdown=lambda: None,
        nvmlSystemGetDriverVersion=lambda: gpus.DRIVER,
        nvmlDeviceGetHandleByUUID=named,
        nvmlDeviceGetTotalEnergyConsumption=lambda card: int(time.time() // UPDATES_S * UPDATES_S * WATTS * 1e3),
    )  # fmt: skip
    return made


def _function(library: Any, name: str) -> Any:
    if name.startswith(("nvmlDevice", "NVML_")):
        return getattr(library, name)
    raise AttributeError(f"the pretended pynvml has no {name}")


def _facts() -> dict[str, Any]:
    return {
        "name": gpus.NAME, "clocks": {1: 1500, 2: 2600}, "temperature": 40, "threshold": 90, "power": int(WATTS * 1e3),
        "reasons": 0, "running": [], "persistence": 1, "capability": gpus.capability(),
    }  # fmt: skip
