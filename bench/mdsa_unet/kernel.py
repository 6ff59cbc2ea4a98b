"""Region attention on CUDA in Triton: the kept regions are read from the map in place, forward and backward.

Nothing is copied, gathered or padded, and no table of scores is written: a program holds one block of queries and goes
through its keys with a running softmax (Dao et al., FlashAttention, 2022). Because query, key and value are the same
tensor, its gradient is the sum of three. A region's gradient as key comes from the regions that keep it. They are
looked up, so that sums have the same order in every run.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from bench.mdsa_unet.grid import Grid

LEAST = 16  # pixels of a block; the least that a matrix unit takes
OWN, OTHERS = 64, 32  # the most; scores and gradients are kept in registers, which blocks of 64 and 64 overflow


def attend_in_place(y: Tensor, kept: Tensor, grid: Grid, heads: int, scale: float) -> Tensor:
    """Every pixel of the map y (N, H, W, heads * 32) attends to the regions (N, R, k) that its own region keeps.

    A region that keeps one region keeps itself. Values are the keys. Products have y's precision, those of float32 are
    as exact as float32 unless torch allows TF32; sums are float32.
    """
    found: Tensor = _Attend.apply(y.contiguous(), kept.contiguous(), grid, heads, scale)
    return found


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, kept: Tensor, grid: Grid, heads: int, scale: float) -> Tensor:
        n, height, width, _ = y.shape
        found = torch.empty_like(y)
        log_sum = y.new_empty((n, heads, height * width), dtype=torch.float32)  # log of a pixel's sum of exponentials
        programs, conditions = _launch(y, grid, heads, scale, kept.shape[2])
        _forward[programs](y, kept, found, log_sum, **conditions)
        ctx.save_for_backward(y, kept, found, log_sum)
        ctx.facts = grid, heads, scale
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        y, kept, found, log_sum = ctx.saved_tensors
        grid, heads, scale = ctx.facts
        gradient = gradients[0].contiguous()
        as_query = torch.empty_like(y)
        whole = torch.empty_like(y)
        delta = torch.empty_like(log_sum)  # of each pixel: found . gradient
        keeps = kept.new_zeros((len(y), grid.regions, grid.regions), dtype=torch.int8).scatter_(2, kept, 1)
        programs, conditions = _launch(y, grid, heads, scale, kept.shape[2])
        _backward_query[programs](y, kept, found, log_sum, gradient, delta, as_query, **conditions)
        _backward_key[programs](y, keeps, log_sum, gradient, delta, as_query, whole, **conditions)
        return whole, None, None, None, None


def _launch(y: Tensor, grid: Grid, heads: int, scale: float, top_k: int) -> tuple[tuple[int, int, int], dict[str, Any]]:
    """The grid of programs (blocks, regions, images * heads), and their arguments.

    A program has OWN pixels of one region and goes through the others in steps of OTHERS.
    """
    own, others = _block(grid.pixels, OWN), _block(top_k * grid.pixels, OTHERS)
    return (triton.cdiv(grid.pixels, own), grid.regions, len(y) * heads), {
        "height": y.shape[1], "width": y.shape[2], "scale": scale, "heads": heads, "columns": grid.columns,
        "regions": grid.regions, "high": grid.high, "wide": grid.wide, "top_k": top_k, "D": y.shape[3] // heads,
        "OWN": own, "OTHERS": others,
        "PRECISION": _precision(y),
    }  # fmt: skip


def _block(pixels: int, most: int) -> int:
    return min(most, max(LEAST, triton.next_power_of_2(pixels)))


def _precision(y: Tensor) -> str:
    """How float32 is multiplied; "tf32x3" is three products of TF32, exact up to the last bits."""
    if torch.backends.cuda.matmul.allow_tf32:
        return "tf32"
    has_units = y.is_cuda and torch.version.hip is None and torch.cuda.get_device_capability(y.device) >= (8, 0)
    return "tf32x3" if has_units else "ieee"


@triton.jit
def _pixels(region, number, columns, high, wide, height, width):
    """The places in the map of a region's pixels, by their numbers, and whether they are inside the map."""
    row = (region // columns) * high + number // wide
    column = (region % columns) * wide + number % wide
    return row * width + column, (number < high * wide) & (row < height) & (column < width)


@triton.jit
def _program(heads, height, width, D: tl.constexpr):
    """This program's region and image, and the start of its head in maps and in tables of one value per pixel."""
    image, head = (tl.program_id(2) // heads).to(tl.int64), tl.program_id(2) % heads
    return (
        tl.program_id(1),
        image,
        image * height * width * heads * D + head * D,
        (image * heads + head) * height * width,
    )


@triton.jit
def _load_rows(pointer, place, real, heads, D: tl.constexpr):
    """The pixels' values in one head, zeros outside of the map."""
    lane = tl.arange(0, D)
    return tl.load(pointer + place[:, None] * (heads * D) + lane[None, :], mask=real[:, None], other=0.0)


@triton.jit
def _store_rows(pointer, values, place, real, heads, D: tl.constexpr):
    """Write what `_load_rows` would read."""
    lane = tl.arange(0, D)
    target = pointer + place[:, None] * (heads * D) + lane[None, :]
    tl.store(target, values.to(pointer.dtype.element_ty), mask=real[:, None])


@triton.jit
def _keys(kept, region, number, columns, high, wide, height, width, top_k):
    """The same as `_pixels`, for all pixels of the regions that a region keeps."""
    slot = number // (high * wide)
    chosen = tl.load(kept + region * top_k + slot, mask=slot < top_k, other=0).to(tl.int32)
    place, real = _pixels(chosen, number % (high * wide), columns, high, wide, height, width)
    return place, real & (slot < top_k)


@triton.jit
def _forward(
    y, kept, found, log_sum,
    height, width, scale, heads, columns, regions, high, wide, top_k,
    D: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    region, image, map_start, pixel_start = _program(heads, height, width, D)
    y += map_start
    kept += image * regions * top_k

    number = tl.program_id(0) * OWN + tl.arange(0, OWN)
    place, real = _pixels(region, number, columns, high, wide, height, width)
    query = _load_rows(y, place, real, heads, D)
    largest = tl.full([OWN], -1e30, tl.float32)
    total = tl.zeros([OWN], tl.float32)
    sums = tl.zeros([OWN, D], tl.float32)
    for first in range(0, top_k * high * wide, OTHERS):
        there, counts = _keys(kept, region, first + tl.arange(0, OTHERS), columns, high, wide, height, width, top_k)
        key = _load_rows(y, there, counts, heads, D)
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
        scores = tl.where(counts[None, :], scores, -1e30)
        larger = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.where(counts[None, :], tl.exp(scores - larger[:, None]), 0.0)
        fade = tl.exp(largest - larger)
        total = total * fade + tl.sum(weights, 1)
        sums = sums * fade[:, None] + tl.dot(weights.to(key.dtype), key, input_precision=PRECISION)
        largest = larger
    total = tl.where(real, total, 1.0)  # a pixel of padding may have no keys
    _store_rows(found + map_start, sums / total[:, None], place, real, heads, D)
    tl.store(log_sum + pixel_start + place, largest + tl.log(total), mask=real)


@triton.jit
def _backward_query(
    y, kept, found, log_sum, gradient, delta, as_query,
    height, width, scale, heads, columns, regions, high, wide, top_k,
    D: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    region, image, map_start, pixel_start = _program(heads, height, width, D)
    y += map_start
    kept += image * regions * top_k

    number = tl.program_id(0) * OWN + tl.arange(0, OWN)
    place, real = _pixels(region, number, columns, high, wide, height, width)
    query = _load_rows(y, place, real, heads, D)
    grad = _load_rows(gradient + map_start, place, real, heads, D)
    output = _load_rows(found + map_start, place, real, heads, D)
    own = tl.sum(output.to(tl.float32) * grad.to(tl.float32), 1)
    tl.store(delta + pixel_start + place, own, mask=real)
    log_total = tl.load(log_sum + pixel_start + place, mask=real, other=0.0)
    sums = tl.zeros([OWN, D], tl.float32)
    for first in range(0, top_k * high * wide, OTHERS):
        there, counts = _keys(kept, region, first + tl.arange(0, OTHERS), columns, high, wide, height, width, top_k)
        key = _load_rows(y, there, counts, heads, D)
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
        both = real[:, None] & counts[None, :]
        weights = tl.where(both, tl.exp(scores - log_total[:, None]), 0.0)
        d_scores = weights * (tl.dot(grad, tl.trans(key), input_precision=PRECISION) - own[:, None]) * scale
        sums += tl.dot(d_scores.to(key.dtype), key, input_precision=PRECISION)
    _store_rows(as_query + map_start, sums, place, real, heads, D)


@triton.jit
def _backward_key(
    y, keeps, log_sum, gradient, delta, as_query, whole,
    height, width, scale, heads, columns, regions, high, wide, top_k,
    D: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    region, image, map_start, pixel_start = _program(heads, height, width, D)
    y += map_start
    gradient += map_start
    keeps += image * regions * regions + region

    number = tl.program_id(0) * OWN + tl.arange(0, OWN)
    place, real = _pixels(region, number, columns, high, wide, height, width)
    key = _load_rows(y, place, real, heads, D)
    sums = _load_rows(as_query + map_start, place, real, heads, D).to(tl.float32)
    pixels = high * wide
    alone = top_k == 1  # then a region keeps only itself
    together = tl.where(alone, 1, tl.maximum(OTHERS // pixels, 1))  # regions
    for first in range(tl.where(alone, region, 0), tl.where(alone, region + 1, regions), together):
        for ahead in range(0, together * pixels, OTHERS):
            inside = ahead + tl.arange(0, OTHERS)
            other = first + inside // pixels
            keep = (inside < together * pixels) & (other < regions)
            keep = keep & (tl.load(keeps + other * regions, mask=keep, other=0) > 0)
            if tl.sum(keep.to(tl.int32), 0) > 0:
                there, counts = _pixels(other, inside % pixels, columns, high, wide, height, width)
                counts = counts & keep
                query = _load_rows(y, there, counts, heads, D)
                grad = _load_rows(gradient, there, counts, heads, D)
                log_total = tl.load(log_sum + pixel_start + there, mask=counts, other=0.0)
                deltas = tl.load(delta + pixel_start + there, mask=counts, other=0.0)
                scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
                both = counts[:, None] & real[None, :]
                weights = tl.where(both, tl.exp(scores - log_total[:, None]), 0.0)
                sums += tl.dot(tl.trans(weights.to(key.dtype)), grad, input_precision=PRECISION)
                d_scores = weights * (tl.dot(grad, tl.trans(key), input_precision=PRECISION) - deltas[:, None]) * scale
                sums += tl.dot(tl.trans(d_scores.to(key.dtype)), query, input_precision=PRECISION)
    _store_rows(whole + map_start, sums, place, real, heads, D)
