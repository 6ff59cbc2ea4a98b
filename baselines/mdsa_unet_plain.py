"""MDSA-UNet in its plain form, written the way its paper's code family is published.

Li et al., "Multi-Scale Dynamic Sparse Attention UNet for Medical Image Segmentation", IEEE JBHI 29(9), 2025,
doi 10.1109/jbhi.2025.3555805. Published: 6.65 M parameters, 4.54 G multiply-adds at 224x224. The attention follows the
public code of bi-level routing attention, from which MDSA comes: Zhu et al., BiFormer, CVPR 2023.

What differs: the paper's head is not public, see `bench/mdsa_unet/network.py`, which computes the same function with
the same weights in less time and memory. Here maps are contiguous, with a permutation before and after each step that
wants channels last; keys and values are two copies of the map, of which each region gathers copies of its own;
attention is two matrix products with a softmax between them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (128, 320, 512)
TOP_K = (1, 4, 16)  # regions kept by each stage, from the finest map to the deepest
DROP = 0.1
HEAD_WIDTH = 32


def conv_bn(inward: int, outward: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, or divides it by the stride, with its batch norm."""
    return nn.Sequential(nn.Conv2d(inward, outward, kernel, stride, kernel // 2), nn.BatchNorm2d(outward))


class Downsample(nn.Module):
    """EDM, enhanced downsampling merging: a strided convolution plus a pooled path of an eighth of the width."""

    def __init__(self, inward: int, outward: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.strided = nn.Sequential(conv_bn(inward, outward, kernel, stride), nn.ReLU())
        self.pooled = nn.Sequential(
            conv_bn(inward, outward // 8, kernel),
            nn.MaxPool2d(kernel, stride, kernel // 2),
            conv_bn(outward // 8, outward, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.strided(x) + self.pooled(x)


class Fuse(nn.Module):
    """EUF, enhanced upsampling fusion: the deeper map brought to the skip's size, and both mixed by two paths."""

    def __init__(self, deep: int, skip: int) -> None:
        super().__init__()
        self.point = nn.Sequential(conv_bn(deep + skip, skip, 1), nn.ReLU())
        self.local = nn.Sequential(conv_bn(deep + skip, skip // 8, 3), conv_bn(skip // 8, skip, 1), nn.ReLU())

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        deep = F.interpolate(deep, size=skip.shape[2:], mode="bilinear", align_corners=False)
        both = torch.cat([deep, skip], dim=1)
        return self.point(both) + self.local(both)


class MultiScale(nn.Module):
    """Multi-scale aggregation: each quarter of the channels has its own kernel, of 1, 3, 5 and 7 pixels a side."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        part = dim // 4
        self.inward = nn.Conv2d(dim, dim, 1)
        self.scales = nn.ModuleList([nn.Sequential(nn.BatchNorm2d(part), nn.ReLU())])
        for kernel in (3, 5, 7):
            self.scales.append(
                nn.Sequential(
                    nn.Conv2d(part, part, kernel, padding=kernel // 2, groups=part, bias=False),
                    nn.Conv2d(part, part, 1, bias=False),
                    nn.BatchNorm2d(part),
                    nn.ReLU(),
                )
            )
        self.outward = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.inward(x).chunk(4, dim=1)
        return self.outward(torch.cat([scale(part) for scale, part in zip(self.scales, parts, strict=True)], dim=1))


class SparseAttention(nn.Module):
    """MDSA: every pixel attends to the pixels of the `top_k` regions most like its own, of `regions` x `regions`."""

    def __init__(self, dim: int, regions: int, top_k: int) -> None:
        super().__init__()
        self.regions, self.top_k, self.heads, self.scale = regions, top_k, dim // HEAD_WIDTH, dim**-0.5
        self.aggregate = MultiScale(dim)
        self.local = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        y = self.aggregate(x.permute(0, 3, 1, 2).contiguous())
        found = self.attend(y.permute(0, 2, 3, 1).contiguous())
        return self.project(found + self.local(y).permute(0, 2, 3, 1).contiguous())

    def attend(self, y: Tensor) -> Tensor:
        """(N, H, W, C) to the same. Sides that the regions do not divide are padded, and the result is cropped."""
        height, width = y.shape[1:3]
        below, beside = -height % self.regions, -width % self.regions
        cells = self.cells(F.pad(y, (0, 0, 0, beside, 0, below)))
        real = None
        if below or beside:
            ones = F.pad(y.new_ones(1, height, width, 1), (0, 0, 0, beside, 0, below))
            real = self.cells(ones)[0, :, :, 0] > 0
        found = self.attend_cells(cells, self.choose(cells, real), real)
        n, side, high, wide = len(y), self.regions, (height + below) // self.regions, (width + beside) // self.regions
        found = found.transpose(1, 2).reshape(n, side, side, high, wide, y.shape[3])
        return found.permute(0, 1, 3, 2, 4, 5).reshape(n, height + below, width + beside, -1)[:, :height, :width]

    def cells(self, y: Tensor) -> Tensor:
        """(N, H, W, C) to (N, R, P, C): the pixels of each region."""
        n, height, width, dim = y.shape
        side = self.regions
        cells = y.view(n, side, height // side, side, width // side, dim).permute(0, 1, 3, 2, 4, 5)
        return cells.reshape(n, side * side, -1, dim)

    def attend_cells(self, cells: Tensor, kept: Tensor, real: Tensor | None) -> Tensor:
        """(N, R, P, C) with the indices (N, R, k) of the kept regions to (N * R, heads, P, C / heads)."""
        n, regions, pixels, dim = cells.shape
        k = kept.shape[2]
        both = torch.cat([cells, cells], dim=-1)  # keys and values
        copies = both.unsqueeze(1).expand(n, regions, regions, pixels, 2 * dim)
        index = kept.view(n, regions, k, 1, 1).expand(n, regions, k, pixels, 2 * dim)
        gathered = torch.gather(copies, 2, index).reshape(n * regions, k * pixels, 2 * dim)
        q, keys, values = (self.split(one) for one in (cells.reshape(-1, pixels, dim), *gathered.split(dim, dim=-1)))
        weights = (q * self.scale) @ keys.transpose(-2, -1)
        if real is not None:
            # A finite penalty: for a region of padding only, the softmax of all -inf would be NaN.
            weights = weights + torch.where(real[kept].view(n * regions, 1, 1, -1), 0.0, -1e9).to(weights.dtype)
        return weights.softmax(dim=-1) @ values

    @torch.no_grad()
    def choose(self, cells: Tensor, real: Tensor | None) -> Tensor:
        """The coarse filter: for (N, R, P, C) the indices (N, R, k) of the regions nearest to each by angle."""
        descriptor = F.normalize(cells.mean(2), dim=-1)
        likeness = descriptor @ descriptor.transpose(1, 2)
        if real is not None:
            likeness = likeness.masked_fill(~real.any(1), -math.inf)
            # A region of padding only has no angle, and keeps itself first like all others.
            likeness.diagonal(dim1=1, dim2=2).fill_(2)
        return likeness.topk(min(self.top_k, likeness.shape[-1]), dim=-1).indices

    def split(self, pixels: Tensor) -> Tensor:
        """(B, P, C) to (B, heads, P, C / heads)."""
        return pixels.reshape(*pixels.shape[:2], self.heads, HEAD_WIDTH).transpose(1, 2).contiguous()


class ContextGLU(nn.Module):
    """Gated feed-forward: each hidden channel is scaled by its own 3x3 neighborhood."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inward = nn.Linear(dim, 2 * dim)
        self.context = nn.Conv2d(2 * dim, 2 * dim, 3, padding=1, groups=2 * dim)
        self.norm = nn.LayerNorm(2 * dim)
        self.outward = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.inward(x)
        gate = self.context(hidden.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1).contiguous()
        return self.outward(F.gelu(self.norm(gate * hidden)))


class Block(nn.Module):
    """Position encoding, sparse attention, gated feed-forward; each added to its input."""

    def __init__(self, dim: int, regions: int, top_k: int) -> None:
        super().__init__()
        self.position = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm_attention = nn.LayerNorm(dim, eps=1e-6)
        self.attention = SparseAttention(dim, regions, top_k)
        self.norm_glu = nn.LayerNorm(dim, eps=1e-6)
        self.glu = ContextGLU(dim)
        self.drop = nn.Dropout(DROP)

    def forward(self, x: Tensor) -> Tensor:
        x = (x + self.position(x)).permute(0, 2, 3, 1).contiguous()
        x = x + self.drop(self.attention(self.norm_attention(x)))
        x = x + self.drop(self.glu(self.norm_glu(x)))
        return x.permute(0, 3, 1, 2).contiguous()


class PlainMDSAUNet(nn.Module):
    """Logits (N, classes, H, W) for images (N, in_channels, H, W) of any sides from 32 up."""

    def __init__(self, in_channels: int = 3, classes: int = 1, regions: int = 7) -> None:
        super().__init__()
        fine, middle, deep = WIDTHS
        self.colors = 3 if in_channels == 1 else in_channels
        self.down1 = Downsample(self.colors, fine, kernel=7, stride=4)
        self.encode1 = Block(fine, regions, TOP_K[0])
        self.down2 = Downsample(fine, middle, kernel=3, stride=2)
        self.encode2 = Block(middle, regions, TOP_K[1])
        self.down3 = Downsample(middle, deep, kernel=3, stride=2)
        self.encode3 = Block(deep, regions, TOP_K[2])
        self.fuse2 = Fuse(deep, middle)
        self.decode2 = Block(middle, regions, TOP_K[1])
        self.fuse1 = Fuse(middle, fine)
        self.decode1 = Block(fine, regions, TOP_K[0])
        self.head = nn.Conv2d(fine, classes, 1)
        self.apply(initialize)

    def forward(self, image: Tensor) -> Tensor:
        x = image.expand(-1, 3, -1, -1) if image.shape[1] == 1 and self.colors == 3 else image
        fine = self.encode1(self.down1(x))
        middle = self.encode2(self.down2(fine))
        deep = self.encode3(self.down3(middle))
        middle = self.decode2(self.fuse2(deep, middle))
        fine = self.decode1(self.fuse1(middle, fine))
        return F.interpolate(self.head(fine), size=image.shape[2:], mode="bilinear", align_corners=False)


def initialize(module: nn.Module) -> None:
    """Linear: truncated normal, std 0.02. Convolution: normal, std sqrt(2 / fan out). Biases 0; norms unchanged."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """The network with random weights; 8 regions a side where the image size is a multiple of 256, else 7."""
    return PlainMDSAUNet(in_channels, classes, regions=8 if image_size % 256 == 0 else 7)
