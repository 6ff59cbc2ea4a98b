"""Parameters, and multiply-adds by two counters, for neither is right alone.

Definition: one multiply-add counts as one (`macs`). fvcore, which papers use, follows a trace and also counts
normalisation and resizing; torch's FlopCounterMode sees each operator as it is dispatched and counts only convolutions
and matrix products (its figure is halved here). Both count one random image in eval mode on the CPU, each on a copy of
the network, so that neither a hook nor a buffer that one leaves behind reaches the other. Each is first tried on closed
formulas, and what it gets wrong is named in the result, together with the operators that may multiply and that have
no formula.
"""

import warnings
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from bench.measure.attention import attended
from bench.measure.counters import Counted, by_fvcore, by_torch
from bench.measure.formulas import formulas
from bench.measure.images import random_images
from bench.quantities import Cost, CostSpec, Count

Counter = Callable[[nn.Module, Tensor], Counted]


def cost(network: nn.Module, spec: CostSpec) -> Cost:
    """Count the network's parameters, and its multiply-adds for one image (1, channels, size, size).

    The network itself is left as it was, if it can be copied. Raises what the network raises when it is called once, as
    a warm-up that also gives lazy modules their parameters.
    """
    network = own(network).eval()
    image = random_image(network, spec.channels, spec.size)
    with torch.no_grad():
        network(image)  # a network that cannot take the image fails here, in its own words, and not in both counters
    parameters = list(network.parameters())
    return Cost(
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        parameter_bytes=sum(p.numel() * p.element_size() for p in parameters),
        buffer_bytes=sum(b.numel() * b.element_size() for b in network.buffers()),
        fvcore=_count("fvcore", by_fvcore, network, image),
        torch=_count("torch", by_torch, network, image),
        attended=attended(own(network), image),
    )


def own(network: nn.Module) -> nn.Module:
    """A copy to be used up, or the network itself where it cannot be copied."""
    try:
        return deepcopy(network)
    except Exception:  # a stranger's network may hold what has no copy: a lock, an open file, a part of a graph
        return network


def random_image(network: nn.Module, channels: int, size: int) -> Tensor:
    """One image (1, channels, size, size), values in [0, 1), in the precision of the network's first real weights."""
    image = random_images(1, channels, size)
    real = (p.dtype for p in network.parameters() if p.is_floating_point())
    return image.to(next(real, torch.float32))


def _count(name: str, counter: Counter, network: nn.Module, image: Tensor) -> Count:
    """One counter's figure; a counter that raises is a result too, for the other one may still count."""
    missed = tuple(formula for formula, (small, x, macs) in formulas().items() if not _counts(counter, small, x, macs))
    try:
        found = counter(own(network), image)
    except Exception as error:  # whatever a stranger's network makes a tracer raise
        return Count(counter=name, macs=None, missed=missed, error=f"{type(error).__name__}: {error}")
    return Count(
        counter=name, macs=found.macs, by_operator=found.by_operator, uncounted=found.uncounted,
        missed=missed + found.unknown,
    )  # fmt: skip


def _counts(counter: Counter, network: nn.Module, image: Tensor, macs: int) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # checkpointing warns that there are no gradients, which is meant
            by_operator = counter(network, image).by_operator
    except Exception:  # a counter that cannot run a formula has missed it
        return False
    return sum(by_operator.get(name, 0) for name in by_operator if not name.endswith("_norm")) == macs
