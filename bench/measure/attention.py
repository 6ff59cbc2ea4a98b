"""How sparse an attention really is: the share of all pairs of pixels that it compares.

Definition: for one image, an attention whose queries lie in B windows of L, each with S keys, compares B L S of the
(B L)^2 pairs that a dense attention over the same queries would. No unit, 0 to 1, lower is cheaper; 1 is dense.
Only calls of `scaled_dot_product_attention` are seen; a product written out by hand is not.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def attended(network: nn.Module, image: Tensor) -> dict[str, float]:
    """The share of each module that calls fused attention, by the module's name, for an image (1, channels, H, W).

    Where a module calls it several times, the largest share counts. The network is left in eval mode.
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


class _Calls(TorchFunctionMode):
    """Sees every call of fused attention, and which module makes it."""

    def __init__(self, inside: list[str]) -> None:
        super().__init__()
        self.inside, self.shares = inside, dict[str, float]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query, key = (
                args[place] if len(args) > place else kwargs[name] for place, name in enumerate(("query", "key"))
            )
            windows, queries, keys = query.shape[:-3].numel(), query.shape[-2], key.shape[-2]
            name = self.inside[-1] if self.inside else ""
            self.shares[name] = max(keys / (windows * queries), self.shares.get(name, 0.0))
        return func(*args, **kwargs)
