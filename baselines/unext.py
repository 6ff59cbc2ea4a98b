"""UNeXt: Valanarasu, Patel, "UNeXt: MLP-based Rapid Medical Image Segmentation Network".

MICCAI 2022, arXiv:2203.04967, doi:10.1007/978-3-031-16443-9_3. Reference code: jeya-maria-jose/UNeXt-pytorch.

Size with 3 input channels and 1 class at 224x224: 1.47 M parameters, 0.44 G multiply-adds. Published are 1.47 M and
0.57 GFLOPs; those are multiply-adds at 256x256, where this file has 0.576 G.

What differs from the reference code:
- a one-channel image has a one-channel first layer; the reference's is fixed at three;
- the tokens stay a map (N, H, W, C), where the reference flattens them and folds them up again; same function.

What is as in the reference code, though the paper's text or a reader might have it otherwise:
- the first two widths are 16 and 32, which give the published count; the text says 32 and 64, which would be 1.58 M;
- token levels halve the size with the strided convolution that makes the tokens, not by pooling;
- the features shift along the height before the first linear layer and along the width before the second;
- pooling comes before the ReLU on the way down, doubling before the ReLU on the way up; skips are added;
- the linear layers keep the width (an expansion of 1), and there is neither dropout nor stochastic depth;
- convolutions before a batch norm keep their bias, for the published count includes it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import bad_size

CONV_WIDTHS = (16, 32, 128)
TOKEN_WIDTHS = (160, 256)
WIDTHS = CONV_WIDTHS + TOKEN_WIDTHS
DIVISOR = 2 ** len(WIDTHS)
REACH = 2  # the channels are shifted by -2, -1, 0, 1 and 2 positions, a fifth of them each


def check_size(x: Tensor) -> None:
    """Refuse sides that the five halvings cannot divide: the skips would not fit what comes up."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("unext", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Draw the weights of the token stages; the convolutional stages keep PyTorch's start, as in the reference code.

    A convolution's deviation is sqrt(2 / fan-out), the fan-out counted within a group.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def shift(x: Tensor, axis: int) -> Tensor:
    """Move each fifth of the channels by its own number of positions along `axis`; zeros come in at the border.

    (N, H, W, C) -> (N, H, W, C), with axis 1 for the height and 2 for the width.
    """
    margins = [0, 0] * (3 - axis) + [REACH, REACH]  # F.pad counts the axes from the last
    fifths = F.pad(x, margins).chunk(2 * REACH + 1, dim=-1)
    steps = range(-REACH, REACH + 1)
    moved = [fifth.narrow(axis, REACH - step, x.shape[axis]) for step, fifth in zip(steps, fifths, strict=True)]
    return torch.cat(moved, dim=-1)


class ShiftedMLP(nn.Module):
    """Shift along the height, mix the channels, convolve depthwise, shift along the width, mix again.

    The linear layers see one position each; the shifts bring them their neighbors' features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.second = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        x = self.first(shift(x, axis=1))
        x = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.second(shift(F.gelu(x), axis=2))


class TokenizedMLP(nn.Module):
    """A shifted MLP on normalized tokens, added to them, and a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_before = nn.LayerNorm(channels)
        self.mlp = ShiftedMLP(channels)
        self.norm_after = nn.LayerNorm(channels)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        x = x.permute(0, 2, 3, 1)
        x = self.norm_after(x + self.mlp(self.norm_before(x)))
        return x.permute(0, 3, 1, 2)


class ConvDown(nn.Sequential):
    """Convolve, normalize, halve the size. (N, in, H, W) -> (N, out, H / 2, W / 2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
        )


class TokenDown(nn.Module):
    """Make tokens of overlapping 3x3 patches at every second position, and mix them."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(out_channels)
        self.mix = TokenizedMLP(out_channels)
        self.embed.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / 2, W / 2)."""
        tokens = self.norm(self.embed(x).permute(0, 2, 3, 1))
        return self.mix(tokens.permute(0, 3, 1, 2))


class Up(nn.Module):
    """Convolve, double the size, add the skip; with `tokens`, mix the sum as tokens."""

    def __init__(self, in_channels: int, out_channels: int, tokens: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.mix = TokenizedMLP(out_channels) if tokens else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, out, 2H, 2W) -> (N, out, 2H, 2W)."""
        x = F.interpolate(self.norm(self.conv(x)), scale_factor=2, mode="bilinear")
        return self.mix(F.relu(x) + skip)


class UNeXt(nn.Module):
    """Three convolutional levels, two token levels, and back. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        before = (in_channels, *WIDTHS[:-1])
        self.encoder = nn.ModuleList(
            ConvDown(before[level], width) if width in CONV_WIDTHS else TokenDown(before[level], width)
            for level, width in enumerate(WIDTHS)
        )
        # The two deepest sums, of 160 and 128 channels, are mixed as tokens: as many as the encoder's token levels.
        self.decoder = nn.ModuleList(
            Up(WIDTHS[level + 1], WIDTHS[level], tokens=level >= len(CONV_WIDTHS) - 1)
            for level in reversed(range(len(WIDTHS) - 1))
        )
        self.last = nn.Conv2d(WIDTHS[0], WIDTHS[0], 3, padding=1)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        skips: list[Tensor] = []
        for block in self.encoder:
            x = block(x)  # (N, WIDTHS[level], H / 2^(level + 1), W / 2^(level + 1))
            skips.append(x)
        skips.pop()  # the deepest features are x itself
        for block in self.decoder:
            x = block(x, skips.pop())
        x = F.interpolate(self.last(x), scale_factor=2, mode="bilinear")  # (N, 16, H, W)
        return self.head(F.relu(x))


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A UNeXt with random weights; it takes every size that divides by 32, so `image_size` changes nothing."""
    return UNeXt(in_channels, classes)
