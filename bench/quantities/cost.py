"""Cost: parameters and multiply-adds."""

from functools import partial
from typing import Literal

from pydantic import Field

from bench.quantities.asked import Asked
from bench.quantities.base import IMAGE, Column, Frozen, Images, Metric, Quantity, Result, pixels
from bench.units import scaled

# fvcore counts these operators and torch's counter does not, so they are excluded when the two are compared.
FVCORE_EXTRAS = frozenset(
    {"batch_norm", "layer_norm", "group_norm", "instance_norm", "upsample_bilinear2d"}
    | {"upsample_nearest2d", "adaptive_avg_pool2d", "grid_sampler"}
)
DISAGREE = 0.02  # largest relative difference between the two counters


class CostSpec(Images):
    """The conditions of a cost: one image."""

    quantity: Literal["cost"] = "cost"


class Count(Frozen):
    """The multiply-adds that one counter found for one image, or the reason why it failed.

    `missed` lists the layers whose known cost the counter got wrong in its self-test, and operators that multiply but
    have no formula. `uncounted` maps each operator that was called but not counted to its number of calls; operators
    that do no multiplication are left out.
    """

    counter: str
    macs: int | None
    by_operator: dict[str, int] = Field(default_factory=dict)
    uncounted: dict[str, int] = Field(default_factory=dict)
    missed: tuple[str, ...] = ()
    error: str = ""


class Cost(Result):
    """Parameters of the network and multiply-adds for one image.

    `attended` maps each attention module to the share of all pairs of pixels that it compares. `uncounted` names layers
    whose parameters are not among the network's. Both are empty in older records.
    """

    quantity: Literal["cost"] = "cost"
    parameters: int
    trainable_parameters: int
    parameter_bytes: int
    buffer_bytes: int
    fvcore: Count
    torch: Count
    attended: dict[str, float] = Field(default_factory=dict)
    uncounted: tuple[str, ...] = ()

    @property
    def doubt(self) -> str:
        """All reasons why the multiply-adds cannot be trusted, else empty.

        A counter failed or has no right formula, layers are not counted, or the two counters differ by over 2 %.
        """
        counts, reasons = (self.fvcore, self.torch), []
        for count in counts:
            if count.macs is None:
                reasons.append(f"{count.counter} failed: {count.error}")
            if count.missed:
                reasons.append(f"{count.counter} has no right formula for {', '.join(count.missed)}")
        if self.uncounted:
            reasons.append(f"not among the parameters: {'; '.join(self.uncounted)}")
        fvcore, torch = self.convolutions_and_matmuls
        if all(count.macs is not None for count in counts) and abs(fvcore - torch) > DISAGREE * max(fvcore, torch, 1):
            reasons.append(f"the counters disagree: fvcore {fvcore:,}, torch {torch:,} multiply-adds")
        return "; ".join(reasons)

    @property
    def convolutions_and_matmuls(self) -> tuple[int, int]:
        """Each counter's multiply-adds without normalization and resizing, which only fvcore counts."""
        only_fvcore = sum(n for name, n in self.fvcore.by_operator.items() if name in FVCORE_EXTRAS)
        return (self.fvcore.macs or 0) - only_fvcore, self.torch.macs or 0


def _jobs(asked: Asked) -> list[CostSpec]:
    return [CostSpec(classes=asked.maps, size=size) for size in asked.all_sizes]


def _summary(result: Cost) -> str:
    counts = [f"{'no GMAC' if count.macs is None else scaled(count.macs, 'multiply-adds')} ({count.counter})"
              for count in (result.fvcore, result.torch)]  # fmt: skip
    return ", ".join([f"{scaled(result.parameters, 'parameters')} parameters", *counts])


_macs = partial(Metric, tier="exact", unit="multiply-adds", conditions=IMAGE, doubt=lambda cost: cost.doubt)
QUANTITY = Quantity(
    "cost", CostSpec, Cost, _jobs, "counting", start_s=3.0, passes=lambda spec, asked: 6 * pixels(spec),
    libraries=("fvcore", "timm", "torch"), summary=_summary, repeat=lambda s: (f"{s.size}x{s.size}",),
    metrics=(
        Metric("parameters", "exact", "parameters", IMAGE, lambda cost, module: cost.parameters),
        _macs("macs_fvcore", value=lambda cost, module: cost.fvcore.macs),
        _macs("macs_torch", value=lambda cost, module: cost.torch.macs),
        Metric("attended", "exact", "share", (*IMAGE, "module"), lambda cost, module: cost.attended.get(module)),
    ),
    columns=(
        Column("parameters", "Params", "M", "parameters", lambda found: found[0].parameters, limit="parameters"),
        Column("macs_fvcore", "GMAC", "fvcore", "multiply-adds", lambda found: found[0].fvcore.macs,
               mark="unverified", limit="multiply-adds"),
        Column("macs_torch", "GMAC", "torch", "multiply-adds", lambda found: found[0].torch.macs, mark="unverified"),
    ),
)  # fmt: skip
