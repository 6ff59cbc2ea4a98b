"""MALUNet: Ruan et al., "MALUNet: A Multi-Attention and Light-weight UNet for Skin Lesion Segmentation".

BIBM 2022, arXiv:2211.01784. Reference code: JCruan519/MALUNet.

Size with 3 input channels and 1 class at 224x224: 0.178 M parameters, 0.069 G multiply-adds. Published are 0.175 M
and 0.083 GFLOPs. The former leaves out the 2,912 parameters of the group norms: with them it is 177,943, without
175,031. The latter is the multiply-adds of the convolutions at 256x256; with norms and interpolation they are 0.090 G.

What differs from the reference code:
- raw logits come out, where the reference ends in a sigmoid;
- the two memories of an external attention start as each other's transpose and then learn apart. The reference builds
  them on one storage, which moving the network to a GPU splits.

What is as in the reference code, though a reader might expect otherwise:
- the deepest level keeps the size of the one before it: five halvings for six levels;
- the bridge weighs the five skips only; the deepest level goes on from the features before the bridge;
- features are enlarged bilinearly with aligned corners, the logits too, from half the size;
- there is no deep supervision.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import bad_size

WIDTHS = (8, 16, 24, 32, 48, 64)
CONV_LEVELS = 3  # the levels below have the attention blocks
DIVISOR = 2 ** (len(WIDTHS) - 1)
GROUPS = 4  # of every group norm, and of the dilated convolutions
DILATIONS = (7, 5, 2, 1)
MEMORY = 4  # an external memory has four cells a channel


def check_size(x: Tensor) -> None:
    """Refuse sides that the five halvings cannot divide: the skips would not fit what comes up."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("malunet", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Convolutions get a deviation of sqrt(2 / fan-out), the fan-out counted within a group; linear layers 0.02."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv1d | nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


def separable(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    """A depthwise convolution, a group norm, a 1x1 convolution. (N, in, H, W) -> (N, out, H, W)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, kernel, padding=kernel // 2, groups=in_channels),
        nn.GroupNorm(GROUPS, in_channels),
        nn.Conv2d(in_channels, out_channels, 1),
    )


class GatedAttention(nn.Module):
    """Weigh features by a gate, both taken from x by separable convolutions of two sizes, and add a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(separable(in_channels, in_channels, 3), nn.Sigmoid())
        self.features = nn.Sequential(separable(in_channels, in_channels, 5), nn.GELU())
        self.out = nn.Sequential(separable(in_channels, out_channels, 3), nn.GELU())
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W)."""
        return self.out(self.gate(x) * self.features(x)) + self.shortcut(x)


def dilated_conv(channels: int, dilation: int) -> nn.Conv2d:
    """A dilated depthwise 3x3 convolution. (N, C, H, W) -> (N, C, H, W)."""
    return nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels)


class DilatedGatedAttention(nn.Module):
    """DGA: a depthwise convolution with its own dilation for each quarter of the channels, then gated attention."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        quarter = in_channels // GROUPS
        self.dilated = nn.ModuleList(dilated_conv(quarter, dilation) for dilation in DILATIONS)
        self.mix = nn.Sequential(nn.GroupNorm(GROUPS, in_channels), nn.Conv2d(in_channels, in_channels, 1), nn.GELU())
        self.attention = GatedAttention(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W)."""
        quarters = zip(self.dilated, x.chunk(GROUPS, dim=1), strict=True)
        x = torch.cat([conv(quarter) for conv, quarter in quarters], dim=1)
        return self.attention(self.mix(x))


class InvertedExternalAttention(nn.Module):
    """IEA: attention to a learned memory, the same for all images, wider than the features ("inverted")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        cells = MEMORY * channels
        self.query = nn.Conv2d(channels, channels, 1)
        self.keys = nn.Conv2d(channels, cells, 1, bias=False)
        self.values = nn.Conv2d(cells, channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, channels)

    def transpose_memory(self) -> None:
        """Start the keys as the transpose of the values."""
        with torch.no_grad():
            self.keys.weight.copy_(self.values.weight.transpose(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        scores = self.keys(self.query(x)).flatten(2)  # (N, cells, H * W)
        weights = scores.softmax(dim=-1)  # over the positions, then shares of the cells at every position
        weights = weights / (weights.sum(dim=1, keepdim=True) + 1e-9)
        read = self.values(weights.unflatten(2, x.shape[-2:]))
        return F.gelu(self.norm(self.out(read)) + x)


class SpatialAttention(nn.Module):
    """SAB: one wide dilated convolution, shared by all skips, tells from a skip's channel mean and maximum where."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=9, dilation=3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> weights (N, 1, H, W)."""
        pooled = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return self.conv(pooled).sigmoid()


class ChannelAttention(nn.Module):
    """CAB: from the means of all channels of all skips, one weight for every channel of every skip."""

    def __init__(self) -> None:
        super().__init__()
        total = sum(WIDTHS[:-1])
        self.local = nn.Conv1d(1, 1, 3, padding=1, bias=False)  # along the channels
        self.overall = nn.ModuleList(nn.Linear(total, width) for width in WIDTHS[:-1])

    def forward(self, skips: list[Tensor]) -> list[Tensor]:
        """Five (N, WIDTHS[level], H, W), each with its own H and W -> five (N, WIDTHS[level], 1, 1)."""
        means = torch.cat([skip.mean(dim=(2, 3)) for skip in skips], dim=1)  # (N, 128)
        means = self.local(means[:, None])[:, 0]
        return [linear(means).sigmoid()[:, :, None, None] for linear in self.overall]


class AttentionBridge(nn.Module):
    """Weigh the skips by position, then by channel, with a shortcut around each step."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = SpatialAttention()
        self.channel = ChannelAttention()

    def forward(self, skips: list[Tensor]) -> list[Tensor]:
        """Five maps -> five maps of the same shapes."""
        weighed = [self.spatial(skip) * skip for skip in skips]
        joined = [skip + part for skip, part in zip(skips, weighed, strict=True)]
        weights = self.channel(joined)
        return [weight * x + part for weight, x, part in zip(weights, joined, weighed, strict=True)]


class Down(nn.Sequential):
    """A level's block, a group norm, half the size. (N, in, H, W) -> (N, WIDTHS[level], H / 2, W / 2)."""

    def __init__(self, in_channels: int, level: int) -> None:
        width = WIDTHS[level]
        if level < CONV_LEVELS:
            block: nn.Module = nn.Conv2d(in_channels, width, 3, padding=1)
        else:
            block = nn.Sequential(InvertedExternalAttention(in_channels), DilatedGatedAttention(in_channels, width))
        super().__init__(block, nn.GroupNorm(GROUPS, width), nn.MaxPool2d(2), nn.GELU())


class Up(nn.Sequential):
    """A level's block, a group norm, twice the size but at the deepest level.

    (N, WIDTHS[level + 1], H, W) -> (N, WIDTHS[level], 2H, 2W).
    """

    def __init__(self, level: int) -> None:
        before, width = WIDTHS[level + 1], WIDTHS[level]
        if level < CONV_LEVELS - 1:
            block: nn.Module = nn.Conv2d(before, width, 3, padding=1)
        else:
            block = nn.Sequential(DilatedGatedAttention(before, width), InvertedExternalAttention(width))
        deepest = level == len(WIDTHS) - 2
        enlarge = nn.Identity() if deepest else nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        super().__init__(block, nn.GroupNorm(GROUPS, width), enlarge, nn.GELU())


class MALUNet(nn.Module):
    """A narrow U-Net with attention in its depth and on its skips. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        before = (in_channels, *WIDTHS)
        self.encoder = nn.ModuleList(Down(before[level], level) for level in range(len(WIDTHS) - 1))
        self.deepest = nn.Sequential(
            InvertedExternalAttention(WIDTHS[-2]), DilatedGatedAttention(WIDTHS[-2], WIDTHS[-1]), nn.GELU()
        )
        self.bridge = AttentionBridge()
        self.decoder = nn.ModuleList(Up(level) for level in reversed(range(len(WIDTHS) - 1)))
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.apply(init_weights)
        for module in self.modules():
            if isinstance(module, InvertedExternalAttention):
                module.transpose_memory()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        skips: list[Tensor] = []
        for block in self.encoder:
            x = block(x)  # (N, WIDTHS[level], H / 2^(level + 1), W / 2^(level + 1))
            skips.append(x)
        x = self.deepest(x)  # (N, 64, H / 32, W / 32)
        skips = self.bridge(skips)
        for block in self.decoder:
            x = block(x) + skips.pop()
        return self.enlarge(self.head(x))


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A MALUNet with random weights; it takes every size that divides by 32, so `image_size` changes nothing."""
    return MALUNet(in_channels, classes)
