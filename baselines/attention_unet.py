"""Attention U-Net: Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas".

MIDL 2018, arXiv:1804.03999.

Size with 3 input channels and 1 class at 224x224: 34.88 M parameters, 50.9 G multiply-adds. The paper's network is
three-dimensional and far narrower; these are the counts of the 2-D form with widths 64 to 1024 that later papers
compare with, and that form is what this file builds.

What differs from the paper:
- two dimensions, and the widths of U-Net;
- the gating signal is enlarged before the gate, not after it, so that gate and skip have one size and the skip is
  never strided; all four skips are gated, where the paper leaves the first alone;
- batch norm in the gates, too; they start half open, where the paper's start open;
- no deep supervision; features are enlarged by nearest-neighbor copies and a 3x3 convolution;
- convolutions before a batch norm keep their bias, for the published count includes it.
"""

import torch
from torch import Tensor, nn

from bench.errors import bad_size

WIDTHS = (64, 128, 256, 512, 1024)
DIVISOR = 2 ** (len(WIDTHS) - 1)


def check_size(x: Tensor) -> None:
    """Refuse sides that the four halvings cannot divide: the skips would not fit what comes up."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("attention_unet", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Draw weights with a deviation of sqrt(2 / fan-in), which keeps the variance through convolutions with ReLU."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def conv_norm(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the size, and a batch norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2),
        nn.BatchNorm2d(out_channels),
    )


class DoubleConv(nn.Sequential):
    """Twice: 3x3 convolution, batch norm, ReLU. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            conv_norm(in_channels, out_channels, 3),
            nn.ReLU(inplace=True),
            conv_norm(out_channels, out_channels, 3),
            nn.ReLU(inplace=True),
        )


class UpConv(nn.Sequential):
    """Double the size by copying, then convolve. (N, in, H, W) -> (N, out, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            conv_norm(in_channels, out_channels, 3),
            nn.ReLU(inplace=True),
        )


class AttentionGate(nn.Module):
    """Weigh each position of a skip by how well it agrees with the decoder's features there (additive attention)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.from_gate = conv_norm(channels, hidden, 1)
        self.from_skip = conv_norm(channels, hidden, 1)
        self.relu = nn.ReLU(inplace=True)
        self.weight = nn.Sequential(conv_norm(hidden, 1, 1), nn.Sigmoid())

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        """Two (N, C, H, W) -> the skip, weighted: (N, C, H, W)."""
        agreement = self.relu(self.from_gate(gate) + self.from_skip(skip))  # (N, C / 2, H, W)
        return skip * self.weight(agreement)  # the weights are (N, 1, H, W)


class Up(nn.Module):
    """Double the size, gate the skip with the result, join the two, convolve twice."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = UpConv(in_channels, out_channels)
        self.gate = AttentionGate(out_channels)
        self.conv = DoubleConv(2 * out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, out, 2H, 2W) -> (N, out, 2H, 2W)."""
        x = self.up(x)
        return self.conv(torch.cat([self.gate(x, skip), x], dim=1))


class AttentionUNet(nn.Module):
    """A U-Net with a gate on every skip. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            DoubleConv(before, after) for before, after in zip((in_channels, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(
            Up(deep, shallow) for deep, shallow in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(self.pool(x) if level else x)  # (N, WIDTHS[level], H / 2^level, W / 2^level)
            skips.append(x)
        skips.pop()  # the deepest features are x itself
        for block in self.decoder:
            x = block(x, skips.pop())
        return self.head(x)


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """An Attention U-Net with random weights; it takes every size that divides by 16, whatever `image_size` says."""
    return AttentionUNet(in_channels, classes)
