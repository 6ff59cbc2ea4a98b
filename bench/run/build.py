"""The network of an order."""

import time
from typing import Any

from bench.networks import find_network
from bench.quantities import PeakSpec
from bench.run.worker import Order

BUILT_S: list[float] = []  # when this process, which does one job, had built a network, by time.monotonic
NOTES: list[str] = []  # what was done to its images and maps


def build(order: Order, seed: int = 0) -> Any:
    """The order's network with random weights of a seed, in a process that now uses the order's threads."""
    import torch

    from bench.networks.adapt import notes_of

    spec = order.job.spec
    assert not isinstance(spec, PeakSpec)  # of the machine, not of a network
    torch.set_num_threads(order.threads)
    torch.manual_seed(seed)
    network = find_network(order.job.network).build(spec.channels, spec.classes, spec.size)
    NOTES[:] = notes_of(network)
    BUILT_S.append(time.monotonic())
    return network
