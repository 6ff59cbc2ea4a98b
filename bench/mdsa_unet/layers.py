"""Convolutions and their batch norms, each done the way that is cheapest where the map lies.

Maps lie channels-last, so that a 1x1 convolution and a linear map of every pixel are the same product of matrices. On
a CPU torch gives a convolution to oneDNN, and a linear layer to MKL, which on AMD's processors takes longer. On CUDA it
gives a linear layer to cuBLAS, which adds the bias on the way, and a convolution in float32 to cuDNN, which lays the
map out channels-first and back: twice the time.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pixelwise(nn.Linear):
    """The same linear map of every pixel: (N, H, W, in) to (N, H, W, out)."""

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            return super().forward(x)
        weight = self.weight[:, :, None, None]
        return F.conv2d(x.permute(0, 3, 1, 2), weight, self.bias).permute(0, 2, 3, 1)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution: (N, in, H, W) to (N, out, H, W), both channels-last."""

    same_as: ClassVar[type[nn.Module]] = nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_cuda:
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class Chain(nn.Sequential):
    """Layers one after the other, of which a batch norm after a convolution goes into its weights in inference.

    On a CPU, and at each call: a pass over the weights instead of one over the map. Layers that somebody has hooked are
    called one by one, so that the hooks are.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or x.is_cuda:
            return super().forward(x)
        done = None
        for layer, after in pairwise([*self, None]):
            if layer is done:
                continue
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d) and _join(layer, after):
                x, done = _joined(layer, after, x), after
            else:
                x = layer(x)
        return x


def _join(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> bool:
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in (layer, norm))
    return not (hooked or norm.training)


def _joined(layer: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    mean = norm.running_mean if layer.bias is None else norm.running_mean - layer.bias
    weight, bias = layer.weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale
    return F.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def conv_bn(inward: int, outward: int, kernel: int, stride: int = 1) -> Chain:
    """Convolution with bias and "same" padding, then batch norm."""
    form = Pointwise if kernel == 1 else nn.Conv2d
    return Chain(form(inward, outward, kernel, stride, kernel // 2), nn.BatchNorm2d(outward))
