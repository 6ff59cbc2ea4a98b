"""The vocabulary: each quantity's conditions (a Spec) and what is found under them (a Result).

Units are in the names: `_s` seconds, `_bytes` bytes, `macs` multiply-adds with one multiply-add counted as one. No
default is silent: whatever can change a number is a field here, and so part of a job's key and of its record. Nothing
here imports torch, so that stored records can be read at once.
"""

from typing import Annotated

from pydantic import Field

from bench.quantities.base import Device, Form, Frozen, Images, MemoryFormat, Pass, Precision
from bench.quantities.cost import FVCORE_EXTRAS, Cost, CostSpec, Count
from bench.quantities.dice import (
    CurvePoint,
    DiceSpec,
    ImageScore,
    Protocol,
    Scores,
    TrainingPrecision,
    TrainSpec,
    VolumeScore,
)
from bench.quantities.profile import ModuleCost, OperatorTime, Profile, ProfileSpec
from bench.quantities.speed import (
    Agreement,
    Energy,
    EnergySpec,
    Latency,
    LatencySpec,
    Memory,
    MemorySpec,
    Peak,
    PeakSpec,
)

__all__ = [
    "FVCORE_EXTRAS", "MACHINE", "OPTIONAL", "QUANTITIES", "Agreement", "Cost", "CostSpec", "Count", "CurvePoint",
    "Device", "DiceSpec", "Energy", "EnergySpec", "Form", "Frozen", "ImageScore", "Images", "Latency", "LatencySpec",
    "Memory", "MemoryFormat", "MemorySpec", "ModuleCost", "OperatorTime", "Pass", "Peak", "PeakSpec", "Precision",
    "Profile", "ProfileSpec", "Protocol", "Result", "Scores", "Spec", "TrainSpec", "TrainingPrecision", "VolumeScore",
]  # fmt: skip

Spec = Annotated[
    CostSpec | LatencySpec | MemorySpec | EnergySpec | PeakSpec | ProfileSpec | DiceSpec,
    Field(discriminator="quantity"),
]
Result = Annotated[Cost | Latency | Memory | Energy | Peak | Profile | Scores, Field(discriminator="quantity")]
QUANTITIES = ("cost", "memory", "latency", "energy", "profile", "dice")
OPTIONAL = ("energy", "profile")  # measured where they are asked for; energy also where a GPU is
MACHINE = "machine"  # stands where a job's network does when the job is about the machine itself
