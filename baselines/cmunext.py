"""CMUNeXt: Tang et al. 2024, a network of convolutions with large kernels.

"CMUNeXt: An Efficient Medical Image Segmentation Network based on Large Kernel and Skip Fusion", ISBI 2024,
arXiv:2308.01239. Reference code: FengheTan9/CMUNeXt.

Size with 3 input channels and 1 class at 224x224: 3.15 M parameters, 5.6 G multiply-adds. The authors' benchmark
(FengheTan9/Medical-Image-Segmentation-Benchmarks) prints 3.14 M and 7.41 G at 256x256, where this file has 7.3 G.

What differs from the reference code:
- nothing: this is its middle size, which has no suffix there; the weights have PyTorch's own start, as there.

What is as in the reference code, though one may expect otherwise:
- activations come before the batch norm in the encoder blocks and the fusion, after it in the other convolutions;
- convolutions keep their bias before a batch norm, for the published count includes it;
- only the depthwise convolution has a shortcut, the inverted bottleneck after it has none.
"""

import torch
from torch import Tensor, nn

from bench.errors import bad_size

WIDTHS = (16, 32, 128, 160, 256)
DEPTHS = (1, 1, 1, 3, 1)
KERNELS = (3, 3, 7, 7, 7)
EXPANSION = 4
DIVISOR = 2 ** (len(WIDTHS) - 1)


def check_size(x: Tensor) -> None:
    """Refuse sides that the four halvings cannot divide: the skips would not fit what comes up."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("cmunext", height, width, DIVISOR)


def conv_gelu(in_channels: int, out_channels: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, GELU, batch norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, groups=groups),
        nn.GELU(),
        nn.BatchNorm2d(out_channels),
    )


def conv_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def bottleneck(in_channels: int, out_channels: int) -> nn.Sequential:
    """An inverted bottleneck: to four times as many channels as come out, and back."""
    wide = EXPANSION * out_channels
    return nn.Sequential(conv_gelu(in_channels, wide), conv_gelu(wide, out_channels))


class LargeKernelLayer(nn.Module):
    """Mix places with a large depthwise convolution beside a shortcut, then channels. (N, C, H, W) -> the same."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.places = conv_gelu(channels, channels, kernel, groups=channels)
        self.channels = bottleneck(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return self.channels(self.places(x) + x)


class Stage(nn.Sequential):
    """An encoder level: its large-kernel layers, then a convolution to its width. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, depth: int, kernel: int) -> None:
        super().__init__(
            *(LargeKernelLayer(in_channels, kernel) for _ in range(depth)),
            conv_relu(in_channels, out_channels),
        )


class Up(nn.Module):
    """Double the size, join the skip and fuse the two: each apart in its own group first, then across channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"),
            conv_relu(in_channels, out_channels),
        )
        self.fuse = nn.Sequential(
            conv_gelu(2 * out_channels, 2 * out_channels, kernel=3, groups=2),
            bottleneck(2 * out_channels, out_channels),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, out, 2H, 2W) -> (N, out, 2H, 2W)."""
        return self.fuse(torch.cat([skip, self.up(x)], dim=1))


class CMUNeXt(nn.Module):
    """A light U-Net with large depthwise kernels. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = conv_relu(in_channels, WIDTHS[0])
        self.encoder = nn.ModuleList(
            Stage(before, after, depth, kernel)
            for before, after, depth, kernel in zip((WIDTHS[0], *WIDTHS[:-1]), WIDTHS, DEPTHS, KERNELS, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(
            Up(deep, shallow) for deep, shallow in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        x = self.stem(x)
        skips: list[Tensor] = []
        for level, stage in enumerate(self.encoder):
            x = stage(self.pool(x) if level else x)  # (N, WIDTHS[level], H / 2^level, W / 2^level)
            skips.append(x)
        skips.pop()  # the deepest features are x itself
        for block in self.decoder:
            x = block(x, skips.pop())
        return self.head(x)


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A CMUNeXt with random weights; it takes every size that divides by 16, so `image_size` changes nothing."""
    return CMUNeXt(in_channels, classes)
