"""A stand-in for NVIDIA's management library with two GPUs, the second of them under load."""

import os
from dataclasses import dataclass, field
from typing import Any


class NVMLError(Exception):
    pass


@dataclass
class Process:
    pid: int


@dataclass
class Card:
    uuid: str
    facts: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        if name not in self.facts:
            raise NVMLError("Not Supported")
        return self.facts[name]


class Nvml:
    """Answers what `bench.machine.system` asks; a fact that a card lacks is not supported."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU, NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 1, 2, 0, 1

    def __init__(self, *cards: Card) -> None:
        self.cards = cards or (Card("GPU-aaaa1111"), busy())

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - the library's name
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> Card:  # noqa: N802
        return self.cards[number]

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "570.1"

    def __getattr__(self, name: str) -> Any:
        questions = {
            "nvmlDeviceGetName": "name", "nvmlDeviceGetTemperature": "temperature",
            "nvmlDeviceGetTemperatureThreshold": "threshold", "nvmlDeviceGetPowerUsage": "power",
            "nvmlDeviceGetCurrentClocksThrottleReasons": "reasons", "nvmlDeviceGetPersistenceMode": "persistence",
            "nvmlDeviceGetComputeRunningProcesses": "running", "nvmlDeviceGetCudaComputeCapability": "capability",
        }  # fmt: skip
        if name == "nvmlDeviceGetUUID":
            return lambda card: card.uuid
        if name == "nvmlDeviceGetClockInfo":
            return lambda card, kind: card["clocks"][kind]
        return lambda card, *_: card[questions[name]]


def busy() -> Card:
    return Card(
        "GPU-bbbb2222",
        {
            "name": "NVIDIA B", "clocks": {1: 1500, 2: 2600}, "temperature": 70, "threshold": 90, "power": 350_500,
            "reasons": 4, "running": [Process(os.getpid()), Process(os.getppid()), Process(1)], "persistence": 0,
            "capability": (7, 5),
        },
    )  # fmt: skip
