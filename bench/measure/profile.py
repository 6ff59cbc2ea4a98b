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
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.measure.cost import own, random_image
from bench.measure.counters import Operators, by_torch, counting, tensors
from bench.measure.hooks import around_modules, takes_hooks
from bench.measure.switches import set_switches, synchronize
from bench.quantities import ModuleCost, OperatorTime, Profile, ProfileSpec

PASSES, FEWEST, ENOUGH_S = 10, 3, 20.0  # timed pairs of passes; fewer where they take longer than this
WARMUPS = 2
OPERATOR_PASSES = 3

Progress = Callable[[str, int, int], None]


def profile(
    network: nn.Module, conditions: ProfileSpec, progress: Progress, clock: Callable[[], float] = time.perf_counter
) -> Profile:
    """Count one image on the CPU, then time batches on the device.

    `progress(doing, done, total)` is told how far it is; `clock` is in seconds. The network is moved to the device and
    left in eval mode. Raises what the network raises for such an image.
    """
    set_switches(conditions.threads)
    network = network.eval()
    image = random_image(network, conditions.channels, conditions.size)
    progress("counting", 0, 1)
    with torch.no_grad():
        network(image)  # gives lazy modules their parameters
    counts, uncounted = count(own(network), image), by_torch(own(network), image).unknown
    batch = image.repeat(conditions.batch, 1, 1, 1).to(conditions.device)
    network = network.to(conditions.device)
    plain, clocked = _times(network, batch, progress, clock)
    names = {name for spent in clocked for name in spent}
    times = {name: statistics.median(spent.get(name, 0.0) for spent in clocked) for name in names}
    return Profile(
        modules=assemble(network, counts, times),
        operators=_by_operator(network, batch, progress), uncounted=uncounted, passes=len(plain),
        plain_s=statistics.median(plain), clocked_s=times[""],
    )  # fmt: skip


# ---- counts ----------------------------------------------------------------------------------------------------------


class Counts(Operators):
    """Adds what each operator costs to every module whose call it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.formulas: dict[Any, Callable[..., int]] = {}
        self.inside: list[str] = []
        self.calls, self.macs, self.activations = Counter[str](), Counter[str](), Counter[str]()

    def enter(self, name: str) -> None:
        self.calls[name] += 1
        self.inside.append(name)

    def leave(self, name: str) -> None:
        self.inside.pop()

    def see(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if formula := self.formulas.get(func.overloadpacket):
            macs = formula(*args, **kwargs, out_val=output) // 2
            elements = sum(tensor.numel() for tensor in tensors(output))
            for name in set(self.inside):
                self.macs[name] += macs
                self.activations[name] += elements


def count(network: nn.Module, image: Tensor) -> Counts:
    """Calls, multiply-adds and activations of each module for one image."""
    counts = Counts()
    with counting(counts) as counter, around_modules(network, counts.enter, counts.leave):
        counts.formulas = counter.flop_registry
        network(image)
    return counts


# ---- times -----------------------------------------------------------------------------------------------------------


class Clocks:
    """Adds up the time of each module's calls; `wait` returns when the device is done."""

    def __init__(self, clock: Callable[[], float], wait: Callable[[], None]) -> None:
        self.clock, self.wait = clock, wait
        self.started: list[float] = []
        self.spent: defaultdict[str, float] = defaultdict(float)

    def enter(self, name: str) -> None:
        self.wait()
        self.started.append(self.clock())

    def leave(self, name: str) -> None:
        self.wait()
        self.spent[name] += self.clock() - self.started.pop()


def _times(
    network: nn.Module, batch: Tensor, progress: Progress, clock: Callable[[], float]
) -> tuple[list[float], list[dict[str, float]]]:
    """The time of each plain pass, and beside each of them one with a clock around every module."""
    wait = partial(synchronize, "cuda" if batch.is_cuda else "cpu")
    plain: list[float] = []
    clocked: list[dict[str, float]] = []
    with torch.inference_mode():
        for _ in range(WARMUPS):
            network(batch)
        began = clock()
        while len(plain) < FEWEST or (len(plain) < PASSES and clock() - began < ENOUGH_S):
            progress("timing", len(plain), PASSES)
            whole, each = Clocks(clock, wait), Clocks(clock, wait)
            whole.enter("")
            network(batch)
            whole.leave("")
            with around_modules(network, each.enter, each.leave):
                network(batch)
            plain.append(whole.spent[""])
            clocked.append(each.spent)
    return plain, clocked


def _by_operator(network: nn.Module, batch: Tensor, progress: Progress) -> tuple[OperatorTime, ...]:
    """torch's own profile of some passes: self time on the device that does the work."""
    progress("timing operators", 0, 1)
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if batch.is_cuda else []
    with torch.inference_mode(), torch.profiler.profile(activities=kinds) as profiler:
        for _ in range(OPERATOR_PASSES):
            network(batch)
    field = "self_device_time_total" if batch.is_cuda else "self_cpu_time_total"
    # Kernels belong to their operators, which are on the CPU.
    events = [
        event for event in profiler.key_averages() if event.device_type.name == "CPU" and getattr(event, field) > 0
    ]
    total_us = sum(getattr(event, field) for event in events)
    found = [
        OperatorTime(
            name=event.key, calls=event.count / OPERATOR_PASSES,
            self_s=getattr(event, field) / OPERATOR_PASSES / 1e6, share=getattr(event, field) / total_us,
        )
        for event in events
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda operator: operator.self_s, reverse=True))


# ---- the tree --------------------------------------------------------------------------------------------------------


def assemble(network: nn.Module, counts: Counts, times: dict[str, float]) -> tuple[ModuleCost, ...]:
    """One line a module, in the order of `named_modules`; what is shared stands where it is first."""
    found: dict[str, ModuleCost] = {}
    modules = dict(network.named_modules())
    for name, module in reversed(modules.items()):
        inside = [cost for path, cost in found.items() if path.rpartition(".")[0] == name]
        called = counts.calls[name] > 0
        inside_s = [cost.time_s for cost in inside if cost.time_s is not None]
        found[name] = ModuleCost(
            name=name, kind=type(module).__name__, parameters=sum(p.numel() for p in module.parameters()),
            macs=counts.macs[name] if called else sum(cost.macs for cost in inside),
            activations=counts.activations[name] if called else sum(cost.activations for cost in inside),
            calls=counts.calls[name] if called or takes_hooks(module) else None,
            time_s=times.get(name) if called else sum(inside_s) if inside_s else None,
        )  # fmt: skip
    return tuple(found[name] for name in modules)
