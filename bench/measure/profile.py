"""Profile: parameters, multiply-adds, activations and time of each module, and time of each operator.

Definitions. Multiply-adds are torch's count (`counters.by_torch`): convolutions and matrix products, one multiply-add
counts as one, for one image. Activations are the output elements of these operators, as in Radosavovic et al.,
"Designing Network Design Spaces" (2020); fused attention counts as its two plain products. A module's time is the time
from start to end of its calls, including the modules it calls, as the median over passes of one batch. Timing every
module slows a pass down, so this is not a latency. All calls of a module in a pass are summed.
"""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.measure.cost import itself, own, random_image
from bench.measure.counters import by_torch, counting, tensors
from bench.measure.switches import Mark, around_modules, nothing, switch_as, synchronize, takes_hooks
from bench.quantities import ModuleCost, OperatorTime, Profile, ProfileSpec

PASSES, FEWEST, ENOUGH_S = 10, 3, 20.0  # timed pairs of passes; fewer where they take longer than this
WARMUPS, OPERATOR_PASSES = 2, 3

Clock = Callable[[], float]
Progress = Callable[[str, int, int], None]
Times = defaultdict[str, float]  # seconds by the module's name


def profile(
    network: nn.Module, spec: ProfileSpec, progress: Progress, clock: Clock = time.perf_counter, mark: Mark = nothing
) -> Profile:
    """Count one image on the CPU, then time batches on the device.

    `progress(doing, done, total)` reports progress; `clock` is in seconds; `mark` is called just before and just after
    the timed passes. A network that was adapted is profiled itself. It is moved to the device and left in eval mode.
    Errors that it raises for such an image are raised.
    """
    switch_as(spec)
    network = network.eval()
    progress("counting", 0, 1)
    network, image = itself(network, random_image(network, spec.channels, spec.size))
    counts, uncounted = count(own(network), image), by_torch(own(network), image).missed
    batch = image.repeat(spec.batch, 1, 1, 1).to(spec.device)
    network = network.to(spec.device)
    mark()
    plain, clocked = _times(network, batch, progress, clock)
    mark()
    times = {name: statistics.median(spent[name] for spent in clocked) for name in set().union(*clocked)}
    return Profile(
        modules=assemble(network, counts, times),
        operators=_by_operator(network, batch, progress), uncounted=uncounted, passes=len(plain),
        plain_s=statistics.median(plain), clocked_s=times[""],
    )  # fmt: skip


# ---- counts ----------------------------------------------------------------------------------------------------------


class Counts(NamedTuple):
    """Counts by module name. The cost of an operator is added to every module that is running."""

    calls: Counter[str]
    macs: Counter[str]
    activations: Counter[str]


def count(network: nn.Module, image: Tensor) -> Counts:
    """Calls, multiply-adds and activations of each module for one image."""
    counts = Counts(Counter(), Counter(), Counter())

    def call(name: str) -> nullcontext[None]:
        counts.calls[name] += 1
        return nullcontext()

    def see(func: Any, args: Any, kwargs: Any, output: Any) -> None:
        if formula := counter.flop_registry.get(func.overloadpacket):
            counts.macs.update(dict.fromkeys(running, formula(*args, **kwargs, out_val=output) // 2))
            counts.activations.update(dict.fromkeys(running, sum(tensor.numel() for tensor in tensors(output))))

    with counting(see) as counter, around_modules(network, call) as running:
        network(image)
    return counts


# ---- times -----------------------------------------------------------------------------------------------------------


@contextmanager
def timed(clock: Clock, wait: Callable[[], None], spent: Times, name: str) -> Iterator[None]:
    """Add the elapsed time to that of a module. `wait` returns when the device is done."""
    wait()
    started = clock()
    yield
    wait()
    spent[name] += clock() - started


def _times(network: nn.Module, batch: Tensor, progress: Progress, clock: Clock) -> tuple[list[float], list[Times]]:
    """The times of plain passes, and of as many passes with a timer around every module."""
    clocks = partial(timed, clock, partial(synchronize, "cuda" if batch.is_cuda else "cpu"))
    plain: list[float] = []
    clocked: list[Times] = []
    with torch.inference_mode():
        for _ in range(WARMUPS):
            network(batch)
        began = clock()
        while len(plain) < FEWEST or (len(plain) < PASSES and clock() - began < ENOUGH_S):
            progress("timing", len(plain), PASSES)
            whole, each = Times(float), Times(float)
            with clocks(whole, ""):
                network(batch)
            with around_modules(network, partial(clocks, each)):
                network(batch)
            plain.append(whole[""])
            clocked.append(each)
    return plain, clocked


def _by_operator(network: nn.Module, batch: Tensor, progress: Progress) -> tuple[OperatorTime, ...]:
    """torch's own profile of some passes: self time on the device that does the work."""
    progress("timing operators", 0, 1)
    with torch.inference_mode(), torch.profiler.profile() as profiler:
        for _ in range(OPERATOR_PASSES):
            network(batch)
    field = "self_device_time_total" if batch.is_cuda else "self_cpu_time_total"
    # Kernels belong to their operators, which are on the CPU.
    events = [(getattr(event, field), event) for event in profiler.key_averages() if event.device_type.name == "CPU"]
    total_us, passes = sum(us for us, _ in events if us > 0), OPERATOR_PASSES
    found = [
        OperatorTime(name=event.key, calls=event.count / passes, self_s=us / passes / 1e6, share=us / total_us)
        for us, event in events
        if us > 0
    ]
    return tuple(sorted(found, key=lambda operator: operator.self_s, reverse=True))


# ---- the tree --------------------------------------------------------------------------------------------------------


def assemble(network: nn.Module, counts: Counts, times: dict[str, float]) -> tuple[ModuleCost, ...]:
    """One entry per module, in the order of `named_modules`. A shared module is listed where it occurs first."""
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
