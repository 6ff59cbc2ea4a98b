"""A claim about a network: its metric, conditions and source, and the figures for which it holds."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from bench.data import DATASETS
from bench.errors import UserError, unknown
from bench.machine import Machine
from bench.networks import find_network
from bench.quantities import Device, Frozen, Metric, find_metric
from bench.quantities.base import IMAGE, PASS
from bench.quantities.dice import SCORING
from bench.quantities.scores import find_protocol
from bench.quantities.variants import PLAIN, ordered

CONDITIONS = {*IMAGE, *PASS, *SCORING, "variant", "module"}


class Allowed(NamedTuple):
    """The closed interval in which a figure must lie for the claim to hold."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


def _name(find: Callable[[str], Any]) -> AfterValidator:
    """A validator for names of a table. It converts UserError to ValueError, the only error that pydantic accepts."""

    def check(name: str) -> str:
        try:
            find(name)
        except UserError as error:
            raise ValueError(str(error)) from None
        return name

    return AfterValidator(check)


def _find_dataset(dataset: str) -> None:
    name, _, own = dataset.partition("/")
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    if own and name != "folder":
        raise UserError(f"'{dataset}': only own folders are told apart, as folder/NAME or folder/DIGEST")


NetworkName = Annotated[str, _name(find_network)]
Variant = Annotated[str, _name(ordered), AfterValidator(ordered)]  # parts in the canonical order used in records


class Claim(Frozen):
    """The claim that a network's `metric` is in a `relation` to a `value` or to another network's metric.

    With `against`, the bound is `times` (default 1) the other network's figure, or for a score the other's figure plus
    `ahead_by` (default 0). The `margin` is a share of the bound; for a score, and for a difference of scores, it is in
    the unit of the score. `images_seen` is the minimum number of training images shown to the network: steps times
    batch.
    """

    name: str
    line: int = 0
    says: str
    source: str = Field(min_length=1)
    network: NetworkName
    metric: Annotated[str, _name(find_metric)]
    relation: Literal["equals", "at_most", "at_least"]
    value: FiniteFloat | None = None
    against: NetworkName | None = None
    times: FiniteFloat | None = Field(None, gt=0)
    ahead_by: FiniteFloat | None = None
    margin: FiniteFloat = Field(0.0, ge=0, lt=1)
    channels: int = Field(3, ge=1)
    classes: int = Field(1, ge=1)
    size: int = Field(224, ge=32)
    batch: int = Field(1, ge=1)
    device: Device | None = None
    machine: str = ""
    variant: Variant = PLAIN
    module: str = ""
    dataset: Annotated[str, _name(_find_dataset)] = ""
    protocol: Annotated[str, _name(find_protocol)] = ""
    images_seen: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _can_be_claimed(self) -> Self:
        if fault := next(self._faults(), ""):
            raise ValueError(fault)
        return self

    @property
    def about(self) -> Metric:
        """The metric's entry in the table."""
        return find_metric(self.metric)

    @property
    def networks(self) -> list[str]:
        """The network of the claim, then the network it is compared with, if any."""
        return [self.network, *([self.against] if self.against else [])]

    def may_be_of(self, machine: Machine) -> bool:
        """Whether figures measured on this machine may decide the claim."""
        return self.machine in ("", machine.cpu, machine.fingerprint, *machine.gpus)

    @property
    def is_lead(self) -> bool:
        """Whether the claim is about the difference of two networks' scores."""
        return self.about.tier == "score" and self.against is not None

    @property
    def is_ratio(self) -> bool:
        """Whether the claim is about the quotient of two networks' figures."""
        return self.against is not None and not self.is_lead

    @property
    def bound(self) -> float:
        """The number on the right of the relation."""
        if self.is_lead:
            return self.ahead_by or 0.0
        return self.times or 1.0 if self.against else float(self.value or 0.0)

    @property
    def allowed(self) -> Allowed:
        """The interval allowed by the relation, the bound and the margin."""
        slack = self.margin if self.about.tier == "score" else self.margin * abs(self.bound)
        low = -math.inf if self.relation == "at_most" else self.bound - slack
        high = math.inf if self.relation == "at_least" else self.bound + slack
        return Allowed(low, high)

    @property
    def subject(self) -> tuple[Any, ...]:
        """What the claim is about. Two claims about the same subject must be able to hold together."""
        return (self.network, self.metric, self.against, *(getattr(self, name) for name in self.about.conditions))

    def _faults(self) -> Iterator[str]:
        """Yield what is wrong with the claim as a whole, in sentences."""
        metric = self.about
        if self.network == self.against:
            yield f"{self.network} is claimed to differ from itself; give another network for `against`"
        for name in sorted((self.model_fields_set & CONDITIONS).difference(metric.conditions)):
            known = ", ".join(metric.conditions)
            yield f"{self.metric} does not depend on `{name}`; conditions of {self.metric}: {known}"
        needed = {"score": "dataset", "ratio": "device"}.get(metric.tier, "module")
        if needed in metric.conditions and not getattr(self, needed):
            yield f"{self.metric} needs `{needed}`, for it differs from one to another; add it"
        if (self.value is None) == (self.against is None):
            yield "give either `value`, a number, or `against`, another network's name"
        fitting = "ahead_by" if metric.tier == "score" else "times"
        for name in ("times", "ahead_by"):
            if getattr(self, name) is not None and (self.against is None or name != fitting):
                yield f"`{name}` does not fit here; {self.metric} takes `{fitting}`, and only with `against`"
        if metric.tier == "ratio" and not metric.gates_exactly(self.device):
            if self.value is not None and not self.machine:
                yield (
                    f"an absolute bound on {self.metric} holds on one machine only and no `machine` is named: name it "
                    "(its processor or GPU, or the fingerprint that `bench doctor` prints), or give `against`, a "
                    "network to be measured beside it"
                )
            if not self.margin:
                yield (
                    f"no machine repeats a {self.metric} exactly, so a margin of 0 cannot be tested: give a `margin` "
                    "above the noise that `bench doctor` finds, 0.05 for one"
                )


def contradictions(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Yield for each subject the two claims that are farthest apart, where they cannot both hold."""
    alike: dict[tuple[Any, ...], list[Claim]] = {}
    for claim in claims:
        alike.setdefault(claim.subject, []).append(claim)
    for some in alike.values():
        low, high = max(some, key=lambda one: one.allowed.low), min(some, key=lambda one: one.allowed.high)
        if low.allowed.low > high.allowed.high:
            first, second = sorted((low, high), key=some.index)
            yield first, second
