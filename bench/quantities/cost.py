"""Cost: parameters and multiply-adds."""

from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import IMAGE, Column, Frozen, Images, Metric, Quantity, Result, pixels
from bench.units import as_published

# fvcore gives these a cost, torch's counter none; they are compared without them.
FVCORE_EXTRAS = frozenset(
    {"batch_norm", "layer_norm", "group_norm", "instance_norm", "upsample_bilinear2d"}
    | {"upsample_nearest2d", "adaptive_avg_pool2d", "grid_sampler"}
)
DISAGREE = 0.02  # share by which two counters may differ


class CostSpec(Images):
    """One image."""

    quantity: Literal["cost"] = "cost"


class Count(Frozen):
    """One counter's multiply-adds for one image, or why there are none.

    `missed` lists closed formulas that the counter got wrong at start-up, and operators that multiply and have no
    formula. `uncounted` lists operators that were met and not counted, with the number of their calls, other than those
    that do no multiplication.
    """

    counter: str
    macs: int | None
    by_operator: dict[str, int] = Field(default_factory=dict)
    uncounted: dict[str, int] = Field(default_factory=dict)
    missed: tuple[str, ...] = ()
    error: str = ""


class Cost(Result):
    """Parameters of the network and multiply-adds for one image.

    `attended` is the share of all pairs of pixels that each attention compares, by module; empty in older records.
    """

    quantity: Literal["cost"] = "cost"
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    buffer_bytes: int
    fvcore: Count
    torch: Count
    attended: dict[str, float] = Field(default_factory=dict)

    @property
    def doubt(self) -> str:
        """Why the multiply-adds cannot be trusted: a counter failed, or the two differ by over 2 %. Else empty."""
        for count in (self.fvcore, self.torch):
            if count.macs is None:
                return f"{count.counter} failed: {count.error}"
            if count.missed:
                return f"{count.counter} has no right formula for {', '.join(count.missed)}"
        fvcore, torch = self.convolutions_and_matmuls
        if abs(fvcore - torch) > DISAGREE * max(fvcore, torch, 1):
            return f"the counters disagree: fvcore {fvcore:,}, torch {torch:,} multiply-adds"
        return ""

    @property
    def convolutions_and_matmuls(self) -> tuple[int, int]:
        """Each counter's multiply-adds without normalization and resizing, which only fvcore counts."""
        only_fvcore = sum(n for name, n in self.fvcore.by_operator.items() if name in FVCORE_EXTRAS)
        return (self.fvcore.macs or 0) - only_fvcore, self.torch.macs or 0


def _jobs(asked: Asked) -> list[CostSpec]:
    return [CostSpec(classes=asked.maps, size=size) for size in asked.all_sizes]


def _doubt(result: Cost) -> str:
    return result.doubt


def _giga(macs: int | None) -> str:
    return "no" if macs is None else as_published(macs / 1e9)


def _summary(result: Cost) -> str:
    counts = [f"{_giga(count.macs)} GMAC ({count.counter})" for count in (result.fvcore, result.torch)]
    return ", ".join([f"{as_published(result.parameters / 1e6)} M parameters", *counts])


QUANTITY = Quantity(
    name="cost",
    spec=CostSpec,
    result=Cost,
    jobs=_jobs,
    doing="counting",
    start_s=5.0,
    passes=lambda spec, asked: 2 * pixels(spec),
    summary=_summary,
    metrics=(
        Metric("parameters", "exact", "parameters", IMAGE, lambda cost, module: cost.parameters),
        Metric("macs_fvcore", "exact", "multiply-adds", IMAGE, lambda cost, module: cost.fvcore.macs, doubt=_doubt),
        Metric("macs_torch", "exact", "multiply-adds", IMAGE, lambda cost, module: cost.torch.macs, doubt=_doubt),
        Metric("attended", "exact", "share", (*IMAGE, "module"), lambda cost, module: cost.attended.get(module)),
    ),
    columns=(
        Column("parameters", "Params", "M", "parameters", lambda found: found[0].parameters, limit="parameters"),
        Column(
            "macs_fvcore", "GMAC", "fvcore", "multiply-adds", lambda found: found[0].fvcore.macs, mark="unverified",
            limit="multiply-adds",
        ),
        Column("macs_torch", "GMAC", "torch", "multiply-adds", lambda found: found[0].torch.macs, mark="unverified"),
    ),
)  # fmt: skip
