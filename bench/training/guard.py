"""What is wrong in the libraries that train, kept away from the networks that it would spoil.

oneDNN's gradient of the weights of a grouped and dilated convolution is wrong in bfloat16 and channels-last memory on a
CPU, by factors of 1 to 1e34, or the process crashes; in contiguous memory, in float32 or without dilation it is right.
Seen with torch 2.14.1 and AVX-512 BF16; tests/training/test_guard.py shows it where a processor multiplies bfloat16.
"""

from typing import Any

import torch
from torch import Tensor, nn


def guarded(network: nn.Module) -> nn.Module:
    """The network, whose grouped and dilated convolutions now work in contiguous memory whatever comes in."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and max(module.dilation) > 1:
            # A copy: of a depthwise weight both layouts count as contiguous, but not the strides that oneDNN goes by.
            module.weight.data = module.weight.data.clone(memory_format=torch.contiguous_format)
            module.register_forward_pre_hook(_contiguous)
    return network


def _contiguous(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one.contiguous() if isinstance(one, Tensor) else one for one in inputs)
