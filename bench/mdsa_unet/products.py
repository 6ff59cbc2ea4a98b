"""Attention to copies of the kept regions, by torch's own products: the path where there is no kernel.

Where a region has few keys, torch's fused attention for CPUs takes longer than a product, a softmax and a product.
Their gradients are written out, for torch's own would scale and add transposed copies, and keep what was gathered.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.mdsa_unet.frugal import remade

FEW = 128  # keys of a region


def attention(cells: Tensor, kept: Tensor | None, mask: Tensor | None, scale: float) -> Tensor:
    """Softmax attention of each region's pixels, (N, R, heads, P, D), to those of the regions that it keeps.

    These, which are keys and values, are `kept`, (N, R, k); None is each region itself alone. `mask`, (N, R, k * P), is
    added to the scores.
    """
    rows, several = (None, 1) if kept is None else (_rows(kept, cells.shape[2]), kept.shape[2])
    if cells.is_cuda or several * cells.shape[3] > FEW:
        fused = partial(_fused, rows=rows, mask=mask, scale=scale)
        return fused(cells) if rows is None else remade(fused, cells)  # what is gathered is large
    if torch.is_grad_enabled():
        found: Tensor = _Products.apply(cells, rows, mask, scale)
        return found
    return _by_products(cells, rows, mask, scale)[0]


def _rows(kept: Tensor, heads: int) -> Tensor:
    """Where the kept regions lie among all heads of all regions, (N * R * heads * k)."""
    n, regions, _ = kept.shape
    first = torch.arange(0, n * regions, regions, device=kept.device).view(n, 1, 1, 1)
    rows = (first + kept[:, :, None]) * heads + torch.arange(heads, device=kept.device).view(1, 1, heads, 1)
    return rows.flatten()


def _gathered(cells: Tensor, rows: Tensor | None) -> Tensor:
    """Keys, (N * R * heads, k * P, D)."""
    each = cells.flatten(0, 2)
    return each if rows is None else each.index_select(0, rows).view(len(each), -1, each.shape[2])


def _fused(cells: Tensor, rows: Tensor | None, mask: Tensor | None, scale: float) -> Tensor:
    keys = _gathered(cells, rows).unflatten(0, (-1, cells.shape[2]))
    penalty = None if mask is None else mask.flatten(0, 1)[:, None, None]
    found = F.scaled_dot_product_attention(cells.flatten(0, 1), keys, keys, attn_mask=penalty, scale=scale)
    return found.view_as(cells)


def _by_products(cells: Tensor, rows: Tensor | None, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """What is found, and each pixel's shares of its keys, (N * R * heads, P, k * P)."""
    queries, keys = cells.flatten(0, 2), _gathered(cells, rows)
    scores = torch.baddbmm(queries.new_zeros(1, 1, 1), queries, keys.transpose(1, 2), beta=0, alpha=scale)
    scores = scores.unflatten(0, (-1, cells.shape[2]))
    if mask is not None:
        scores = scores + mask.flatten(0, 1)[:, None, None]
    shares = scores.softmax(-1).flatten(0, 1).to(cells.dtype)  # mixed precision takes the softmax in float32
    return torch.bmm(shares, keys).view_as(cells), shares


class _Products(torch.autograd.Function):
    """`_by_products`, of which training keeps the shares; keys are gathered again."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, rows: Tensor | None, mask: Tensor | None, scale: float) -> Tensor:
        found, shares = _by_products(cells, rows, mask, scale)
        ctx.save_for_backward(cells, rows, mask, shares)
        ctx.scale = scale
        return found

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        cells, rows, mask, shares = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            found = _by_products(cells, rows, mask, ctx.scale)[0]
            return *torch.autograd.grad(found, cells, given, create_graph=True), None, None, None
        queries, keys, slopes = cells.flatten(0, 2), _gathered(cells, rows), given.to(cells.dtype).flatten(0, 2)
        steep = torch._softmax_backward_data(torch.bmm(slopes, keys.transpose(1, 2)), shares, -1, shares.dtype)
        of_keys = torch.bmm(shares.transpose(1, 2), slopes).baddbmm_(steep.transpose(1, 2), queries, alpha=ctx.scale)
        if rows is None:
            whole = of_keys
        else:
            parts = of_keys.view(len(rows), -1)
            whole = torch.zeros_like(queries).flatten(1).index_add_(0, rows, parts).view_as(queries)
        return whole.baddbmm_(steep, keys, alpha=ctx.scale).view_as(cells), None, None, None
