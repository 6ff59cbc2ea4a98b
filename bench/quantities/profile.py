"""Profile: the parameters, multiply-adds, activations and time of each module, and the time of each operator."""

from typing import Literal

from bench.quantities.asked import Asked
from bench.quantities.base import Frozen, Pass, Quantity, Result, pixels


class ProfileSpec(Pass):
    """The conditions of a profile: one batch of random images in float32, in eval and inference mode."""

    quantity: Literal["profile"] = "profile"
    tf32: bool = False
    cudnn_benchmark: bool = False


class ModuleCost(Frozen):
    """The cost of a module and its submodules. `name` is its path (empty for the whole network), `kind` its class.

    `macs` and `activations` are for one image, `time_s` for the batch. `calls` is the number of calls per pass. A
    container that is only indexed has no calls and the sums of its submodules. `time_s` is None if nothing in the
    module was called. Scripted modules cannot be observed: their calls and time are None.
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
    """Calls of one operator in a pass and its own time, without the time of the operators that it calls."""

    name: str
    calls: float
    self_s: float
    share: float


class Profile(Result):
    """The cost of all modules, in order of registration with the network first, and of all operators, slowest first.

    `plain_s` is the median time of a pass without instrumentation, `clocked_s` with a timer around each module.
    `uncounted` names operators that may multiply and have no formula.
    """

    quantity: Literal["profile"] = "profile"
    modules: tuple[ModuleCost, ...]
    operators: tuple[OperatorTime, ...]
    uncounted: tuple[str, ...]
    passes: int
    plain_s: float
    clocked_s: float


def _jobs(asked: Asked) -> list[ProfileSpec]:
    """One job, at the first batch and the training size."""
    return [ProfileSpec(**asked.one_pass, **asked.switches, size=asked.size, batch=asked.batches[0])]


QUANTITY = Quantity(
    "profile", ProfileSpec, Profile, _jobs, "profiling", start_s=8.0, usual=lambda device: False, quiet=True,
    passes=lambda spec, asked: 30 * pixels(spec) * spec.batch,
    repeat=lambda s: (f"batch {s.batch}", f"{s.size}x{s.size}"),
)  # fmt: skip
