"""UNet 3+: Huang et al., "UNet 3+: A Full-Scale Connected UNet for Medical Image Segmentation".

ICASSP 2020, arXiv:2004.08790, doi:10.1109/ICASSP40776.2020.9053405. Reference code: ZJUGiveLab/UNet-Version.

Size with 3 input channels and 1 class at 224x224: 26.99 M parameters, 151.9 G multiply-adds. Published: 26.97 M,
without the four heads of deep supervision (17,860 parameters); FengheTan9/Medical-Image-Segmentation-Benchmarks prints
that and 199.74 G at 256x256, where this file has 198.5 G.

What differs from the paper:
- the classification-guided module, which blanks the maps of an image without the organ, is left out;
- the heads give logits; the sigmoid belongs to the loss.

What is as in the reference code, though one may expect otherwise:
- convolutions keep their bias before a batch norm, for the published count includes it;
- features are enlarged bilinearly before their channels are reduced, so most of the work is on the largest grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import bad_size

WIDTHS = (64, 128, 256, 512, 1024)
DIVISOR = 2 ** (len(WIDTHS) - 1)
BRANCH = 64  # channels that each of the five scales brings to a decoder stage
FUSED = BRANCH * len(WIDTHS)


def check_size(x: Tensor) -> None:
    """Refuse sides that the four halvings cannot divide: the five scales would not fit each other."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("unet3plus", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Draw as the reference code does: sqrt(2 / fan-in) for convolutions, about 1 for the scales of batch norms."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, mean=1.0, std=0.02)


def rescale(x: Tensor, halvings: int) -> Tensor:
    """Max-pool to 1 / 2^halvings of the size; enlarge bilinearly where `halvings` is negative."""
    if halvings > 0:
        return F.max_pool2d(x, 2**halvings)
    if halvings < 0:
        return F.interpolate(x, scale_factor=float(2**-halvings), mode="bilinear", align_corners=False)
    return x


class ConvNorm(nn.Sequential):
    """3x3 convolution, batch norm, ReLU. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class FullScaleStage(nn.Module):
    """A decoder stage: bring the features of all five scales to its own grid, equally many of each, and fuse them."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level
        encoder = WIDTHS[: level + 1]
        decoder = (FUSED,) * (len(WIDTHS) - 2 - level)
        channels = (*encoder, *decoder, WIDTHS[-1])
        self.branches = nn.ModuleList(ConvNorm(before, BRANCH) for before in channels)
        self.fuse = ConvNorm(FUSED, FUSED)

    def forward(self, scales: list[Tensor]) -> Tensor:
        """Five maps, each (N, C, H / 2^i, W / 2^i) -> (N, FUSED, H / 2^level, W / 2^level)."""
        branches = enumerate(zip(self.branches, scales, strict=True))
        same = [branch(rescale(x, self.level - i)) for i, (branch, x) in branches]
        return self.fuse(torch.cat(same, dim=1))


class UNet3Plus(nn.Module):
    """A U-Net whose decoder stages see every scale. (N, in_channels, H, W) -> (N, classes, H, W).

    In training there are five maps of logits, all of the input's size: the main one, and those of the coarser scales.
    """

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            nn.Sequential(ConvNorm(before, after), ConvNorm(after, after))
            for before, after in zip((in_channels, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(FullScaleStage(level) for level in range(len(WIDTHS) - 1))
        decoded = (*(FUSED,) * len(self.decoder), WIDTHS[-1])
        self.heads = nn.ModuleList(nn.Conv2d(channels, classes, 3, padding=1) for channels in decoded)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, in_channels, H, W) -> (N, classes, H, W); in training a tuple of five of them, the main one first."""
        check_size(x)
        scales: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(self.pool(x) if level else x)  # (N, WIDTHS[level], H / 2^level, W / 2^level)
            scales.append(x)
        for level in reversed(range(len(self.decoder))):
            # From the deepest stage up: what lies below is decoded already, the rest still is the encoder's.
            scales[level] = self.decoder[level](scales)
        if not self.training:
            return self.heads[0](scales[0])
        return tuple(rescale(head(x), -level) for level, (head, x) in enumerate(zip(self.heads, scales, strict=True)))


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A UNet 3+ with random weights; it takes every size that divides by 16, so `image_size` changes nothing."""
    return UNet3Plus(in_channels, classes)
