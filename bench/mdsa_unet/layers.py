"""Convolutions and batch norms, each computed the cheapest way for the device.

Maps are channels-last in memory, so that a 1x1 convolution and a linear map of every pixel are the same matrix product.
On a CPU torch computes a convolution by oneDNN and a linear layer by MKL, which takes longer on AMD's processors. On
CUDA it computes a linear layer by cuBLAS, which adds the bias on the way, and a convolution in float32 by cuDNN, which
converts the map to channels-first and back and takes twice the time.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

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

    def __init__(self, inward: int, outward: int, bias: bool = True) -> None:
        super().__init__(inward, outward, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_cuda:
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


class Depthwise(nn.Conv2d):
    """A convolution of each channel by itself, with "same" padding: (N, dim, H, W) to the same."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__(dim, dim, kernel, padding=kernel // 2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda or self.bias is None or not torch.is_grad_enabled():
            return super().forward(x)
        # oneDNN takes a third of the weights' time for the gradient of the bias; for a sum it takes none.
        return self._conv_forward(x, self.weight, None).add_(self.bias[:, None, None])


class NormOfPart(nn.BatchNorm2d):
    """Batch norm of some of a map's channels, copied first, which takes a fifth of the time for a strided map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.is_cuda else x.contiguous(memory_format=torch.channels_last))


class Position(nn.Conv2d):
    """The map plus a 3x3 convolution of each of its channels: (N, dim, H, W) to the same."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).add_(x)

    @torch.no_grad()
    def folded_form(self) -> nn.Module:
        """One convolution, whose middle weights also add the map itself."""
        plain = nn.utils.skip_init(nn.Conv2d, self.in_channels, self.in_channels, 3, padding=1, groups=self.groups)
        weight = self.weight.clone()
        weight[:, 0, 1, 1] += 1
        plain.weight, plain.bias = nn.Parameter(weight), self.bias
        return plain


class Chain(nn.Sequential):
    """A sequence of layers that in inference on a CPU merges a batch norm into the convolution before it.

    This is done at each call, because a pass over the weights is cheaper than one over the map. Layers with hooks are
    called one by one, so that their hooks run.
    """

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or x.is_cuda:
            return super().forward(x)
        done = None
        for layer, after in pairwise([*self, None]):
            if layer is done:
                done = None
            elif after is not None and _can_merge(layer, after):
                x, done = _merged(layer, after, x), after
            else:
                x = layer(x)
        return x


def _can_merge(layer: Any, norm: Any) -> bool:
    """Whether `_merged` gives what the two layers give; half precision would round the product of weight and slope."""
    known = type(layer) in (nn.Conv2d, Pointwise) and type(norm) is nn.BatchNorm2d
    if not known or norm.training or not norm.affine or norm.running_mean is None or layer.padding_mode != "zeros":
        return False
    if any(part._forward_hooks or part._forward_pre_hooks for part in (layer, norm)):
        return False
    return layer.weight.dtype == norm.weight.dtype and layer.weight.dtype in (torch.float32, torch.float64)


def _merged(layer: Any, norm: Any, x: Tensor) -> Tensor:
    slope, shift = slope_and_shift(norm)
    weight, bias = layer.weight * slope.view(-1, 1, 1, 1), shift if layer.bias is None else shift + layer.bias * slope
    return F.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def slope_and_shift(norm: Any) -> tuple[Tensor, Tensor]:
    """The slope and shift by which a batch norm maps each channel in inference."""
    slope = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return slope, norm.bias - norm.running_mean * slope


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation to a size, with the outer corners of the images aligned, not the pixels' centers."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def dense_gradient(maps: Tensor) -> Tensor:
    """The same maps, for concatenation: their gradient is copied to be dense, not a part of a larger one.

    On a CPU the gradients of batch norm and of interpolation take five times as long for such a part.
    """
    if maps.is_cuda or not torch.is_grad_enabled():
        return maps
    passed: Tensor = _DenseGradient.apply(maps)
    return passed


class _DenseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        return maps.view_as(maps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous(memory_format=torch.channels_last)


def conv_bn(inward: int, outward: int, kernel: int, stride: int = 1) -> Chain:
    """Convolution with bias and "same" padding, then batch norm."""
    if kernel == stride == 1:
        return Chain(Pointwise(inward, outward), nn.BatchNorm2d(outward))
    return Chain(nn.Conv2d(inward, outward, kernel, stride, kernel // 2), nn.BatchNorm2d(outward))
