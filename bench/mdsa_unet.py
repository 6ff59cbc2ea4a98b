"""MDSA-UNet: a U-shaped network whose attention chooses, per region of the image, the regions worth attending to.

Li et al., "Multi-Scale Dynamic Sparse Attention UNet for Medical Image Segmentation", IEEE JBHI 29(9), 2025,
doi 10.1109/jbhi.2025.3555805. Published: 6.65 M parameters, 4.54 G multiply-adds at 224x224.

What differs: the paper's head is not public. With the plain head below the network has 6,576,225 parameters and 4.501 G
multiply-adds by fvcore, 1.1 % and 0.9 % under the paper's. It was not padded to hit the number.

Maps are (N, C, H, W) in channels-last memory throughout, so that a permutation to (N, H, W, C) moves no bytes.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (128, 320, 512)
TOP_K = (1, 4, 16)  # regions kept by each stage, from the finest map to the deepest
HEAD_WIDTH = 32
DROP = 0.1


def conv_bn(inward: int, outward: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution with bias and "same" padding, then batch norm."""
    return nn.Sequential(nn.Conv2d(inward, outward, kernel, stride, kernel // 2), nn.BatchNorm2d(outward))


class Downsample(nn.Module):
    """EDM, enhanced downsampling merging: a strided convolution plus a pooled path of an eighth of the width."""

    def __init__(self, inward: int, outward: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.strided = nn.Sequential(conv_bn(inward, outward, kernel, stride), nn.ReLU(inplace=True))
        self.pooled = nn.Sequential(
            conv_bn(inward, outward // 8, kernel),
            nn.MaxPool2d(kernel, stride, kernel // 2),
            conv_bn(outward // 8, outward, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.strided(x) + self.pooled(x)


class Fuse(nn.Module):
    """EUF, enhanced upsampling fusion: the deeper map brought to the skip's size, and both mixed by two paths."""

    def __init__(self, deep: int, skip: int) -> None:
        super().__init__()
        self.point = nn.Sequential(conv_bn(deep + skip, skip, 1), nn.ReLU(inplace=True))
        self.local = nn.Sequential(
            conv_bn(deep + skip, skip // 8, 3), conv_bn(skip // 8, skip, 1), nn.ReLU(inplace=True)
        )

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        deep = F.interpolate(deep, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        both = torch.cat([deep, skip], dim=1)
        return self.point(both) + self.local(both)


class MultiScale(nn.Module):
    """Multi-scale aggregation: a quarter of the channels each sees one pixel, 3x3, 5x5 and 7x7."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        part = dim // 4
        self.inward = nn.Conv2d(dim, dim, 1)
        self.scales = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(part, part, kernel, padding=kernel // 2, groups=part, bias=False),
                nn.Conv2d(part, part, 1, bias=False),
                nn.BatchNorm2d(part),
                nn.ReLU(inplace=True),
            )
            if kernel > 1
            else nn.Sequential(nn.BatchNorm2d(part), nn.ReLU(inplace=True))
            for kernel in (1, 3, 5, 7)
        )
        self.outward = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.inward(x).chunk(4, dim=1)
        return self.outward(torch.cat([scale(part) for scale, part in zip(self.scales, parts, strict=True)], dim=1))


class SparseAttention(nn.Module):
    """MDSA: every pixel attends to the pixels of the `top_k` regions most like its own, of `regions` x `regions`.

    Query, key and value are one tensor, the aggregated map: there is no projection. The scale is dim**-0.5 with the
    full width, not the head's.
    """

    def __init__(self, dim: int, regions: int, top_k: int) -> None:
        super().__init__()
        self.regions, self.top_k, self.heads = regions, top_k, dim // HEAD_WIDTH
        self.scale = dim**-0.5
        self.aggregate = MultiScale(dim)
        self.local = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        y = self.aggregate(x.permute(0, 3, 1, 2))
        return self.project(self.attend(y.permute(0, 2, 3, 1)) + self.local(y).permute(0, 2, 3, 1))

    def attend(self, y: Tensor) -> Tensor:
        """(N, H, W, C) to the same; sides that do not divide by the regions are padded here and cropped again."""
        n, height, width, dim = y.shape
        side = self.regions
        down, across = -height % side, -width % side
        cells = to_regions(F.pad(y, (0, 0, 0, across, 0, down)) if down or across else y, side)
        real = real_pixels(height, width, side, y.device) if down or across else None  # (S*S, P)
        kept = self.choose(cells, real)  # (N, S*S, k)
        keys = cells[torch.arange(n, device=y.device).view(n, 1, 1), kept].flatten(2, 3)  # (N, S*S, k*P, C)
        mask = None
        if real is not None:
            # A finite penalty: a region that is all padding would make a softmax of nothing but -inf, which is NaN.
            mask = torch.where(real[kept].flatten(2, 3), 0.0, -1e9).to(y.dtype).view(-1, 1, 1, keys.shape[2])
        found = F.scaled_dot_product_attention(
            self.split(cells), self.split(keys), self.split(keys), attn_mask=mask, scale=self.scale
        )
        found = found.transpose(1, 2).reshape(n, side * side, -1, dim)
        return from_regions(found, side, height + down, width + across)[:, :height, :width]

    @torch.no_grad()
    def choose(self, cells: Tensor, real: Tensor | None) -> Tensor:
        """The coarse filter: indices (N, S*S, k) of the regions whose descriptors are nearest to each region's own."""
        if real is None:
            descriptor = cells.mean(2)
        else:
            descriptor = cells.sum(2) / real.sum(1).clamp(min=1).to(cells.dtype).unsqueeze(1)
        descriptor = F.normalize(descriptor, dim=-1)
        likeness = descriptor @ descriptor.transpose(1, 2)
        if real is not None:
            likeness = likeness.masked_fill(~real.any(1), -math.inf)
        return likeness.topk(self.top_k, dim=-1).indices

    def split(self, pixels: Tensor) -> Tensor:
        """(N, S*S, L, C) to (N*S*S, heads, L, head width)."""
        return pixels.flatten(0, 1).unflatten(-1, (self.heads, HEAD_WIDTH)).transpose(1, 2)


def to_regions(y: Tensor, side: int) -> Tensor:
    """(N, H, W, C) to (N, S*S, P, C), P the pixels of a region."""
    return y.unflatten(2, (side, -1)).unflatten(1, (side, -1)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def from_regions(cells: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `to_regions`."""
    cells = cells.unflatten(2, (height // side, width // side)).unflatten(1, (side, side))
    return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def real_pixels(height: int, width: int, side: int, device: torch.device) -> Tensor:
    """(S*S, P): True where a region's pixel lies in the map, False where it is padding."""
    real = torch.ones(1, height, width, 1, dtype=torch.bool, device=device)
    return to_regions(F.pad(real, (0, 0, 0, -width % side, 0, -height % side)), side)[0, :, :, 0]


class ContextGLU(nn.Module):
    """Gated feed-forward: each hidden channel is scaled by its own 3x3 neighbourhood."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inward = nn.Linear(dim, 2 * dim)
        self.context = nn.Conv2d(2 * dim, 2 * dim, 3, padding=1, groups=2 * dim)
        self.norm = nn.LayerNorm(2 * dim)
        self.outward = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        hidden = self.inward(x)
        gate = self.context(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
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
        x = (x + self.position(x)).permute(0, 2, 3, 1)
        x = x + self.drop(self.attention(self.norm_attention(x)))
        x = x + self.drop(self.glu(self.norm_glu(x)))
        return x.permute(0, 3, 1, 2)


class MDSAUNet(nn.Module):
    """Logits (N, classes, H, W) for images (N, in_channels, H, W) of any sides from 32 up."""

    def __init__(self, in_channels: int = 3, classes: int = 1, regions: int = 7) -> None:
        super().__init__()
        fine, middle, deep = WIDTHS
        self.colours = 3 if in_channels == 1 else in_channels
        self.down1 = Downsample(self.colours, fine, kernel=7, stride=4)
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
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        grey = image.shape[1] == 1 and self.colours == 3
        x = image.expand(-1, 3, -1, -1) if grey else image
        x = x.contiguous(memory_format=torch.channels_last)
        fine = self.encode1(self.down1(x))
        middle = self.encode2(self.down2(fine))
        deep = self.encode3(self.down3(middle))
        middle = self.decode2(self.fuse2(deep, middle))
        fine = self.decode1(self.fuse1(middle, fine))
        return F.interpolate(self.head(fine), size=image.shape[-2:], mode="bilinear", align_corners=False)


def initialise(module: nn.Module) -> None:
    """Linear: truncated normal, std 0.02. Convolution: normal, std sqrt(2 / fan out). Biases 0; norms as they come."""
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
    """The network with random weights; 8 regions a side where the image is a multiple of 256, else 7, so at 224."""
    return MDSAUNet(in_channels, classes, regions=8 if image_size % 256 == 0 else 7)
