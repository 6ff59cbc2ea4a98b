"""Latency of a forward pass: raw times in seconds, one per call. The network's output is checked first.

Every call is timed alone, with the device synchronized around it; its output is kept alive until the clock has stopped.
On CUDA a pair of events times the same call on the device. Source: the rules of MLPerf Inference's single stream,
without its load generator. A network is timed only if its output is finite, the same for the same input, and close to
the plain network's.
"""

import copy
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bench.errors import UserError
from bench.measure import scores
from bench.measure.forms import Run, is_plain, prepared
from bench.measure.switches import random_images, set_switches
from bench.quantities import Agreement, Latency, LatencySpec

FLAT = 0.05  # times are stable if the medians of two consecutive windows differ by at most this share
WINDOW = 5
PATIENCE = 10  # a warm-up ends after this many times its minimum length, even if times are not stable
REPEAT = 1e-4  # allowed difference of two calls on CUDA, where the order of sums varies, relative to the largest logit
STRAY = 1e-3  # allowed difference of a float32 form from the plain network, relative to the largest logit
OWN_ROUNDING = 3  # or this many times the difference of the plain network's float32 and float64 outputs

Clock = Callable[[], float]
Timer = Callable[[], tuple[float, float | None]]


def latency(
    network: nn.Module, spec: LatencySpec,
    clock: Clock = time.perf_counter, progress: Callable[..., None] = lambda: None,
) -> Latency:  # fmt: skip
    """Time calls of the network on one random batch (batch, channels, size, size), values in [0, 1).

    `clock` is in seconds; tests inject their own. `progress` is called after each call, when the clock has stopped. The
    network is moved to the device, converted and left in eval mode. Raises UserError if the form cannot be made or its
    output cannot be trusted.
    """
    # The output that the form is compared with is in full float32, whatever the conditions allow.
    set_switches(spec.threads, tf32=False, cudnn_benchmark=spec.cudnn_benchmark)
    network = network.eval().to(spec.device, torch.float32)
    batch = random_images(spec.batch, spec.channels, spec.size).to(spec.device)
    with torch.inference_mode():
        plain = None if is_plain(spec) else first_tensor(network(batch))
    set_switches(spec.threads, tf32=spec.tf32, cudnn_benchmark=spec.cudnn_benchmark)
    run, prepare_s = prepared(network, batch, spec, clock)
    outputs: list[Tensor] = []
    agreement: Agreement | None = None

    def look(output: Any) -> None:
        nonlocal agreement
        if len(outputs) < 2:  # later outputs are not checked and cost nothing
            outputs.append(first_tensor(output))
            if len(outputs) == 2:
                agreement = trusted(outputs[0], outputs[1], plain, spec, network, batch)
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


# ---- whether the output can be trusted ----------------------------------------------------------------------------


def first_tensor(output: Any) -> Tensor:
    """A float32 copy on the CPU of the first tensor in a network's output. Raises UserError if there is none."""
    for leaf in tree_leaves(output):
        if isinstance(leaf, Tensor) or hasattr(leaf, "numpy"):  # ONNX Runtime returns its own type
            tensor = leaf.detach() if isinstance(leaf, Tensor) else torch.from_numpy(leaf.numpy())
            return tensor.to("cpu", torch.float32, copy=True)
    raise UserError(
        f"the network's output, a {type(output).__name__}, holds no tensor that could be checked; "
        "return a tensor, or a tuple, list or dict of tensors"
    )


def agreement(plain_output: Any, output: Any) -> Agreement:
    """The difference of an output from the plain network's on the same batch. The first tensors are compared.

    Masks are logits > 0 for one map, else the argmax over maps. Their Dice is computed over the whole batch and
    averaged over the foreground classes that are not empty in both (1 if all are). Only an output (N, maps, H, W) has
    several maps. Raises UserError if the shapes differ.
    """
    plain, found = first_tensor(plain_output), first_tensor(output)
    wanted, given = tuple(plain.shape), tuple(found.shape)
    if given != wanted:
        raise UserError(f"the form gives an output of {given}, the plain network one of {wanted}; leave out the form")
    several = plain.dim() == 4 and plain.shape[1] > 1
    labels, true = ((logits.argmax(1) if several else (logits > 0).long()).numpy() for logits in (found, plain))
    by_class = [scores.dice(labels == label, true == label) for label in range(1, plain.shape[1] if several else 2)]
    defined = [dice for dice in by_class if not math.isnan(dice)]
    dice = sum(defined) / len(defined) if defined else 1.0
    return Agreement(max_error=float((found - plain).abs().max()), largest=float(plain.abs().max()), dice=dice)


def trusted(
    first: Tensor, second: Tensor, plain: Tensor | None, spec: LatencySpec, network: nn.Module, batch: Tensor
) -> Agreement | None:
    """Check two outputs for the same input; return their agreement with the plain network (None for the plain network).

    Raises UserError if the first is not finite, differs from the second, or is too far from the plain one. On a CPU the
    two outputs must be identical; on CUDA they may differ by the order of sums, or by one rounding in half precision.

    Differences from half precision or TF32 are reported but never rejected; in float32 there should be almost none.
    Rounding alone can change the output of a network that selects, such as by a top-k of nearly equal values. For it
    the limit is `OWN_ROUNDING` times the difference of its own float32 and float64 outputs.
    """
    if wrong := int((~first.isfinite()).sum()):
        do = "see that its weights and every step of its forward pass are finite"
        if spec.precision == "float16":
            do = "float16 ends at 65504: time it in bfloat16 or float32"
        raise UserError(
            f"{wrong} of {first.numel()} values of the output are NaN or infinite "
            f"({spec.form}, {spec.precision}, {spec.memory_format}); {do}"
        )
    allowed = 0.0
    if spec.device == "cuda":
        allowed = max(REPEAT, torch.finfo(getattr(torch, spec.precision)).eps) * float(first.abs().max())
    error = float((first - second).abs().max()) if first.shape == second.shape else math.inf
    if not error <= allowed:
        raise UserError(
            f"the network gives another output for the same input: two calls in eval mode differ by {error:.3g}; "
            "switch off dropout and whatever else is random or counts calls"
        )
    if plain is None:
        return None
    found = agreement(plain, first)
    if spec.precision != "float32" or spec.tf32 or found.max_error <= STRAY * found.largest:
        return found
    exact = first_tensor(copy.deepcopy(network).double()(batch.double()))
    allowed = max(STRAY * found.largest, OWN_ROUNDING * float((exact - plain.double()).abs().max()))
    if found.max_error > allowed:
        raise UserError(
            f"the form {spec.form}, {spec.memory_format} does not give the network's output: it strays by max_error "
            f"{found.max_error:.3g}, where the largest logit is {found.largest:.3g} and {allowed:.3g} is allowed; it "
            "is another function, so its time means nothing: leave out this form"
        )
    return found
