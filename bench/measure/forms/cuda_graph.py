"""A CUDA graph: one call is captured and replayed, which avoids the CPU's cost of launching each kernel."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.measure.forms import Run
from bench.quantities import LatencySpec

SIDE_CALLS = 3  # torch's own advice for calls on a side stream before a capture


def make(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    """Capture the network on the batch. Each call returns the same memory. Raises UserError without a CUDA device."""
    if spec.device != "cuda":
        raise UserError(f"the form {spec.form} needs a CUDA device, got {spec.device}; time it there, or leave it out")
    with torch.inference_mode():
        return captured(partial(network, batch))


def captured(run: Run) -> Run:
    """Capture one call after warm-up calls on a side stream, and return a function that replays it."""
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(SIDE_CALLS):
            run()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph):
        output = run()

    def replay() -> Any:
        graph.replay()
        return output

    return replay
