"""Closed formulas: small networks whose multiply-adds are known by hand, on which each counter is tried at start-up."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Call(nn.Module):
    """A function as a module, so that it can be counted."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class Squared(torch.autograd.Function):
    """A matrix product inside a custom autograd function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x @ x.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return (gradients[0] + gradients[0].transpose(1, 2)) @ x


def formulas() -> dict[str, tuple[nn.Module, Tensor, int]]:
    """Small networks in eval mode, an input each, and their multiply-adds by hand."""
    maps, rows = torch.rand(1, 8, 6, 6), torch.rand(1, 10, 8)
    mask = torch.zeros(10, 10)
    layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)
    found: dict[str, tuple[nn.Module, Tensor, int]] = {
        "convolution": (nn.Conv2d(8, 4, 3, padding=1), maps, 36 * 4 * 8 * 9),
        "convolution padding='same'": (nn.Conv2d(8, 4, 3, padding="same"), maps, 36 * 4 * 8 * 9),
        "grouped convolution": (nn.Conv2d(8, 8, 3, padding=1, groups=8), maps, 36 * 8 * 9),
        "transposed convolution": (nn.ConvTranspose2d(8, 4, 2, stride=2), maps, 36 * 8 * 4 * 4),
        "linear": (nn.Linear(8, 5), rows, 10 * 8 * 5),
        "matmul": (Call(lambda x: x @ x.transpose(1, 2)), rows, 10 * 10 * 8),
        "broadcast matmul": (Call(lambda x: x[0] @ x.transpose(1, 2).expand(3, 8, 10)), rows, 3 * 10 * 10 * 8),
        "baddbmm": (Call(lambda x: torch.baddbmm(mask[None], x, x.transpose(1, 2))), rows, 10 * 10 * 8),
        "einsum": (Call(lambda x: torch.einsum("nld,nsd->nls", x, x)), rows, 10 * 10 * 8),
        "attention": (Call(lambda x: F.scaled_dot_product_attention(x, x, x)), rows, 2 * 10 * 10 * 8),
        "masked attention": (
            Call(lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=mask)), rows, 2 * 10 * 10 * 8,
        ),
        "encoder layer": (layer, rows, 10 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 10 * 10 * 8),
        # `apply` is looked up at the call, as networks do
        "autograd function": (Call(lambda x: Squared.apply(x)), rows, 10 * 10 * 8),  # noqa: PLW0108
        "checkpointing": (
            Call(lambda x: checkpoint(torch.bmm, x, x.transpose(1, 2), use_reentrant=True)), rows, 10 * 10 * 8,
        ),
    }  # fmt: skip
    for network, _, _ in found.values():
        network.eval()
    return found
