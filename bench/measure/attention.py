"""How sparse an attention really is: the share of all pairs of pixels that it compares.

Definition: for one image, an attention whose queries lie in B windows of L, each with S keys, compares B L S of the
(B L)^2 pairs that a dense attention over the same queries would. No unit, 0 to 1, lower is cheaper; 1 is dense.
Seen are calls of `scaled_dot_product_attention`, and attention written out by hand where a softmax over keys is taken
of scores (windows, heads, queries, keys) of which the same module made a product; other shapes are not seen.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def attended(network: nn.Module, image: Tensor) -> dict[str, float]:
    """The share of each module that attends, by the module's name, for an image (1, channels, H, W).

    Where a module attends several times, the largest share counts. The network is left in eval mode.
    """
    inside: list[str] = []
    calls = _Calls(inside)
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):  # it takes no hooks, and its calls are not seen either
            continue
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: inside.append(name)))
        handles.append(module.register_forward_hook(lambda *_: inside.pop() and None))
    try:
        with torch.no_grad(), calls:
            network.eval()(image)
    finally:
        for handle in handles:
            handle.remove()
    return calls.shares


PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.baddbmm, torch.einsum}
SOFTMAXES = {F.softmax, torch.softmax, Tensor.softmax}


class _Calls(TorchFunctionMode):
    """Sees every attention, and which module it is in."""

    def __init__(self, inside: list[str]) -> None:
        super().__init__()
        self.inside, self.shares = inside, dict[str, float]()
        self.products = set[tuple[str, int, int]]()  # by module: the last two sides of what it multiplied

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = self.inside[-1] if self.inside else ""
        if func is F.scaled_dot_product_attention:
            query, key = (
                args[place] if len(args) > place else kwargs[name] for place, name in enumerate(("query", "key"))
            )
            self._see(name, query.shape[:-3].numel(), query.shape[-2], key.shape[-2])
        elif func in SOFTMAXES:
            scores = args[0] if args else kwargs["input"]
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            by_key = scores.dim() > 3 and dim in (-1, scores.dim() - 1)
            if by_key and (name, *scores.shape[-2:]) in self.products:
                self._see(name, scores.shape[:-3].numel(), *scores.shape[-2:])
        output = func(*args, **kwargs)
        if func in PRODUCTS and output.dim() > 1:
            self.products.add((name, *output.shape[-2:]))
        return output

    def _see(self, name: str, windows: int, queries: int, keys: int) -> None:
        self.shares[name] = max(keys / (windows * queries), self.shares.get(name, 0.0))
