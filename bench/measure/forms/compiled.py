"""torch.compile in its default mode, triggered by the first call, with an empty compilation cache."""

import tempfile
from functools import partial

import torch
from torch import Tensor, nn

from bench.measure.forms import Run
from bench.quantities import LatencySpec


def make(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    """The compiled network on the batch."""
    from torch._inductor.utils import fresh_cache

    run = partial(torch.compile(network), batch)
    with tempfile.TemporaryDirectory() as folder, fresh_cache(dir=folder), torch.inference_mode():
        run()
    return run
