"""The same results with less memory: made again in the backward pass, or added in place, image by image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def remade(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), of which training keeps x alone and makes the rest again in the backward pass.

    For what is cheap to make and large to keep, draws no random numbers and has no batch norm.
    """
    if not torch.is_grad_enabled():
        return function(x)
    again: Tensor = checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)
    return again


def plus(whole: Tensor, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """whole + function(x); in inference `whole` is overwritten, on a CPU image by image.

    For the maps of one image fit a processor's cache where a batch's do not. A graph is made of the whole batch.
    """
    if torch.is_grad_enabled():
        return whole + function(x)
    if x.is_cuda or torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return whole.add_(function(x))
    for part, image in zip(whole.split(1), x.split(1), strict=True):
        part.add_(function(image))
    return whole
