"""ResUNet++: Jha et al., "ResUNet++: An Advanced Architecture for Medical Image Segmentation".

IEEE ISM 2019, arXiv:1911.07067, doi:10.1109/ISM46123.2019.00049. Reference code: DebeshJha/ResUNetPlusPlus, whose
PyTorch file this network follows in layers and widths.

Size with 3 input channels and 1 class at 224x224: 4.06 M parameters, 12.1 G multiply-adds. The comparison of
GIVTED-Net (IEEE Access 2024, reshalfahsi/GIVTED-Net) prints 4.06 M and 24.28 G operations, which is two a multiply-add.
Other PyTorch code (rishikksh20/ResUnet) has twice these widths, and other shortcuts and attention; it is not this one.

What differs from the reference code:
- nothing is computed otherwise: squeeze-and-excitation is timm's, and the head gives logits, as in the PyTorch file.

What is as in the reference code, though one may expect otherwise:
- the attention has no sigmoid: the features are multiplied by the plain result of a convolution;
- the squeeze-and-excitation follows the sum with the shortcut, in the decoder as well;
- the pyramid adds its branches, rates 1, 6, 12 and 18, with a batch norm but no ReLU, and has no pooled branch.
"""

from itertools import pairwise

import torch
from timm.layers import SqueezeExcite
from torch import Tensor, nn

from bench.errors import bad_size

WIDTHS = (16, 32, 64, 128, 256)  # four encoder levels, and the bridge on the grid of the last
DIVISOR = 2 ** (len(WIDTHS) - 2)
RATES = (1, 6, 12, 18)
REDUCTION = 8  # channels to each hidden unit of a squeeze-and-excitation


def check_size(x: Tensor) -> None:
    """Refuse sides that the three halvings cannot divide: the skips would not fit what comes up."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("resunetpp", height, width, DIVISOR)


def activated_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Batch norm, ReLU and then a 3x3 convolution, the order of full pre-activation."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1),
    )


class ResidualBlock(nn.Module):
    """Two convolutions beside a 1x1 shortcut, then squeeze-and-excitation on their sum.

    The stem, which sees the raw image, has no batch norm and ReLU before its first convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, stem: bool = False) -> None:
        super().__init__()
        first = (
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
            if stem
            else activated_conv(in_channels, out_channels, stride)
        )
        self.convs = nn.Sequential(first, activated_conv(out_channels, out_channels))
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride),
            nn.BatchNorm2d(out_channels),
        )
        self.excite = SqueezeExcite(out_channels, rd_channels=out_channels // REDUCTION, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return self.excite(self.convs(x) + self.shortcut(x))


class AtrousPyramid(nn.Module):
    """Look at four distances with dilated 3x3 convolutions and mix their sum. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 3, padding=rate, dilation=rate),
                nn.BatchNorm2d(out_channels),
            )
            for rate in RATES
        )
        self.mix = nn.Conv2d(out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W)."""
        nearest, near, far, farthest = (branch(x) for branch in self.branches)
        return self.mix(nearest + near + far + farthest)


class Attention(nn.Module):
    """Weigh the decoder's features by what they and the skip, on twice the size, say together."""

    def __init__(self, channels: int, skip_channels: int) -> None:
        super().__init__()
        self.from_skip = nn.Sequential(activated_conv(skip_channels, channels), nn.MaxPool2d(2))
        self.from_features = activated_conv(channels, channels)
        self.weight = activated_conv(channels, channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, C, H, W) and (N, S, 2H, 2W) -> (N, C, H, W)."""
        return x * self.weight(self.from_skip(skip) + self.from_features(x))


class Up(nn.Module):
    """Weigh the features, double their size by copying, join the skip, and run a residual block."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.attention = Attention(in_channels, skip_channels)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.block = ResidualBlock(in_channels + skip_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, S, 2H, 2W) -> (N, out, 2H, 2W)."""
        return self.block(torch.cat([self.up(self.attention(x, skip)), skip], dim=1))


class ResUNetPlusPlus(nn.Module):
    """Residual blocks in a U, a pyramid at its bottom and its end. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = ResidualBlock(in_channels, WIDTHS[0], stem=True)
        self.encoder = nn.ModuleList(ResidualBlock(before, after, stride=2) for before, after in pairwise(WIDTHS[:4]))
        self.bridge = AtrousPyramid(WIDTHS[3], WIDTHS[4])
        self.decoder = nn.ModuleList(
            Up(deep, skip, out) for deep, skip, out in zip(WIDTHS[:1:-1], WIDTHS[2::-1], WIDTHS[3:0:-1], strict=True)
        )
        self.pyramid = AtrousPyramid(WIDTHS[1], WIDTHS[0])
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        x = self.stem(x)
        skips: list[Tensor] = []
        for block in self.encoder:
            skips.append(x)  # (N, WIDTHS[level], H / 2^level, W / 2^level)
            x = block(x)
        x = self.bridge(x)  # (N, 256, H / 8, W / 8)
        for block in self.decoder:
            x = block(x, skips.pop())
        return self.head(self.pyramid(x))


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A ResUNet++ with random weights (PyTorch's own start); it takes every size that divides by 8."""
    return ResUNetPlusPlus(in_channels, classes)
