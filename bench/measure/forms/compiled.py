"""torch.compile in its default mode, triggered by the first call, with an empty compilation cache."""

from functools import partial

import torch
from torch import Tensor, nn

from bench.files import temporary_folder
from bench.measure.forms import Run
from bench.quantities import LatencySpec


def make(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    """The compiled network on the batch."""
    from torch._inductor.utils import fresh_cache

    run = partial(torch.compile(network), batch)
    with temporary_folder() as folder, fresh_cache(dir=str(folder)), torch.inference_mode():
        run()
    return run
