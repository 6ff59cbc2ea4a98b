"""The same results with less memory: made again in the backward pass, or added in place, image by image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

AT_A_TIME = {"cuda": 2**22}  # values, which make a dozen maps that a GPU's cache holds; elsewhere one image


def remade(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), of which training keeps x alone and makes the rest again in the backward pass.

    For what is cheap to make and large to keep, draws no random numbers and has no batch norm.
    """
    if not torch.is_grad_enabled():
        return function(x)
    again: Tensor = checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)
    return again


def added(whole: Tensor, other: Tensor) -> Tensor:
    """whole + other; in inference `whole` is overwritten."""
    return whole + other if torch.is_grad_enabled() else whole.add_(other)


def plus(whole: Tensor, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The same of function(x), in inference image by image, on CUDA some images at a time.

    For what is made of a few images fits a cache where a batch's does not. A graph is made of the whole batch.
    """
    graph = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if graph or torch.is_grad_enabled():
        return added(whole, function(x))
    images = max(1, AT_A_TIME.get(x.device.type, 0) // max(1, x.shape[1:].numel()))
    for part, given in zip(whole.split(images), x.split(images), strict=True):
        part.add_(function(given))
    return whole
