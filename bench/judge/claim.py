"""One claim: what is said of which network, under what conditions, by whom; and what of it would be allowed."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from bench.data import DATASETS
from bench.errors import UserError, unknown
from bench.networks import find_network
from bench.quantities import Device, Frozen, Metric, find_metric
from bench.quantities.base import IMAGE, PASS
from bench.quantities.dice import SCORING
from bench.quantities.scores import find_protocol
from bench.quantities.variants import PLAIN, ordered

Relation = Literal["equals", "at_most", "at_least"]
CONDITIONS = {*IMAGE, *PASS, *SCORING, "variant", "module"}


@dataclass(frozen=True)
class Allowed:
    """Where a figure must lie for the claim to hold, ends included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


class Claim(Frozen):
    """A network's `metric` is, within `margin`, in a `relation` to a `value`, or to the metric of another network.

    Against another, it is to be at most (or least) `times` the other's, 1 unless told; a score is to be `ahead_by` so
    much, 0 unless told. The margin is a share of the bound; of a score, and of a lead, it is in the score's own unit.
    `images_seen` is how many images a training must have shown the network at the least: steps times batch.
    """

    name: str
    line: int = 0
    says: str
    source: str = Field(min_length=1)
    network: str
    metric: str
    relation: Relation
    value: float | None = None
    against: str | None = None
    times: float | None = Field(None, gt=0)
    ahead_by: float | None = None
    margin: float = Field(0.0, ge=0, lt=1)
    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=32)
    batch: int = Field(1, ge=1)
    device: Device | None = None
    machine: str = ""
    variant: str = PLAIN
    module: str = ""
    dataset: str = ""
    protocol: str = ""
    images_seen: int = Field(0, ge=0)

    @field_validator("value", "times", "ahead_by", "margin")
    @classmethod
    def _finite(cls, given: float | None) -> float | None:
        if given is not None and not math.isfinite(given):
            raise ValueError(f"must be a finite number, got {given}")
        return given

    @field_validator("variant")
    @classmethod
    def _as_records_say_it(cls, given: str) -> str:
        try:
            return ordered(given)
        except UserError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            for name in self.networks:
                find_network(name)
            find_metric(self.metric)
            if self.protocol:
                find_protocol(self.protocol)
            if self.dataset and self.dataset not in DATASETS:
                raise unknown("data set", self.dataset, DATASETS)
        except UserError as error:
            raise ValueError(str(error)) from None
        if self.network == self.against:
            raise ValueError(f"{self.network} is claimed to differ from itself; give another network for `against`")
        self._check_conditions()
        self._check_bound()
        return self

    @property
    def about(self) -> Metric:
        """The metric's entry in the table."""
        return find_metric(self.metric)

    @property
    def networks(self) -> list[str]:
        """The network it is about, then the one it is held against, if any."""
        return [self.network, *([self.against] if self.against else [])]

    @property
    def is_lead(self) -> bool:
        """Whether it is about the difference of two scores, not about a figure or a quotient."""
        return self.about.tier == "score" and self.against is not None

    @property
    def is_ratio(self) -> bool:
        """Whether it is about the quotient of two networks' figures."""
        return self.against is not None and not self.is_lead

    @property
    def bound(self) -> float:
        """The number on the right of the relation."""
        if self.is_lead:
            return self.ahead_by or 0.0
        return self.times or 1.0 if self.against else float(self.value or 0.0)

    @property
    def allowed(self) -> Allowed:
        """The bound with its margin, on the side or sides that the relation says."""
        slack = self.margin if self.about.tier == "score" else self.margin * abs(self.bound)
        low = -math.inf if self.relation == "at_most" else self.bound - slack
        high = math.inf if self.relation == "at_least" else self.bound + slack
        return Allowed(low, high)

    @property
    def subject(self) -> tuple[Any, ...]:
        """What it is about; two claims of one subject must be able to hold both."""
        return (self.network, self.metric, self.against, *(getattr(self, name) for name in self.about.conditions))

    def _check_conditions(self) -> None:
        metric = self.about
        given = self.model_fields_set & CONDITIONS
        for name in sorted(given - set(metric.conditions)):
            known = ", ".join(metric.conditions)
            raise ValueError(f"{metric.name} does not depend on `{name}`; conditions of {metric.name}: {known}")
        needed = {"score": "dataset", "ratio": "device"}.get(metric.tier) or (
            "module" if "module" in metric.conditions else ""
        )
        if needed and not getattr(self, needed):
            raise ValueError(f"{metric.name} needs `{needed}`, for it differs from one to another; add it")

    def _check_bound(self) -> None:
        if (self.value is None) == (self.against is None):
            raise ValueError("give either `value`, a number, or `against`, another network's name")
        fitting = "ahead_by" if self.about.tier == "score" else "times"
        for name in ("times", "ahead_by"):
            if getattr(self, name) is not None and (self.against is None or name != fitting):
                raise ValueError(
                    f"`{name}` does not fit here; {self.metric} takes `{fitting}`, and only with `against`"
                )
        self._check_tier()

    def _check_tier(self) -> None:
        """A time is told apart only from another one beside it, and only with a margin."""
        if self.about.tier != "ratio" or self.about.gates_exactly(self.device):
            return
        if self.value is not None and not self.machine:
            raise ValueError(
                f"an absolute bound on {self.metric} holds on one machine only and no `machine` is named: name it (its "
                "processor or GPU, or the fingerprint that `bench doctor` prints), or give `against`, a network to "
                "be measured beside it"
            )
        if not self.margin:
            raise ValueError(
                f"no machine repeats a {self.metric} exactly, so a margin of 0 cannot be tested: give a `margin` above "
                "the noise that `bench doctor` finds, 0.05 for one"
            )


def contradiction(claims: Iterable[Claim]) -> tuple[Claim, Claim] | None:
    """The first two claims that cannot both hold, in the order of the file; None where all can."""
    seen: dict[tuple[Any, ...], list[Claim]] = {}
    for claim in claims:
        for other in seen.setdefault(claim.subject, []):
            if max(claim.allowed.low, other.allowed.low) > min(claim.allowed.high, other.allowed.high):
                return other, claim
        seen[claim.subject].append(claim)
    return None
