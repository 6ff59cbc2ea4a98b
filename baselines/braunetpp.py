"""BRAU-Net++: Lan et al., "BRAU-Net++: U-Shaped Hybrid CNN-Transformer Network for Medical Image Segmentation".

2024, arXiv:2401.00722. Reference code: Caipengzhou/BRAU-Netplusplus. Its attention is from Zhu, Wang, Ke, Zhang, Lau,
"BiFormer: Vision Transformer with Bi-Level Routing Attention", CVPR 2023, arXiv:2303.08810.

Size with 3 input channels and 1 class at 224x224: 50.76 M parameters, 17.6 G multiply-adds. Published: 50.76 M and
22.45 G; the reference code counts at 256x256, and does not see the products inside attention. This file has 23.0 G
there, 22.4 G without those products.

What differs from the reference code:
- a region is 32x32 pixels of the image on every level, so that an image of any size has whole regions: 7x7 of them at
  224 and 8x8 at 256, as in the reference, which has their number from its configuration. An image with fewer regions
  than a level routes to keeps them all;
- the weights are random, not those of a BiFormer trained on ImageNet;
- a one-channel image has a one-channel stem; the reference repeats it to three channels.

What is as in the reference code, though one would expect it otherwise:
- no block runs on the deepest map. The reference makes two there (11,865,600 parameters) and never calls them; the
  published count leaves them out, and so does this file;
- a block begins with its first layer norm, on the residual path itself, and runs the same norm again before its
  attention; BiFormer's block does only the latter;
- attention is scaled by the root of the full width, not of a head's.
"""

import torch
from timm.layers import DropPath, trunc_normal_
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import bad_size

WIDTHS = (96, 192, 384, 768)
DEPTHS = (2, 2, 8)  # blocks of a level, in encoder and decoder; the deepest has none
TOP_K = (2, 4, 8)  # regions that a region attends to
HEAD_WIDTH = 32
MLP_RATIO = 3
PATCH = 4
REGION = 32  # pixels of the image
DIVISOR = PATCH * 2 ** (len(WIDTHS) - 1)
DROP_PATH = 0.2
UNMADE = 2  # blocks the reference has on the deepest map; drop rates rise to DROP_PATH at the last of them


def check_size(x: Tensor) -> None:
    """Refuse sides that do not hold whole regions, or that the five halvings cannot divide: both are 32."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("braunetpp", height, width, DIVISOR)


def init_weights(module: nn.Module) -> None:
    """Give linear layers a narrow normal; convolutions keep PyTorch's start, as in the reference code."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def encoder_drop_rates(level: int) -> list[float]:
    """Each block's chance to be skipped in training, rising linearly through the whole encoder."""
    first, last = sum(DEPTHS[:level]), sum(DEPTHS) + UNMADE - 1
    return [DROP_PATH * block / last for block in range(first, first + DEPTHS[level])]


def decoder_drop_rates(level: int) -> list[float]:
    """The same for a decoder stage, through each of which the rate rises anew."""
    return [DROP_PATH * block / (DEPTHS[level] - 1) for block in range(DEPTHS[level])]


def conv_norm(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 3x3 convolution that halves the sides, and a batch norm."""
    return [nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1), nn.BatchNorm2d(out_channels)]


def to_regions(x: Tensor, side: int) -> Tensor:
    """Cut a map (N, H, W, C) into R regions of P = side x side pixels: (N, R, P, C)."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height // side, side, width // side, side, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(n, -1, side * side, channels)


def to_map(x: Tensor, height: int, width: int, side: int) -> Tensor:
    """The reverse of `to_regions`: (N, R, P, C) -> (N, H, W, C)."""
    n, _, _, channels = x.shape
    x = x.reshape(n, height // side, width // side, side, side, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(n, height, width, channels)


def gather_regions(x: Tensor, routes: Tensor) -> Tensor:
    """Of (N, R, P, C) the pixels of the regions that each region is routed to, (N, R, k): (N, R, k * P, C)."""
    n, regions, pixels, channels = x.shape
    index = routes.reshape(n, -1, 1, 1).expand(-1, -1, pixels, channels)
    return x.gather(1, index).reshape(n, regions, -1, channels)


class BiLevelRoutingAttention(nn.Module):
    """Each region chooses the k regions most like it; its pixels then attend to all pixels of those."""

    def __init__(self, channels: int, top_k: int, side: int) -> None:
        super().__init__()
        self.top_k, self.side = top_k, side
        self.heads, self.scale = channels // HEAD_WIDTH, channels**-0.5
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.local = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)  # LePE: locally enhanced position
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        _, height, width, channels = x.shape
        query, key_value = self.query_key_value(x).split([channels, 2 * channels], dim=-1)
        value = key_value[..., channels:].permute(0, 3, 1, 2)
        local = self.local(value).permute(0, 2, 3, 1)
        query, key_value = to_regions(query, self.side), to_regions(key_value, self.side)
        routes = self.route(query, key_value[..., :channels])
        key, value = gather_regions(key_value, routes).chunk(2, dim=-1)
        attended = self.attend(query, key, value)
        return self.project(to_map(attended, height, width, self.side) + local)

    @torch.no_grad()
    def route(self, query: Tensor, key: Tensor) -> Tensor:
        """From region to region, by their mean query and mean key: two (N, R, P, C) -> indices (N, R, k)."""
        affinity = query.mean(2) @ key.mean(2).transpose(1, 2)  # (N, R, R)
        return affinity.topk(min(self.top_k, affinity.shape[-1]), dim=-1).indices

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """From pixel to pixel: (N, R, P, C) and twice (N, R, k * P, C) -> (N, R, P, C)."""
        parts = [
            part.flatten(0, 1).unflatten(-1, (self.heads, HEAD_WIDTH)).transpose(1, 2)  # (N * R, heads, pixels, 32)
            for part in (query, key, value)
        ]
        attended = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], scale=self.scale)
        return attended.transpose(1, 2).reshape(query.shape)


class Block(nn.Module):
    """Positions by a depthwise convolution, bi-level routing attention, feed-forward; each added to its input."""

    def __init__(self, level: int, drop_path: float) -> None:
        super().__init__()
        channels = WIDTHS[level]
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attention = BiLevelRoutingAttention(channels, TOP_K[level], REGION // (PATCH * 2**level))
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(channels, MLP_RATIO * channels), nn.GELU(), nn.Linear(MLP_RATIO * channels, channels)
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        x = self.norm1(x)
        x = x + self.position(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.drop_path(self.attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Down(nn.Module):
    """Halve the sides by a convolution (twice at the first level), then run the blocks."""

    def __init__(self, level: int, in_channels: int) -> None:
        super().__init__()
        width = WIDTHS[level]
        if level:
            self.embed = nn.Sequential(*conv_norm(in_channels, width))
        else:
            self.embed = nn.Sequential(*conv_norm(in_channels, width // 2), nn.GELU(), *conv_norm(width // 2, width))
        self.blocks = nn.Sequential(*(Block(level, rate) for rate in encoder_drop_rates(level)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, H / 2, W / 2, C), or a fourth of the sides at the first level."""
        return self.blocks(self.embed(x).permute(0, 2, 3, 1))


class ChannelSpatialAttention(nn.Module):
    """SCCSA: scale each channel of each pixel, first by all channels of the pixel, then by its wide neighborhood."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 4
        self.channel = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, hidden, 7, padding=3),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 7, padding=3),
            nn.BatchNorm2d(channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        x = x * self.channel(x)
        return x * self.spatial(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class PatchExpand(nn.Module):
    """Turn every pixel into factor x factor smaller ones and normalize them."""

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(in_channels, factor * factor * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, in) -> (N, factor * H, factor * W, out)."""
        n, height, width, _ = x.shape
        f = self.factor
        x = self.expand(x).reshape(n, height, width, f, f, -1)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(n, height * f, width * f, -1)
        return self.norm(x)


class Up(nn.Module):
    """Expand to the level's grid, join the skip, weigh the two together, halve the channels, run the blocks."""

    def __init__(self, level: int) -> None:
        super().__init__()
        channels = WIDTHS[level]
        self.expand = PatchExpand(WIDTHS[level + 1], channels, factor=2)
        self.weigh = ChannelSpatialAttention(2 * channels)
        self.fuse = nn.Linear(2 * channels, channels)
        self.blocks = nn.Sequential(*(Block(level, rate) for rate in decoder_drop_rates(level)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, H, W, 2C) and (N, 2H, 2W, C) -> (N, 2H, 2W, C)."""
        both = torch.cat([self.expand(x), skip], dim=-1)
        return self.blocks(self.fuse(self.weigh(both)))


class BRAUNetPlusPlus(nn.Module):
    """A U of bi-level routing attention with weighted skips. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        inward = (in_channels, *WIDTHS[:-1])
        self.encoder = nn.ModuleList(Down(level, inward[level]) for level in range(len(DEPTHS)))
        self.deepest = nn.Sequential(*conv_norm(inward[-1], WIDTHS[-1]))
        self.decoder = nn.ModuleList(Up(level) for level in reversed(range(len(DEPTHS))))
        self.norm = nn.LayerNorm(WIDTHS[0])
        self.expand = PatchExpand(WIDTHS[0], WIDTHS[0], factor=PATCH)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1, bias=False)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        skips: list[Tensor] = []
        for down in self.encoder:
            skip = down(x)  # (N, H / (4 * 2^level), W / (4 * 2^level), WIDTHS[level])
            skips.append(skip)
            x = skip.permute(0, 3, 1, 2)
        x = self.deepest(x).permute(0, 2, 3, 1)  # (N, H / 32, W / 32, 768)
        for up in self.decoder:
            x = up(x, skips.pop())
        x = self.expand(self.norm(x))  # (N, H, W, 96)
        return self.head(x.permute(0, 3, 1, 2))


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A BRAU-Net++ with random weights; it takes every size that divides by 32, so `image_size` changes nothing."""
    return BRAUNetPlusPlus(in_channels, classes)
