"""Attention: the share of all pairs of pixels that it compares, and the regions that it selects.

The share: for one image, an attention whose queries lie in B windows of L, each with S keys, compares B L S of the (B
L)^2 pairs that a dense attention over the same queries would. No unit, 0 to 1, lower is cheaper; 1 is dense. Detected
are calls of `scaled_dot_product_attention`, and attention written out by hand: a softmax over keys of scores (windows,
heads, queries, keys) with the shape of a product in the same module. Other shapes are not detected.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bench.measure.switches import around_modules

PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.baddbmm, torch.einsum}
SOFTMAXES = {F.softmax, torch.softmax, Tensor.softmax}


def attended(network: nn.Module, image: Tensor) -> dict[str, float]:
    """The share of each module that attends, by the module's name, for an image (1, channels, H, W).

    If a module attends several times, its largest share is returned. The network is left in eval mode.
    """
    with torch.no_grad(), around_modules(network.eval()) as running, _AttentionCalls(running) as calls:
        network(image)
    return calls.shares


class _AttentionCalls(TorchFunctionMode):
    """Finds every attention, and the module that it is in."""

    def __init__(self, running: list[str]) -> None:
        super().__init__()
        self.running = running
        self.shares: dict[str, float] = {}
        self.products: set[tuple[str, int, int]] = set()  # module and the last two dimensions of its products

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, self.running[-1]
        if func is F.scaled_dot_product_attention:
            given = dict(zip(("query", "key"), args, strict=False)) | kwargs
            self._add(name, given["query"].shape[:-3].numel(), given["query"].shape[-2], given["key"].shape[-2])
        elif func in SOFTMAXES:
            given = dict(zip(("input", "dim"), args, strict=False)) | kwargs
            scores = given["input"]
            by_key = scores.dim() > 3 and given.get("dim") in (-1, scores.dim() - 1)
            if by_key and (name, *scores.shape[-2:]) in self.products:
                self._add(name, scores.shape[:-3].numel(), *scores.shape[-2:])
        output = func(*args, **kwargs)
        if func in PRODUCTS and output.dim() > 1:
            self.products.add((name, *output.shape[-2:]))
        return output

    def _add(self, name: str, windows: int, queries: int, keys: int) -> None:
        self.shares[name] = max(keys / (windows * queries), self.shares.get(name, 0.0))


@contextmanager
def attended_regions(network: nn.Module) -> Iterator[dict[str, np.ndarray]]:
    """Record the regions that the network's attentions select for each image, while the context is open.

    A selecting attention divides its map into `regions` x `regions` and has a method `choose(...)`, which returns the
    indices (N, regions * regions, k) of the regions that each region attends to. Its result is not changed. On exit,
    the yielded dictionary maps each module's name to the indices of all images in order.
    """
    batches: dict[str, list[np.ndarray]] = {}
    found: dict[str, np.ndarray] = {}
    with ExitStack() as replaced:
        for name, module in network.named_modules():
            if callable(getattr(module, "choose", None)) and isinstance(getattr(module, "regions", None), int):
                kept = partial(_choose, module.choose, batches.setdefault(name, []))
                replaced.enter_context(patch.object(module, "choose", kept))
        yield found
    found.update({name: np.concatenate(parts) for name, parts in batches.items() if parts})


def _choose(choose: Any, kept: list[np.ndarray], *arguments: Any, **options: Any) -> Tensor:
    indices: Tensor = choose(*arguments, **options)
    kept.append(indices.cpu().numpy().astype(np.uint8 if indices.shape[1] <= 256 else np.uint16))
    return indices
