"""Cost: parameters and multiply-adds."""

from typing import Literal

from pydantic import Field

from bench.quantities.base import Frozen, Images


class CostSpec(Images):
    """One image."""

    quantity: Literal["cost"] = "cost"


class Count(Frozen):
    """One counter's multiply-adds for one image, or why there are none.

    `missed` lists the closed formulas this counter failed at start-up, and operators that multiply and have none;
    `uncounted` the operators it met and did not
    count, with how often, other than those that do no multiplication.
    """

    counter: str
    macs: int | None
    by_operator: dict[str, int] = Field(default_factory=dict)
    uncounted: dict[str, int] = Field(default_factory=dict)
    missed: tuple[str, ...] = ()
    error: str = ""


class Cost(Frozen):
    """Parameters of the network and multiply-adds for one image.

    `attended` is the share of all pairs of pixels that each fused attention compares, by module; empty in records older
    than the measure.
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
        """Why the multiply-adds are not to be trusted, or nothing: a counter failed, or the two differ by over 2 %."""
        for count in (self.fvcore, self.torch):
            if count.macs is None:
                return f"{count.counter} failed: {count.error}"
            if count.missed:
                return f"{count.counter} has no right formula for {', '.join(count.missed)}"
        fvcore, torch = self.convolutions_and_matmuls
        if abs(fvcore - torch) > 0.02 * max(fvcore, torch, 1):
            return f"the counters disagree: fvcore {fvcore:,}, torch {torch:,} multiply-adds"
        return ""

    @property
    def convolutions_and_matmuls(self) -> tuple[int, int]:
        """Each counter's multiply-adds less what only fvcore counts: normalisation and resizing."""
        only_fvcore = sum(n for name, n in self.fvcore.by_operator.items() if name in FVCORE_EXTRAS)
        return (self.fvcore.macs or 0) - only_fvcore, self.torch.macs or 0


# fvcore gives these a cost, torch's counter none; they are compared without them.
FVCORE_EXTRAS = frozenset(
    {"batch_norm", "layer_norm", "group_norm", "instance_norm", "upsample_bilinear2d"}
    | {"upsample_nearest2d", "adaptive_avg_pool2d", "grid_sampler"}
)
