"""Ways to save memory: recomputation in the backward pass, and sums in place, image by image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

AT_A_TIME = {"cuda": 2**22}  # values, so that a dozen such maps fit a GPU's cache; elsewhere one image


def recomputed(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), of which training stores only x and recomputes the rest in the backward pass.

    For functions that are cheap to compute and large to store, draw no random numbers and have no batch norm.
    """
    if not torch.is_grad_enabled():
        return function(x)
    again: Tensor = checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)
    return again


def add(whole: Tensor, other: Tensor) -> Tensor:
    """whole + other; in inference `whole` is overwritten."""
    return whole + other if torch.is_grad_enabled() else whole.add_(other)


def add_by_image(whole: Tensor, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """whole + function(x); in inference `whole` is overwritten image by image, on CUDA some images at a time.

    The intermediate maps of a few images fit a cache where those of a batch do not. Compilation and tracing see the
    whole batch at once.
    """
    graph = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if graph or torch.is_grad_enabled():
        return add(whole, function(x))
    images = max(1, AT_A_TIME.get(x.device.type, 0) // max(1, x.shape[1:].numel()))
    for part, given in zip(whole.split(images), x.split(images), strict=True):
        part.add_(function(given))
    return whole
