"""Where a network's cost is: parameters, multiply-adds, activations and time of each module, and time by operator.

Definitions. Multiply-adds are torch's count (`counters.by_torch`): convolutions and matrix products, one multiply-add
counts as one, for one image. Activations are the elements that these put out, as in Radosavovic et al., "Designing
Network Design Spaces" (2020); fused attention stands as its two plain products. A module's time is what passes between
the start and the end of its calls, what it calls included, as the median over passes of one batch; clocks around every
module slow a pass down, so it is no latency. All calls of a module in a pass are added up.
"""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.measure.cost import own, random_image
from bench.measure.counters import Watcher, by_torch, counting, tensors
from bench.quantities import ModuleCost, OperatorTime, Profile, ProfileSpec

PASSES, FEWEST, ENOUGH_S = 10, 3, 20.0  # timed pairs of passes; fewer where they take longer than this
WARMUPS = 2
OPERATOR_PASSES = 3

Tell = Callable[[str, int, int], None]


def profile(
    network: nn.Module, conditions: ProfileSpec, tell: Tell, clock: Callable[[], float] = time.perf_counter
) -> Profile:
    """Count one image on the CPU, then time batches on the device.

    `tell(doing, done, total)` hears of progress; `clock` is in seconds. The network is moved to the device and left in
    eval mode. Raises what the network raises for such an image.
    """
    torch.set_num_threads(conditions.threads)
    network = network.eval()
    image = random_image(network, conditions.channels, conditions.size)
    tell("counting", 0, 1)
    with torch.no_grad():
        network(image)  # gives lazy modules their parameters
    counts, uncounted = count(own(network), image), by_torch(own(network), image).unknown
    batch = image.repeat(conditions.batch, 1, 1, 1).to(conditions.device)
    network = network.to(conditions.device)
    plain, clocked = _times(network, batch, tell, clock)
    return Profile(
        modules=assemble(network, counts, _medians(clocked)),
        operators=_by_operator(network, batch, tell), uncounted=uncounted, passes=len(plain),
        plain_s=statistics.median(plain), clocked_s=statistics.median(spent[""] for spent in clocked),
    )  # fmt: skip


# ---- watching modules ------------------------------------------------------------------------------------------------


@contextmanager
def watching(network: nn.Module, enter: Callable[[str], None], leave: Callable[[str], None]) -> Iterator[None]:
    """Around each call of each module, tell its path; around the whole block, which is one pass, the network's."""
    with ExitStack() as hooks:
        for name, module in network.named_modules():
            if name and watched(module):
                hooks.callback(module.register_forward_pre_hook(partial(_enter, enter, name), prepend=True).remove)
                hooks.callback(module.register_forward_hook(partial(_leave, leave, name)).remove)
        enter("")
        yield
        leave("")


def watched(module: nn.Module) -> bool:
    """Whether a module can be watched: a scripted one takes no hooks."""
    return not isinstance(module, torch.jit.ScriptModule)


def _enter(enter: Callable[[str], None], name: str, *_: Any) -> None:
    enter(name)


def _leave(leave: Callable[[str], None], name: str, *_: Any) -> None:
    leave(name)


# ---- counts ----------------------------------------------------------------------------------------------------------


class Counts(Watcher):
    """Adds what each operator costs to every module whose call it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.formulas: dict[Any, Callable[..., int]] = {}
        self.inside: list[str] = []
        self.calls: Counter[str] = Counter()
        self.macs: Counter[str] = Counter()
        self.activations: Counter[str] = Counter()

    def enter(self, name: str) -> None:
        self.calls[name] += 1
        self.inside.append(name)

    def leave(self, name: str) -> None:
        self.inside.pop()

    def see(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        formula = self.formulas.get(func.overloadpacket)
        if formula is None:
            return
        macs = formula(*args, **kwargs, out_val=output) // 2
        elements = sum(tensor.numel() for tensor in tensors(output))
        for name in set(self.inside):
            self.macs[name] += macs
            self.activations[name] += elements


def count(network: nn.Module, image: Tensor) -> Counts:
    """Calls, multiply-adds and activations of each module for one image."""
    counts = Counts()
    with counting(counts) as counter, watching(network, counts.enter, counts.leave):
        counts.formulas = counter.flop_registry
        network(image)
    return counts


# ---- times -----------------------------------------------------------------------------------------------------------


class Clocks:
    """Adds up the time of each module's calls; `synchronise` waits for the device."""

    def __init__(self, clock: Callable[[], float], synchronise: Callable[[], None]) -> None:
        self.clock, self.synchronise = clock, synchronise
        self.started: list[float] = []
        self.spent: defaultdict[str, float] = defaultdict(float)

    def enter(self, name: str) -> None:
        self.synchronise()
        self.started.append(self.clock())

    def leave(self, name: str) -> None:
        self.synchronise()
        self.spent[name] += self.clock() - self.started.pop()


def _times(
    network: nn.Module, batch: Tensor, tell: Tell, clock: Callable[[], float]
) -> tuple[list[float], list[dict[str, float]]]:
    """The time of each plain pass, and beside each of them one with a clock around every module."""
    synchronise = torch.cuda.synchronize if batch.is_cuda else _nothing
    plain: list[float] = []
    clocked: list[dict[str, float]] = []
    with torch.inference_mode():
        for _ in range(WARMUPS):
            network(batch)
        began = clock()
        while len(plain) < FEWEST or (len(plain) < PASSES and clock() - began < ENOUGH_S):
            tell("timing", len(plain), PASSES)
            whole = Clocks(clock, synchronise)
            whole.enter("")
            network(batch)
            whole.leave("")
            plain.append(whole.spent[""])
            each = Clocks(clock, synchronise)
            with watching(network, each.enter, each.leave):
                network(batch)
            clocked.append(each.spent)
    return plain, clocked


def _nothing() -> None:
    """A CPU is done when a call returns."""


def _medians(clocked: list[dict[str, float]]) -> dict[str, float]:
    names = {name for spent in clocked for name in spent}
    return {name: statistics.median(spent.get(name, 0.0) for spent in clocked) for name in names}


def _by_operator(network: nn.Module, batch: Tensor, tell: Tell) -> tuple[OperatorTime, ...]:
    """torch's own profile of some passes: self time on the device that does the work."""
    tell("timing operators", 0, 1)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if batch.is_cuda else []
    with torch.inference_mode(), torch.profiler.profile(activities=kinds) as profiler:
        for _ in range(OPERATOR_PASSES):
            network(batch)
    field = "self_device_time_total" if batch.is_cuda else "self_cpu_time_total"
    own_us = {
        event.key: (getattr(event, field), event.count)
        for event in profiler.key_averages()
        if event.device_type.name == "CPU" and getattr(event, field) > 0  # kernels belong to their operators
    }
    total_us = sum(spent for spent, _ in own_us.values())
    found = [
        OperatorTime(name=name, calls=n / OPERATOR_PASSES, self_s=us / OPERATOR_PASSES / 1e6, share=us / total_us)
        for name, (us, n) in own_us.items()
    ]
    return tuple(sorted(found, key=lambda operator: operator.self_s, reverse=True))


# ---- the tree --------------------------------------------------------------------------------------------------------


def assemble(network: nn.Module, counts: Counts, times: dict[str, float]) -> tuple[ModuleCost, ...]:
    """One line a module, in the order of `named_modules`; what is shared stands where it is first."""
    found: dict[str, ModuleCost] = {}
    modules = dict(network.named_modules())
    for name, module in reversed(modules.items()):
        held = [cost for path, cost in found.items() if path.rpartition(".")[0] == name]
        called = counts.calls[name] > 0
        held_s = [cost.time_s for cost in held if cost.time_s is not None]
        found[name] = ModuleCost(
            name=name,
            kind=type(module).__name__,
            parameters=sum(p.numel() for p in module.parameters()),
            macs=counts.macs[name] if called else sum(cost.macs for cost in held),
            activations=counts.activations[name] if called else sum(cost.activations for cost in held),
            calls=counts.calls[name] if called or watched(module) else None,
            time_s=times.get(name) if called else sum(held_s) if held_s else None,
        )
    return tuple(found[name] for name in modules)
