"""UNet++: Zhou, Siddiquee, Tajbakhsh, Liang, "UNet++: A Nested U-Net Architecture for Medical Image Segmentation".

DLMIA 2018 (a MICCAI workshop), arXiv:1807.10165, doi:10.1007/978-3-030-00889-5_1.

Size with 3 input channels and 1 class at 224x224: 9.16 M parameters, 26.5 G multiply-adds. The paper prints 9.04 M for
its Keras network and no multiply-adds; 9.16 M is the count of the PyTorch form that later papers compare with, with
widths 32 to 512, and that form is what this file builds.

What differs from the paper:
- deep supervision is left out: one head, on the last node of the top row, so that there is one map of logits;
- batch norm follows every 3x3 convolution (its bias is kept, for the published count includes it);
- features are enlarged by bilinear interpolation with aligned corners, not by a transposed convolution.
"""

import torch
from torch import Tensor, nn

from bench.errors import bad_size

WIDTHS = (32, 64, 128, 256, 512)
DEPTH = len(WIDTHS)
DIVISOR = 2 ** (DEPTH - 1)


def check_size(x: Tensor) -> None:
    """Refuse sides that the four halvings cannot divide: neighboring rows would not fit each other."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("unetpp", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Draw weights with a deviation of sqrt(2 / fan-in), which keeps the variance through convolutions with ReLU."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def node_channels(row: int, column: int, in_channels: int) -> int:
    """How many channels enter node (row, column): its whole row so far, and the enlarged node below on the left."""
    if column:
        return column * WIDTHS[row] + WIDTHS[row + 1]
    return WIDTHS[row - 1] if row else in_channels


class DoubleConv(nn.Sequential):
    """Twice: 3x3 convolution, batch norm, ReLU. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNetPlusPlus(nn.Module):
    """A triangle of nodes X(row, column), as the paper names them: column 0 is the encoder, the rest nested decoders.

    Each later column has one node fewer; the last one is X(0, 4), on the full size.
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict(
            {
                f"x{row}{column}": DoubleConv(node_channels(row, column, in_channels), WIDTHS[row])
                for column in range(DEPTH)
                for row in range(DEPTH - column)
            }
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        rows = self._encode(x)
        for column in range(1, DEPTH):
            # From the top down, so that the last entry of the row below is still the column before.
            for row in range(DEPTH - column):
                before = torch.cat([*rows[row], self.up(rows[row + 1][-1])], dim=1)
                rows[row].append(self.nodes[f"x{row}{column}"](before))
        return self.head(rows[0][-1])

    def _encode(self, x: Tensor) -> list[list[Tensor]]:
        """The nodes of column 0, each opening its row: (N, WIDTHS[row], H / 2^row, W / 2^row)."""
        rows: list[list[Tensor]] = []
        for row in range(DEPTH):
            x = self.nodes[f"x{row}0"](self.pool(x) if row else x)
            rows.append([x])
        return rows


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A UNet++ with random weights; it takes every size that divides by 16, so `image_size` changes nothing."""
    return UNetPlusPlus(in_channels, classes)
