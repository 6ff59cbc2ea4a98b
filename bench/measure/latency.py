"""How long one forward pass takes: raw times in seconds, one a call.

Every call is timed alone, with the device synchronized around it; its output is kept alive until the clock has stopped.
On CUDA a pair of events times the same call on the device. Source: the rules of MLPerf Inference's single stream, less
its load generator. A network whose output cannot be trusted (bench/measure/agreement.py) is not timed.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.measure.agreement import first_tensor, own_rounding, trusted
from bench.measure.forms import Run, is_plain, prepared
from bench.measure.switches import random_images, set_switches
from bench.quantities import Agreement, Latency, LatencySpec

FLAT = 0.05  # two neighboring windows whose medians differ by less than this share are flat
WINDOW = 5
PATIENCE = 10  # a warm-up ends after this many times its least length, flat or not

Timer = Callable[[], tuple[float, float | None]]


def latency(
    network: nn.Module,
    spec: LatencySpec,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[..., None] = lambda: None,
) -> Latency:
    """Time calls of the network on one random batch (batch, channels, size, size), values in [0, 1).

    `clock` is in seconds; tests inject their own. `progress` is called after each call, when the clock has stopped. The
    network is moved to the device, converted and left in eval mode.
    UserError where the form cannot be made or its output cannot be trusted.
    """
    # The output that the form is compared with is in full float32, whatever the conditions allow.
    set_switches(spec.threads, tf32=False, cudnn_benchmark=spec.cudnn_benchmark)
    network = network.eval().to(spec.device, torch.float32)
    batch = random_images(spec.batch, spec.channels, spec.size).to(spec.device)
    plain = None
    if not is_plain(spec):
        with torch.inference_mode():
            plain = first_tensor(network(batch))
    set_switches(spec.threads, tf32=spec.tf32, cudnn_benchmark=spec.cudnn_benchmark)
    run, prepare_s = prepared(network, batch, spec, clock)
    outputs: list[Tensor] = []
    agreement: Agreement | None = None

    def look(output: Any) -> None:
        nonlocal agreement
        if len(outputs) < 2:  # later ones go unseen and cost nothing
            outputs.append(first_tensor(output))
            if len(outputs) == 2:
                agreement = trusted(outputs[0], outputs[1], plain, spec, partial(own_rounding, network, batch))
        progress()

    call = _timer(run, spec, clock, look)
    with torch.inference_mode():
        warmup = _warm_up(call, spec, clock)
        samples: list[tuple[float, float | None]] = []
        start = clock()
        while len(samples) < spec.samples or clock() - start < spec.seconds:
            samples.append(call())
    return Latency(
        samples_s=tuple(wall_s for wall_s, _ in samples), warmup_s=tuple(warmup),
        event_samples_s=tuple(event_s for _, event_s in samples if event_s is not None),
        prepare_s=prepare_s, agreement=agreement,
    )  # fmt: skip


def _timer(run: Run, spec: LatencySpec, clock: Callable[[], float], look: Callable[[Any], None]) -> Timer:
    """A function that makes one call and returns its wall time and, on CUDA, its time between two events."""
    on_cuda = spec.device == "cuda"

    def call() -> tuple[float, float | None]:
        if on_cuda:
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize()
        start = clock()
        if on_cuda:
            first.record()
        output = run()
        if on_cuda:
            last.record()
            torch.cuda.synchronize()
        wall_s = clock() - start
        look(output)
        return wall_s, first.elapsed_time(last) / 1e3 if on_cuda else None

    return call


def _warm_up(call: Timer, spec: LatencySpec, clock: Callable[[], float]) -> list[float]:
    """Call until both least lengths are reached and two neighboring windows agree, or patience ends."""
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
