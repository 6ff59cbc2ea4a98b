"""Region attention on CUDA in Triton: the kept regions are read where they lie in the map, forward and backward.

Nothing is laid out anew, gathered or padded, and no table of scores is written: a program holds one block of queries
and goes through its keys with a running softmax (Dao et al., FlashAttention, 2022). The gradient of what is query, key
and value at once is the sum of three. A region's part as key comes from the regions that keep it, which are looked up,
so that nothing is added up in an order that changes from run to run.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from bench.mdsa_unet.grid import Grid

LEAST = 16  # pixels of a block: a matrix unit takes no fewer
OWN, OTHERS = 64, 32  # and at most: scores and gradients lie in registers, which blocks of 64 and 64 overflow


def attend_in_place(y: Tensor, kept: Tensor, grid: Grid, heads: int, scale: float) -> Tensor:
    """Every pixel of the map y (N, H, W, heads * 32) attends to the regions (N, R, k) that its own region keeps.

    A region that keeps one keeps itself. Values are the keys. Products are of y's precision, those of float32 as
    exact as float32 unless torch allows TF32; sums are float32.
    """
    found: Tensor = _Attend.apply(y.contiguous(), kept.contiguous(), grid, heads, scale)
    return found


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, kept: Tensor, grid: Grid, heads: int, scale: float) -> Tensor:
        n, height, width, _ = y.shape
        found = torch.empty_like(y)
        weight = y.new_empty((n, heads, height * width), dtype=torch.float32)  # log of a pixel's sum of exponentials
        programs, conditions = _launch(y, grid, heads, scale, kept.shape[2])
        _forward[programs](y, kept, found, weight, **conditions)
        ctx.save_for_backward(y, kept, found, weight)
        ctx.facts = grid, heads, scale
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        y, kept, found, weight = ctx.saved_tensors
        grid, heads, scale = ctx.facts
        gradient = gradients[0].contiguous()
        as_query = torch.empty_like(y)
        whole = torch.empty_like(y)
        share = torch.empty_like(weight)  # of each pixel: found . gradient
        keeps = kept.new_zeros((len(y), grid.regions, grid.regions), dtype=torch.int8).scatter_(2, kept, 1)
        programs, conditions = _launch(y, grid, heads, scale, kept.shape[2])
        _backward_query[programs](y, kept, found, weight, gradient, share, as_query, **conditions)
        _backward_key[programs](y, keeps, weight, gradient, share, as_query, whole, **conditions)
        return whole, None, None, None, None


def _launch(y: Tensor, grid: Grid, heads: int, scale: float, top_k: int) -> tuple[tuple[int, int, int], dict[str, Any]]:
    """The programs, by block, region, and image and head; and what each is told.

    A program has OWN pixels of one region and goes through the others by OTHERS.
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
    """How products of float32 are made; "tf32x3" is as exact but for the last bits, in three products of TF32."""
    if torch.backends.cuda.matmul.allow_tf32:
        return "tf32"
    has_units = y.is_cuda and torch.version.hip is None and torch.cuda.get_device_capability(y.device) >= (8, 0)
    return "tf32x3" if has_units else "ieee"


@triton.jit
def _pixels(region, number, columns, high, wide, height, width):
    """Of pixels of a region, by number: the place in the map, and whether they lie in it."""
    row = (region // columns) * high + number // wide
    column = (region % columns) * wide + number % wide
    return row * width + column, (number < high * wide) & (row < height) & (column < width)


@triton.jit
def _own(heads, height, width, D: tl.constexpr):
    """This program's region and image, and where its head begins in maps, and in tables of one figure a pixel."""
    image, head = (tl.program_id(2) // heads).to(tl.int64), tl.program_id(2) % heads
    return (
        tl.program_id(1),
        image,
        image * height * width * heads * D + head * D,
        (image * heads + head) * height * width,
    )


@triton.jit
def _rows(pointer, place, real, heads, D: tl.constexpr):
    """The pixels' values in one head, zeros for those that are not real."""
    lane = tl.arange(0, D)
    return tl.load(pointer + place[:, None] * (heads * D) + lane[None, :], mask=real[:, None], other=0.0)


@triton.jit
def _keep(pointer, values, place, real, heads, D: tl.constexpr):
    """Write what `_rows` would read."""
    lane = tl.arange(0, D)
    target = pointer + place[:, None] * (heads * D) + lane[None, :]
    tl.store(target, values.to(pointer.dtype.element_ty), mask=real[:, None])


@triton.jit
def _keys(kept, region, number, columns, high, wide, height, width, top_k):
    """Of all the pixels that a region keeps, by number: as `_pixels`."""
    slot = number // (high * wide)
    chosen = tl.load(kept + region * top_k + slot, mask=slot < top_k, other=0).to(tl.int32)
    place, real = _pixels(chosen, number % (high * wide), columns, high, wide, height, width)
    return place, real & (slot < top_k)


@triton.jit
def _forward(
    y, kept, found, weight,
    height, width, scale, heads, columns, regions, high, wide, top_k,
    D: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    region, image, map_start, weight_start = _own(heads, height, width, D)
    y += map_start
    kept += image * regions * top_k

    number = tl.program_id(0) * OWN + tl.arange(0, OWN)
    place, real = _pixels(region, number, columns, high, wide, height, width)
    query = _rows(y, place, real, heads, D)
    largest = tl.full([OWN], -1e30, tl.float32)
    total = tl.zeros([OWN], tl.float32)
    sums = tl.zeros([OWN, D], tl.float32)
    for first in range(0, top_k * high * wide, OTHERS):
        there, counts = _keys(kept, region, first + tl.arange(0, OTHERS), columns, high, wide, height, width, top_k)
        key = _rows(y, there, counts, heads, D)
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
        scores = tl.where(counts[None, :], scores, -1e30)
        larger = tl.maximum(largest, tl.max(scores, 1))
        shares = tl.where(counts[None, :], tl.exp(scores - larger[:, None]), 0.0)
        fade = tl.exp(largest - larger)
        total = total * fade + tl.sum(shares, 1)
        sums = sums * fade[:, None] + tl.dot(shares.to(key.dtype), key, input_precision=PRECISION)
        largest = larger
    total = tl.where(real, total, 1.0)  # a pixel of padding may have no key
    _keep(found + map_start, sums / total[:, None], place, real, heads, D)
    tl.store(weight + weight_start + place, largest + tl.log(total), mask=real)


@triton.jit
def _backward_query(
    y, kept, found, weight, gradient, share, as_query,
    height, width, scale, heads, columns, regions, high, wide, top_k,
    D: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    region, image, map_start, weight_start = _own(heads, height, width, D)
    y += map_start
    kept += image * regions * top_k

    number = tl.program_id(0) * OWN + tl.arange(0, OWN)
    place, real = _pixels(region, number, columns, high, wide, height, width)
    query = _rows(y, place, real, heads, D)
    slope = _rows(gradient + map_start, place, real, heads, D)
    output = _rows(found + map_start, place, real, heads, D)
    own = tl.sum(output.to(tl.float32) * slope.to(tl.float32), 1)
    tl.store(share + weight_start + place, own, mask=real)
    log_total = tl.load(weight + weight_start + place, mask=real, other=0.0)
    sums = tl.zeros([OWN, D], tl.float32)
    for first in range(0, top_k * high * wide, OTHERS):
        there, counts = _keys(kept, region, first + tl.arange(0, OTHERS), columns, high, wide, height, width, top_k)
        key = _rows(y, there, counts, heads, D)
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
        both = real[:, None] & counts[None, :]
        shares = tl.where(both, tl.exp(scores - log_total[:, None]), 0.0)
        steep = shares * (tl.dot(slope, tl.trans(key), input_precision=PRECISION) - own[:, None]) * scale
        sums += tl.dot(steep.to(key.dtype), key, input_precision=PRECISION)
    _keep(as_query + map_start, sums, place, real, heads, D)


@triton.jit
def _backward_key(
    y, keeps, weight, gradient, share, as_query, whole,
    height, width, scale, heads, columns, regions, high, wide, top_k,
    D: tl.constexpr, OWN: tl.constexpr, OTHERS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    region, image, map_start, weight_start = _own(heads, height, width, D)
    y += map_start
    gradient += map_start
    keeps += image * regions * regions + region

    number = tl.program_id(0) * OWN + tl.arange(0, OWN)
    place, real = _pixels(region, number, columns, high, wide, height, width)
    key = _rows(y, place, real, heads, D)
    sums = _rows(as_query + map_start, place, real, heads, D).to(tl.float32)
    pixels = high * wide
    alone = top_k == 1  # the only region that it keeps, and that keeps it, is itself
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
                query = _rows(y, there, counts, heads, D)
                slope = _rows(gradient, there, counts, heads, D)
                log_total = tl.load(weight + weight_start + there, mask=counts, other=0.0)
                theirs = tl.load(share + weight_start + there, mask=counts, other=0.0)
                scores = tl.dot(query, tl.trans(key), input_precision=PRECISION) * scale
                both = counts[:, None] & real[None, :]
                shares = tl.where(both, tl.exp(scores - log_total[:, None]), 0.0)
                sums += tl.dot(tl.trans(shares.to(key.dtype)), slope, input_precision=PRECISION)
                steep = shares * (tl.dot(slope, tl.trans(key), input_precision=PRECISION) - theirs[:, None]) * scale
                sums += tl.dot(tl.trans(steep.to(key.dtype)), query, input_precision=PRECISION)
    _keep(whole + map_start, sums, place, real, heads, D)
