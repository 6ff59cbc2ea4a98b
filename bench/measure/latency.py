"""How long one forward pass takes: raw times in seconds, one a call.

Every call is timed alone, with the device synchronised around it; its output is kept alive until the clock has stopped.
On CUDA a pair of events times the same call on the device. Source: the rules of MLPerf Inference's single stream, less
its load generator.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.quantities import Latency, LatencySpec

FLAT = 0.05  # two neighbouring windows whose medians differ by less than this share are flat
WINDOW = 5
PATIENCE = 10  # a warm-up ends after this many times its least length, flat or not
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

Timer = Callable[[], tuple[float, float | None]]


def latency(network: nn.Module, spec: LatencySpec, clock: Callable[[], float] = time.perf_counter) -> Latency:
    """Time calls of the network on one random batch (batch, channels, size, size), values in [0, 1).

    `clock` is in seconds; tests inject their own. The network is moved to the device and left in eval mode.
    """
    call = _timer(*_ready(network, spec), spec, clock)
    with torch.inference_mode():
        warmup = _warm_up(call, spec, clock)
        samples: list[float] = []
        events: list[float] = []
        start = clock()
        while len(samples) < spec.samples or clock() - start < spec.seconds:
            wall_s, event_s = call()
            samples.append(wall_s)
            if event_s is not None:
                events.append(event_s)
    return Latency(samples_s=tuple(samples), warmup_s=tuple(warmup), event_samples_s=tuple(events))


def _ready(network: nn.Module, spec: LatencySpec) -> tuple[nn.Module, Tensor]:
    """The network and a batch on the device, and the process's switches as the conditions say."""
    torch.set_num_threads(spec.threads)
    torch.backends.cuda.matmul.allow_tf32 = spec.tf32
    torch.backends.cudnn.allow_tf32 = spec.tf32
    torch.backends.cudnn.benchmark = spec.cudnn_benchmark
    layout = torch.channels_last if spec.memory_format == "channels_last" else torch.contiguous_format
    device, dtype = torch.device(spec.device), DTYPES[spec.precision]
    batch = torch.rand(spec.batch, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    network = network.eval().to(device, dtype).to(memory_format=layout)
    return network, batch.to(device, dtype, memory_format=layout)


def _timer(network: nn.Module, batch: Tensor, spec: LatencySpec, clock: Callable[[], float]) -> Timer:
    """A function that makes one call and returns its wall time and, on CUDA, its time between two events."""

    def on_cpu() -> tuple[float, float | None]:
        start = clock()
        output = network(batch)
        wall_s = clock() - start
        del output
        return wall_s, None

    def on_cuda() -> tuple[float, float | None]:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start = clock()
        first.record()
        output = network(batch)
        last.record()
        torch.cuda.synchronize()
        wall_s = clock() - start
        del output
        return wall_s, first.elapsed_time(last) / 1e3

    return on_cuda if spec.device == "cuda" else on_cpu


def _warm_up(call: Timer, spec: LatencySpec, clock: Callable[[], float]) -> list[float]:
    """Call until both least lengths are reached and two neighbouring windows agree, or patience ends."""
    times: list[float] = []
    start = clock()
    while True:
        times.append(call()[0])
        passed = clock() - start
        if len(times) < spec.warmup_calls or passed < spec.warmup_s:
            continue
        if _flat(times) or (len(times) >= PATIENCE * spec.warmup_calls and passed >= PATIENCE * spec.warmup_s):
            return times


def _flat(times: list[float]) -> bool:
    window = min(WINDOW, len(times) // 2)
    if window == 0:
        return True
    last, before = statistics.median(times[-window:]), statistics.median(times[-2 * window : -window])
    return abs(last - before) <= FLAT * before
