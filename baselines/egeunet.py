"""EGE-UNet: Ruan et al., "EGE-UNet: an Efficient Group Enhanced UNet for skin lesion segmentation".

MICCAI 2023, arXiv:2307.08473, doi:10.1007/978-3-031-43901-8_46. Reference code: JCruan519/EGE-UNet.

Size with 3 input channels and 1 class at 224x224: 0.053 M parameters, 0.065 G multiply-adds. Published are 0.053 M
and 0.072 GFLOPs; the latter is the multiply-adds of the convolutions at 256x256, the size of the reference's training;
with norms and interpolation they are 0.085 G.

Deep supervision: in training mode the main logits come first, then five auxiliary maps at the input's size, from the
finest decoder level to the deepest; the reference code weighs their losses 0.5, 0.4, 0.3, 0.2 and 0.1 to the main 1.

What differs from the reference code:
- raw logits come out, where the reference ends in sigmoids, and in eval mode the main map alone;
- with several classes, an auxiliary map has as many channels, all of which join every group of a bridge. The reference
  has one mask whatever the number of classes; with one class the two are the same.

What is as in the reference code, though a reader might expect otherwise:
- the deepest level keeps the size of the one before it: five halvings for six levels;
- the masks that enter the bridges are logits, not probabilities;
- everything is enlarged bilinearly with aligned corners, the logits too, from half the size.
"""

import math

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import bad_size

WIDTHS = (8, 16, 24, 32, 48, 64)
CONV_LEVELS = 3  # the levels below have the Hadamard attention
DIVISOR = 2 ** (len(WIDTHS) - 1)
GROUPS = 4  # of the group norms, the Hadamard attention and the bridges
DILATIONS = (1, 2, 5, 7)
SIDE = 8  # a learned map of the Hadamard attention is 8x8 and is enlarged to the features


def check_size(x: Tensor) -> None:
    """Refuse sides that the five halvings cannot divide: the decoder would not come back to the input's size."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("egeunet", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Draw weights with a deviation of sqrt(2 / fan-out); in one dimension the fan-out is that of all groups."""
    if isinstance(module, nn.Conv1d):
        nn.init.normal_(module.weight, std=math.sqrt(2 / (module.kernel_size[0] * module.out_channels)))
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinearly, the corners on the corners."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def axis_weights(channels: int) -> nn.Sequential:
    """From a learned line to its weights, with convolutions along it. (1, C, L) -> (1, C, L)."""
    return nn.Sequential(
        nn.Conv1d(channels, channels, 3, padding=1, groups=channels),
        nn.GELU(),
        nn.Conv1d(channels, channels, 1),
    )


class HadamardAttention(nn.Module):
    """GHPA: multiply three quarters of the channels by learned maps, of both axes, the height, and the width.

    The maps do not hang on the image, only on its size. The fourth quarter is convolved instead.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        quarter = in_channels // GROUPS
        self.norm_before = LayerNorm2d(in_channels, eps=1e-6)
        self.plane = nn.Parameter(torch.ones(1, quarter, SIDE, SIDE))
        self.column = nn.Parameter(torch.ones(1, quarter, SIDE))
        self.row = nn.Parameter(torch.ones(1, quarter, SIDE))
        self.plane_weights = nn.Sequential(
            nn.Conv2d(quarter, quarter, 3, padding=1, groups=quarter),
            nn.GELU(),
            nn.Conv2d(quarter, quarter, 1),
        )
        self.column_weights = axis_weights(quarter)
        self.row_weights = axis_weights(quarter)
        self.local = nn.Sequential(
            nn.Conv2d(quarter, quarter, 1),
            nn.GELU(),
            nn.Conv2d(quarter, quarter, 3, padding=1, groups=quarter),
        )
        self.norm_after = LayerNorm2d(in_channels, eps=1e-6)
        self.out = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels),
            nn.GELU(),
            nn.Conv2d(in_channels, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W)."""
        height, width = int(x.shape[-2]), int(x.shape[-1])
        both, high, wide, rest = self.norm_before(x).chunk(GROUPS, dim=1)
        column = F.interpolate(self.column, size=height, mode="linear", align_corners=True)
        row = F.interpolate(self.row, size=width, mode="linear", align_corners=True)
        parts = [
            both * self.plane_weights(enlarge(self.plane, (height, width))),
            high * self.column_weights(column)[:, :, :, None],
            wide * self.row_weights(row)[:, :, None, :],
            self.local(rest),
        ]
        return self.out(self.norm_after(torch.cat(parts, dim=1)))


def dilated_conv(channels: int, dilation: int) -> nn.Conv2d:
    """A dilated depthwise 3x3 convolution. (N, C, H, W) -> (N, C, H, W)."""
    return nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels)


class AggregationBridge(nn.Module):
    """GAB: join deep features, a skip and the decoder's mask in four groups, each convolved with its own dilation."""

    def __init__(self, deep_channels: int, channels: int, classes: int) -> None:
        super().__init__()
        group = 2 * channels // GROUPS + classes
        self.project = nn.Conv2d(deep_channels, channels, 1)
        self.groups = nn.ModuleList(
            nn.Sequential(LayerNorm2d(group, eps=1e-6), dilated_conv(group, dilation)) for dilation in DILATIONS
        )
        self.out = nn.Sequential(LayerNorm2d(GROUPS * group, eps=1e-6), nn.Conv2d(GROUPS * group, channels, 1))

    def forward(self, deep: Tensor, skip: Tensor, mask: Tensor) -> Tensor:
        """(N, deep, h, w), (N, C, H, W) and (N, classes, H, W) -> (N, C, H, W)."""
        deep = enlarge(self.project(deep), (int(skip.shape[-2]), int(skip.shape[-1])))
        quarters = zip(self.groups, deep.chunk(GROUPS, dim=1), skip.chunk(GROUPS, dim=1), strict=True)
        parts = [conv(torch.cat([low, high, mask], dim=1)) for conv, low, high in quarters]
        return self.out(torch.cat(parts, dim=1))


class Down(nn.Sequential):
    """A level's block, a group norm, half the size. (N, in, H, W) -> (N, WIDTHS[level], H / 2, W / 2)."""

    def __init__(self, in_channels: int, level: int) -> None:
        width = WIDTHS[level]
        if level < CONV_LEVELS:
            block: nn.Module = nn.Conv2d(in_channels, width, 3, padding=1)
        else:
            block = HadamardAttention(in_channels, width)
        super().__init__(block, nn.GroupNorm(GROUPS, width), nn.MaxPool2d(2), nn.GELU())


class Up(nn.Module):
    """A level's block, twice the size but at the deepest level; then a mask, and the bridge with its help."""

    def __init__(self, level: int, classes: int) -> None:
        super().__init__()
        before, width = WIDTHS[level + 1], WIDTHS[level]
        if level < CONV_LEVELS - 1:
            block: nn.Module = nn.Conv2d(before, width, 3, padding=1)
        else:
            block = HadamardAttention(before, width)
        deepest = level == len(WIDTHS) - 2
        double = nn.Identity() if deepest else nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.block = nn.Sequential(block, nn.GroupNorm(GROUPS, width), double, nn.GELU())
        self.mask = nn.Conv2d(width, classes, 1)
        self.bridge = AggregationBridge(before, width, classes)

    def forward(self, x: Tensor, deep: Tensor, skip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decoder features, bridged features (both (N, WIDTHS[level + 1], h, w)) and the skip (N, C, H, W).

        -> decoder features and bridged features of this level, both (N, C, H, W), and the mask (N, classes, H, W).
        """
        x = self.block(x)
        mask = self.mask(x)
        bridged = self.bridge(deep, skip, mask)
        return x + bridged, bridged, mask


class EGEUNet(nn.Module):
    """A very narrow U-Net whose bridges use the decoder's own masks. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        before = (in_channels, *WIDTHS)
        self.encoder = nn.ModuleList(Down(before[level], level) for level in range(len(WIDTHS) - 1))
        self.deepest = nn.Sequential(HadamardAttention(WIDTHS[-2], WIDTHS[-1]), nn.GELU())
        self.decoder = nn.ModuleList(Up(level, classes) for level in reversed(range(len(WIDTHS) - 1)))
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, in_channels, H, W) -> (N, classes, H, W); in training mode six of them, the main one first."""
        check_size(x)
        size = int(x.shape[-2]), int(x.shape[-1])
        skips: list[Tensor] = []
        for block in self.encoder:
            x = block(x)  # (N, WIDTHS[level], H / 2^(level + 1), W / 2^(level + 1))
            skips.append(x)
        x = bridged = self.deepest(x)  # (N, 64, H / 32, W / 32)
        masks: list[Tensor] = []
        for block in self.decoder:
            x, bridged, mask = block(x, bridged, skips.pop())
            masks.append(mask)
        logits = enlarge(self.head(x), size)
        if not self.training:
            return logits
        return (logits, *(enlarge(mask, size) for mask in reversed(masks)))


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """An EGE-UNet with random weights; it takes every size that divides by 32, so `image_size` changes nothing."""
    return EGEUNet(in_channels, classes)
