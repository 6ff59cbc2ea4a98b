"""Where a network's cost is: each module's parameters, multiply-adds, activations and time, and time by operator."""

from typing import Literal

from bench.quantities.asked import Asked
from bench.quantities.base import Frozen, Pass, Quantity, Result, pixels


class ProfileSpec(Pass):
    """One batch of random images in float32; eval and inference mode."""

    quantity: Literal["profile"] = "profile"


class ModuleCost(Frozen):
    """One module with all that is in it. `name` is its path, empty for the network; `kind` its class.

    `macs` and `activations` are for one image, `time_s` for the batch. `calls` is how often it was called in a pass. A
    container that is only indexed has no calls and the sums of what is in it; where nothing in a module was called,
    `time_s` is None. What is scripted cannot be watched: no calls, and no time.
    """

    name: str
    kind: str
    parameters: int
    macs: int
    activations: int
    calls: int | None
    time_s: float | None

    @property
    def depth(self) -> int:
        return self.name.count(".") + 1 if self.name else 0


class OperatorTime(Frozen):
    """One operator's own time in a pass, without that of operators it calls, and its calls."""

    name: str
    calls: float
    self_s: float
    share: float


class Profile(Result):
    """`modules` in the order in which they are registered, the network first; `operators` slowest first, all of them.

    `plain_s` is the median pass without clocks, `clocked_s` with one around each module. `uncounted` names operators
    that may multiply and have no formula.
    """

    quantity: Literal["profile"] = "profile"
    modules: tuple[ModuleCost, ...]
    operators: tuple[OperatorTime, ...]
    uncounted: tuple[str, ...]
    passes: int
    plain_s: float
    clocked_s: float


def _jobs(asked: Asked) -> list[ProfileSpec]:
    """One, at the first batch and the size of the training."""
    return [ProfileSpec(**asked.one_pass, size=asked.size, batch=asked.batches[0])]


QUANTITY = Quantity(
    "profile", ProfileSpec, Profile, _jobs, "profiling", start_s=8.0, usual=lambda device: False, quiet=True,
    passes=lambda spec, asked: 30 * pixels(spec) * spec.batch,
)  # fmt: skip
