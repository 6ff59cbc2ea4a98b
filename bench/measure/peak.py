"""The peak rates of a machine, for comparison with the rates of networks.

They are the two roofs of the roofline model: Williams, Waterman and Patterson, CACM 52(4), 2009. Bandwidth is that of
the copy of STREAM: McCalpin, IEEE TCCA Newsletter, December 1995. The best repeat is used, not the median, because
disturbances only reduce the rate.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from bench.machine import this_machine
from bench.machine.system import processors, text
from bench.measure.switches import Mark, nothing, switch_as, synchronize
from bench.quantities import Device, Peak, PeakSpec

SIZES = {"cpu": (512, 1024, 2048, 4096), "cuda": (4096, 8192, 16384)}
PRODUCTS_S = 2.0  # larger sizes are skipped if they would exceed this time
COPY_BYTES = {"cpu": 2**28, "cuda": 2**32}
REPEATS, REPEATS_S = 3, 0.2

Clock = Callable[[], float]


def peak(spec: PeakSpec, clock: Clock = time.perf_counter, mark: Mark = nothing) -> Peak:
    """Measure multiply-adds and bytes per second. Takes a few seconds.

    `macs_per_s` is n^3 over the best time of a product of two n x n matrices in the spec's precision (float32 uses TF32
    only where the spec allows it), for the n among several that is fastest. Each product is computed as `torch.mm` and
    as a 1x1 convolution of n channels and n pixels, because torch uses different libraries for them and one may be
    slow: on AMD processors MKL's product reaches half of oneDNN's rate.

    `bytes_per_s` is twice the bytes of an array over the best time of its copy: each byte is read once and written
    once; additional reads by write-allocating caches are not counted. The array is at least four times the last-level
    cache, unless that is more than a tenth of the memory.

    `clock` is in seconds; tests inject their own. `mark` is called before and after. Sets torch's switches as the spec
    says.
    """
    switch_as(spec)
    mark()
    with torch.inference_mode():
        found = Peak(macs_per_s=_product_rate(spec, clock), bytes_per_s=_copy_rate(spec, clock))
    mark()
    return found


def _product_rate(spec: PeakSpec, clock: Clock) -> float:
    rate, start, dtype = 0.0, clock(), getattr(torch, spec.precision)
    for size in SIZES[spec.device]:
        # Random operands: a GPU draws less power for zeros, and clocks higher.
        left, right = (torch.rand(size, size, device=spec.device).to(dtype) for _ in range(2))
        maps = torch.rand(1, size, size // min(32, size), min(32, size), device=spec.device).to(dtype)
        maps = maps.to(memory_format=torch.channels_last)
        seconds = min(
            _best_s(partial(torch.mm, left, right, out=torch.empty_like(left)), spec.device, clock),
            _best_s(partial(torch.conv2d, maps, right.view(size, size, 1, 1)), spec.device, clock),
        )
        rate = max(rate, size**3 / seconds)
        if clock() - start + 2 * 8 * seconds * (1 + REPEATS) > PRODUCTS_S:  # both products at twice the size
            break
    return rate


def _copy_rate(spec: PeakSpec, clock: Clock) -> float:
    source = torch.ones(_copy_bytes(spec.device), dtype=torch.uint8, device=spec.device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best_s(lambda: target.copy_(source), spec.device, clock)


def _best_s(call: Callable[[], object], device: Device, clock: Clock) -> float:
    """The shortest of several calls, after one that is not timed."""
    times: list[float] = []
    call()
    began = clock()
    while len(times) < REPEATS or clock() - began < REPEATS_S:
        synchronize(device)
        start = clock()
        call()
        synchronize(device)
        times.append(clock() - start)
    return min(times)


def _copy_bytes(device: Device) -> int:
    if device == "cuda":
        return min(COPY_BYTES["cuda"], torch.cuda.get_device_properties(0).total_memory // 10)
    return min(max(COPY_BYTES["cpu"], 4 * last_level_cache_bytes()), this_machine().memory_bytes // 10)


def last_level_cache_bytes(cpus: Path = Path("/sys/devices/system/cpu")) -> int:
    """The total size of the last-level caches of this process's processors; 0 if the system does not report it.

    Each is listed once by every processor that shares it.
    """
    found: dict[tuple[str, str], int] = {}
    for number in processors():
        levels = sorted(cpus.glob(f"cpu{number}/cache/index*"), key=lambda path: text(path / "level") or "")
        size, shared = (text(levels[-1] / name) for name in ("size", "shared_cpu_list")) if levels else (None, None)
        if size and shared and size.endswith("K"):
            found[size, shared] = 1024 * int(size[:-1])
    return sum(found.values())
