"""Attention to copies of the kept regions by torch's operators, where there is no kernel.

Where a region has few keys, torch's fused attention for CPUs takes longer than a product, a softmax and a product.
Their gradients are written out, because autograd would scale and add transposed copies, and store the gathered keys.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.mdsa_unet.memory_saving import recomputed

FEW_KEYS = 128  # keys of a region


def attention(cells: Tensor, kept: Tensor | None, mask: Tensor | None, scale: float) -> Tensor:
    """Softmax attention of each region's pixels (N, R, heads, P, D) to the pixels of the regions that it keeps.

    `kept` (N, R, k) are the indices of these regions, whose pixels are keys and values; None means only the region
    itself. `mask` (N, R, k * P) is added to the scores.
    """
    index, several = (None, 1) if kept is None else (_gather_index(kept, cells.shape[2]), kept.shape[2])
    if cells.is_cuda or several * cells.shape[3] > FEW_KEYS:
        fused = partial(_fused, index=index, mask=mask, scale=scale)
        return fused(cells) if index is None else recomputed(fused, cells)  # the gathered keys are large
    if torch.is_grad_enabled():
        found: Tensor = _ProductAttention.apply(cells, index, mask, scale)
        return found
    return _by_products(cells, index, mask, scale)[0]


def _gather_index(kept: Tensor, heads: int) -> Tensor:
    """The indices (N * R * heads * k) of the kept regions among all heads of all regions."""
    n, regions, _ = kept.shape
    first = torch.arange(0, n * regions, regions, device=kept.device).view(n, 1, 1, 1)
    index = (first + kept[:, :, None]) * heads + torch.arange(heads, device=kept.device).view(1, 1, heads, 1)
    return index.flatten()


def _gathered(cells: Tensor, index: Tensor | None) -> Tensor:
    """Keys, (N * R * heads, k * P, D)."""
    each = cells.flatten(0, 2)
    return each if index is None else each.index_select(0, index).view(len(each), -1, each.shape[2])


def _fused(cells: Tensor, index: Tensor | None, mask: Tensor | None, scale: float) -> Tensor:
    keys = _gathered(cells, index).unflatten(0, (-1, cells.shape[2]))
    penalty = None if mask is None else mask.flatten(0, 1)[:, None, None]
    found = F.scaled_dot_product_attention(cells.flatten(0, 1), keys, keys, attn_mask=penalty, scale=scale)
    return found.view_as(cells)


def _by_products(cells: Tensor, index: Tensor | None, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """The attention, and its weights (N * R * heads, P, k * P)."""
    queries, keys = cells.flatten(0, 2), _gathered(cells, index)
    scores = torch.baddbmm(queries.new_zeros(1, 1, 1), queries, keys.transpose(1, 2), beta=0, alpha=scale)
    scores = scores.unflatten(0, (-1, cells.shape[2]))
    if mask is not None:
        scores = scores + mask.flatten(0, 1)[:, None, None]
    weights = scores.softmax(-1).flatten(0, 1).to(cells.dtype)  # mixed precision takes the softmax in float32
    return torch.bmm(weights, keys).view_as(cells), weights


class _ProductAttention(torch.autograd.Function):
    """`_by_products`, of which training stores the weights; keys are gathered again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, index: Tensor | None, mask: Tensor | None, scale: float) -> Tensor:
        found, weights = _by_products(cells, index, mask, scale)
        ctx.save_for_backward(cells, index, mask, weights)
        ctx.scale = scale
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        cells, index, mask, weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            found = _by_products(cells, index, mask, ctx.scale)[0]
            return *torch.autograd.grad(found, cells, gradient, create_graph=True), None, None, None
        queries, keys, grads = cells.flatten(0, 2), _gathered(cells, index), gradient.to(cells.dtype).flatten(0, 2)
        d_scores = torch._softmax_backward_data(torch.bmm(grads, keys.transpose(1, 2)), weights, -1, weights.dtype)
        d_keys = torch.bmm(weights.transpose(1, 2), grads).baddbmm_(d_scores.transpose(1, 2), queries, alpha=ctx.scale)
        if index is None:
            whole = d_keys
        else:
            parts = d_keys.view(len(index), -1)
            whole = torch.zeros_like(queries).flatten(1).index_add_(0, index, parts).view_as(queries)
        return whole.baddbmm_(d_scores, keys, alpha=ctx.scale).view_as(cells), None, None, None
