"""How long one forward pass takes: raw times in seconds, one a call.

Every call is timed alone, with the device synchronised around it; its output is kept alive until the clock has stopped.
On CUDA a pair of events times the same call on the device. Source: the rules of MLPerf Inference's single stream, less
its load generator. A network whose output cannot be trusted is not timed: it must be finite, the same for the same
input, and in another form (bench/measure/forms.py) near the plain network's.
"""

import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.measure.forms import DTYPES, Run, agreement, first_tensor, is_plain, prepared
from bench.measure.images import random_images
from bench.quantities import Agreement, Latency, LatencySpec

FLAT = 0.05  # two neighbouring windows whose medians differ by less than this share are flat
WINDOW = 5
PATIENCE = 10  # a warm-up ends after this many times its least length, flat or not
REPEAT = 1e-4  # of the largest logit: what two calls on CUDA may differ by, where the order of sums is not fixed
STRAY = 1e-3  # of the largest logit: what a form in float32 may differ by from the plain network
OWN_ROUNDING = 3  # or so many times what the plain network's float32 differs by from its float64

Timer = Callable[[], tuple[float, float | None]]


def latency(
    network: nn.Module,
    spec: LatencySpec,
    clock: Callable[[], float] = time.perf_counter,
    alive: Callable[[], None] = lambda: None,
) -> Latency:
    """Time calls of the network on one random batch (batch, channels, size, size), values in [0, 1).

    `clock` is in seconds; tests inject their own. `alive` is called after each call, when the clock has stopped. The
    network is moved to the device, converted and left in eval mode.
    UserError where the form cannot be made or its output cannot be trusted.
    """
    network, batch = _ready(network, spec)
    outputs = _Outputs(
        spec, None if is_plain(spec) else _plain_output(network, batch), partial(_rounded, network, batch)
    )
    _set_precision_switches(spec.tf32)
    run, prepare_s = prepared(network, batch, spec, clock)
    timed = _timer(run, spec, clock, outputs.look)

    def call() -> tuple[float, float | None]:
        found = timed()
        alive()
        return found

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
    return Latency(
        samples_s=tuple(samples), warmup_s=tuple(warmup), event_samples_s=tuple(events), prepare_s=prepare_s,
        agreement=outputs.agreement,
    )  # fmt: skip


def _ready(network: nn.Module, spec: LatencySpec) -> tuple[nn.Module, Tensor]:
    """The plain network and a batch on the device, and the process's switches as the conditions say."""
    torch.set_num_threads(spec.threads)
    torch.backends.cudnn.benchmark = spec.cudnn_benchmark
    batch = random_images(spec.batch, spec.channels, spec.size)
    return network.eval().to(spec.device, torch.float32), batch.to(spec.device)


def _set_precision_switches(tf32: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def _plain_output(network: nn.Module, batch: Tensor) -> Tensor:
    """What the form is held against: in full float32, whatever the conditions allow."""
    _set_precision_switches(False)
    with torch.inference_mode():
        return first_tensor(network(batch))


class _Outputs:
    """Looks at the first two outputs, after the clock has stopped; later ones go unseen and cost nothing."""

    def __init__(self, spec: LatencySpec, plain: Tensor | None, rounded: Callable[[Tensor], float]) -> None:
        self.spec, self.plain, self.rounded = spec, plain, rounded
        self.agreement: Agreement | None = None
        self.first: Tensor | None = None
        self.seen = 0

    def look(self, output: Any) -> None:
        """UserError where the output is not finite, not the same twice, or not the plain network's."""
        self.seen += 1
        if self.seen == 1:
            self.first = first_tensor(output)
            _refuse_unless_finite(self.first, self.spec)
        elif self.seen == 2 and self.first is not None:
            _refuse_unless_same(self.first, first_tensor(output), self.spec)
            if self.plain is not None:
                self.agreement = agreement(self.plain, self.first)
                _refuse_if_astray(self.agreement, self.spec, partial(self.rounded, self.plain))
            self.first = self.plain = None


def _refuse_unless_finite(output: Tensor, spec: LatencySpec) -> None:
    wrong = int((~output.isfinite()).sum())
    if wrong:
        do = "see that its weights and every step of its forward pass are finite"
        if spec.precision == "float16":
            do = "float16 ends at 65504: time it in bfloat16 or float32"
        raise UserError(
            f"{wrong} of {output.numel()} values of the output are NaN or infinite "
            f"({spec.form}, {spec.precision}, {spec.memory_format}); {do}"
        )


def _refuse_unless_same(first: Tensor, second: Tensor, spec: LatencySpec) -> None:
    """Exactly the same on a CPU; on CUDA up to the order of sums, or one rounding in half precision."""
    allowed = 0.0
    if spec.device == "cuda":
        allowed = max(REPEAT, torch.finfo(DTYPES[spec.precision]).eps) * float(first.abs().max())
    error = float((first - second).abs().max()) if first.shape == second.shape else float("inf")
    if not error <= allowed:
        raise UserError(
            f"the network gives another output for the same input: two calls in eval mode differ by {error:.3g}; "
            "switch off dropout and whatever else is random or counts calls"
        )


def _refuse_if_astray(found: Agreement, spec: LatencySpec, rounded: Callable[[], float]) -> None:
    """Rounding in half precision or TF32 is shown, not judged; in float32 there should be next to none.

    A network that chooses, by a top-k of near-equal values for one, is turned by rounding itself: what its own float32
    strays from its float64 is the measure then.
    """
    if spec.precision != "float32" or spec.tf32 or found.max_error <= STRAY * found.largest:
        return
    allowed = max(STRAY * found.largest, OWN_ROUNDING * rounded())
    if found.max_error > allowed:
        raise UserError(
            f"the form {spec.form}, {spec.memory_format} does not give the network's output: it strays by max_error "
            f"{found.max_error:.3g}, where the largest logit is {found.largest:.3g} and {allowed:.3g} is allowed; it "
            "is another function, so its time means nothing: leave out this form"
        )


def _rounded(network: nn.Module, batch: Tensor, plain: Tensor) -> float:
    """How far the plain network's float32 output lies from its float64 one."""
    with torch.inference_mode():
        exact = first_tensor(copy.deepcopy(network).double()(batch.double()))
    return float((exact.cpu() - plain.cpu().double()).abs().max())


def _timer(run: Run, spec: LatencySpec, clock: Callable[[], float], look: Callable[[Any], None]) -> Timer:
    """A function that makes one call and returns its wall time and, on CUDA, its time between two events."""

    def on_cpu() -> tuple[float, float | None]:
        start = clock()
        output = run()
        wall_s = clock() - start
        look(output)
        return wall_s, None

    def on_cuda() -> tuple[float, float | None]:
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start = clock()
        first.record()
        output = run()
        last.record()
        torch.cuda.synchronize()
        wall_s = clock() - start
        look(output)
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
