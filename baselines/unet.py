"""U-Net: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation".

MICCAI 2015, arXiv:1505.04597, doi:10.1007/978-3-319-24574-4_28.

Size with 3 input channels and 1 class at 224x224: 31.04 M parameters, 36.9 G multiply-adds. The paper prints neither;
these are the counts of the form with widths 64 to 1024 that later papers compare with.

What differs from the paper:
- convolutions are padded by 1, so the logits have the input's size and the skips need no cropping (572 -> 388 there);
- batch norm follows every 3x3 convolution, which therefore has no bias (it would cancel);
- no dropout at the end of the encoder;
- one logit a class, where the paper has a two-way softmax.
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
        raise bad_size("unet", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Draw weights with a deviation of sqrt(2 / fan-in), the paper's rule for convolutions with ReLU.

    PyTorch counts an up-convolution's fan as 4 x out = 2 x in, so it gets sqrt(1 / in): right, for no ReLU follows it.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class DoubleConv(nn.Sequential):
    """Twice: 3x3 convolution, batch norm, ReLU. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    """Double the size with a 2x2 up-convolution, join the skip, convolve twice."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.conv = DoubleConv(2 * out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, out, 2H, 2W) -> (N, out, 2H, 2W)."""
        return self.conv(torch.cat([skip, self.up(x)], dim=1))


class UNet(nn.Module):
    """Four halvings, four doublings, a skip at every size. (N, in_channels, H, W) -> (N, classes, H, W)."""

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
    """A U-Net with random weights; it takes every size that divides by 16, so `image_size` changes nothing."""
    return UNet(in_channels, classes)
