"""The quantities that can be measured. Each has one file with its conditions, its result and its table columns.

Names carry their unit: `_s` is seconds, `_bytes` is bytes, `macs` is multiply-adds (one multiply and one add count as
one). Nothing here imports torch, so reading stored records is fast. The function that measures a quantity is in
`bench.measure` and has the quantity's name.
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
from bench.quantities.dice import Tried, VolumeScore
from bench.quantities.energy import Energy, EnergySpec
from bench.quantities.latency import Agreement, Latency, LatencySpec
from bench.quantities.memory import Memory, MemorySpec
from bench.quantities.peak import Peak, PeakSpec
from bench.quantities.profile import ModuleCost, OperatorTime, Profile, ProfileSpec

# In the order in which they are measured and listed in tables.
QUANTITIES = {module.QUANTITY.name: module.QUANTITY for module in (peak, cost, latency, memory, energy, profile, dice)}
MEASURABLE = tuple(name for name, quantity in QUANTITIES.items() if quantity.takes != "machine")
MACHINE = "machine"  # used instead of a network's name by jobs that measure the machine itself

METRICS = {metric.name: metric.of(quantity.name) for quantity in QUANTITIES.values() for metric in quantity.metrics}

if TYPE_CHECKING:
    Spec = Any
    Result = AnyResult
else:
    Spec = Annotated[reduce(or_, (q.spec for q in QUANTITIES.values())), Field(discriminator="quantity")]
    Result = Annotated[reduce(or_, (q.result for q in QUANTITIES.values())), Field(discriminator="quantity")]


def find_metric(name: str) -> Metric:
    """Return a metric by name. Raises UserError, which suggests the nearest name, if the name is unknown."""
    return look_up("metric", name, METRICS)
