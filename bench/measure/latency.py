"""Latency of a forward pass: raw times in seconds, one per call. The network's output is checked first.

Every call is timed alone, with the device synchronized around it; its output is kept alive until the clock has stopped.
On CUDA a pair of events times the same call on the device. Source: the rules of MLPerf Inference's single stream,
without its load generator. A network is timed only if its output is finite, the same for the same input, and close to
the plain network's (`bench.measure.agreement`).
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench.measure.agreement import Comparison, outputs_of, refuse_random
from bench.measure.forms import Run, is_plain, prepared
from bench.measure.switches import Mark, nothing, random_images, set_switches, switch_as
from bench.quantities import Agreement, Latency, LatencySpec

FLAT = 0.05  # times are stable if the medians of two consecutive windows differ by at most this share
WINDOW = 5
PATIENCE = 10  # a warm-up ends after this many times its minimum length, even if times are not stable

Clock = Callable[[], float]
Timer = Callable[[], tuple[float, float | None]]


def latency(
    network: nn.Module, spec: LatencySpec,
    clock: Clock = time.perf_counter, progress: Callable[..., None] = lambda: None, mark: Mark = nothing,
) -> Latency:  # fmt: skip
    """Time calls of the network on one random batch (batch, channels, size, size), values in [0, 1).

    `clock` is in seconds; tests inject their own. `progress` is called after each call, when the clock has stopped,
    `mark` just before and just after the timed calls. The network is moved to the device, converted and left in eval
    mode. Raises UserError if the form cannot be made or its output cannot be trusted.

    Before a form is made, norms that do nothing get random statistics and weights, and all outputs of two batches are
    compared with the plain network's. The form is timed with these weights, which is the same work.
    """
    # The output that the form is compared with is in full float32, whatever the conditions allow.
    set_switches(spec.threads, tf32=False, cudnn_benchmark=spec.cudnn_benchmark)
    network = network.eval().to(spec.device, torch.float32)
    batch = random_images(spec.batch, spec.channels, spec.size).to(spec.device)
    compared = None if is_plain(spec) else Comparison(network, batch, spec)
    switch_as(spec)
    form = prepared(network, batch, spec, clock)
    if compared:
        compared.see_other_batch(form.run, form.batch)
    outputs: list[list[Tensor]] = []
    agreement: Agreement | None = None

    def look(output: Any) -> None:
        nonlocal agreement
        if len(outputs) < 2:  # later outputs are not checked and cost nothing
            outputs.append(outputs_of(output))
            if len(outputs) == 2:
                refuse_random(outputs[0], outputs[1], spec)
                agreement = compared.judged(outputs[0]) if compared else None
        progress()

    call = _timer(form.run, spec, clock, look)
    with torch.inference_mode():
        warmup = _warm_up(call, spec, clock)
        samples: list[tuple[float, float | None]] = []
        mark()
        start = clock()
        while len(samples) < spec.samples or clock() - start < spec.seconds:
            samples.append(call())
        mark()
    return Latency(
        samples_s=tuple(wall_s for wall_s, _ in samples), warmup_s=tuple(warmup),
        event_samples_s=tuple(event_s for _, event_s in samples if event_s is not None),
        prepare_s=form.seconds, agreement=agreement, note=form.note,
    )  # fmt: skip


def _timer(run: Run, spec: LatencySpec, clock: Clock, look: Callable[[Any], None]) -> Timer:
    """Return a function that makes one call and returns its wall time and, on CUDA, its time between two events."""
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


def _warm_up(call: Timer, spec: LatencySpec, clock: Clock) -> list[float]:
    """Call until both minimum lengths are reached and times are stable, or `PATIENCE` is exceeded."""
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
