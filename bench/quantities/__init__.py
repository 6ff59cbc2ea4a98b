"""The quantities: one file each, with its conditions, its result and all that the rest of the program asks of it.

Units are in the names: `_s` seconds, `_bytes` bytes, `macs` multiply-adds with one multiply-add counted as one. Nothing
here imports torch, so that stored records are read at once. The function that measures a quantity has its name in
`bench.measure`.
"""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bench.errors import look_up
from bench.quantities import cost, dice, energy, latency, memory, peak, profile
from bench.quantities.asked import Asked, AskedData, Settings
from bench.quantities.base import Column, Conditions, Device, Frozen, Images, MemoryFormat, Metric, Pass, Precision
from bench.quantities.base import Quantity, Result as AnyResult
from bench.quantities.cost import FVCORE_EXTRAS, Cost, CostSpec, Count
from bench.quantities.dice import CurvePoint, DiceSpec, ImageScore, ProtocolName, Scores, TrainingPrecision, TrainSpec
from bench.quantities.dice import VolumeScore
from bench.quantities.energy import Energy, EnergySpec
from bench.quantities.latency import Agreement, Latency, LatencySpec
from bench.quantities.memory import Memory, MemorySpec
from bench.quantities.peak import Peak, PeakSpec
from bench.quantities.profile import ModuleCost, OperatorTime, Profile, ProfileSpec

# In the order in which they are measured and stand in tables.
QUANTITIES = {module.QUANTITY.name: module.QUANTITY for module in (peak, cost, latency, memory, energy, profile, dice)}
MEASURABLE = tuple(name for name, quantity in QUANTITIES.items() if quantity.takes != "machine")
MACHINE = "machine"  # stands where a job's network does when the job is about the machine itself

METRICS = {metric.name: metric.of(quantity.name) for quantity in QUANTITIES.values() for metric in quantity.metrics}

if TYPE_CHECKING:
    Spec = Any
    Result = AnyResult
else:
    Spec = Annotated[reduce(or_, (q.spec for q in QUANTITIES.values())), Field(discriminator="quantity")]
    Result = Annotated[reduce(or_, (q.result for q in QUANTITIES.values())), Field(discriminator="quantity")]


def find_metric(name: str) -> Metric:
    """A metric of the table; UserError with the nearest name where there is none of this name."""
    return look_up("metric", name, METRICS)
