"""MDSA-UNet in its plain form: Li et al., "Multi-Scale Dynamic Sparse Attention UNet for Medical Image Segmentation".

IEEE JBHI 29(9), 2025, doi:10.1109/jbhi.2025.3555805. Reference code: none by the authors; a public copy is
MDSA_UNet in the U-Bench collection, whose attention is that of BiFormer (Zhu et al., CVPR 2023, rayleizhu/BiFormer).

Size with 3 input channels and 1 class at 224x224: 6,576,225 parameters, 4.501 G multiply-adds by fvcore. Published are
6.65 M and 4.54 GFLOPs; the public copy counts what is counted here.

The same function as `bench/mdsa_unet`, with the same names of weights, computed the way the public code computes it:
every operation is there a single call of PyTorch. What the other form does otherwise and this one does not: maps are
channels-first where the public code leaves them so; keys and values are two copies of the same map, and of both each
region gathers copies of its own, also where it keeps itself alone; attention is two matrix products with a softmax
between them; training keeps all that autograd wants.

What differs from the public copy:
- regions that do not divide the map are padded inside the attention, and padding is attended to by nothing; the public
  copy refuses such maps;
- regions are ranked by the cosine of their means, which is the order of the distances that the public copy ranks by;
- deep and skip features are concatenated once for both paths of the fusion, where the public copy does it twice.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (128, 320, 512)
TOP_K = (1, 4, 16)  # regions kept by each stage, from the finest map to the deepest
HEAD_WIDTH = 32
DROP = 0.1


def init_weights(module: nn.Module) -> None:
    """Linear: truncated normal, std 0.02. Convolution: normal, std sqrt(2 / fan-out). Biases 0; norms unchanged."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


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
        """(N, in, H, W) -> (N, out, H / stride, W / stride), rounded up."""
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
        """(N, deep, h, w) and (N, skip, H, W) -> (N, skip, H, W)."""
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
        """(N, C, H, W) -> (N, C, H, W)."""
        parts = self.inward(x).chunk(4, dim=1)
        return self.outward(torch.cat([scale(part) for scale, part in zip(self.scales, parts, strict=True)], dim=1))


class SparseAttention(nn.Module):
    """MDSA: every pixel attends to the pixels of the `top_k` regions most like its own, of `regions` x `regions`.

    Query, key and value are the aggregated map, without projections. The scale is dim**-0.5 with the full width, not
    the head's.
    """

    def __init__(self, dim: int, regions: int, top_k: int) -> None:
        super().__init__()
        self.regions, self.top_k, self.heads, self.scale = regions, top_k, dim // HEAD_WIDTH, dim**-0.5
        self.aggregate = MultiScale(dim)
        self.local = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        y = self.aggregate(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        local = self.local(y.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1)
        return self.project(self.attend(y) + local)

    def attend(self, y: Tensor) -> Tensor:
        """The attention of the pixels of y (N, H, W, C), which has the same shape."""
        height, width = y.shape[1:3]
        cells, high = self.cut(y)  # (N, R, P, C)
        real = self.real(height, width, y.device)
        kept = self.choose(cells, real)
        keys, values = self.gather(torch.cat([cells, cells], dim=-1), kept)
        scores = (self.split(cells) * self.scale) @ self.split(keys).transpose(-2, -1)  # (N * R, heads, P, k * P)
        if real is not None:
            # Every region keeps a pixel of the map, so no softmax is of -inf alone.
            scores = scores.masked_fill(~real[kept].flatten(2).flatten(0, 1)[:, None, None], -math.inf)
        found = scores.softmax(dim=-1) @ self.split(values)
        return self.join(found, y.shape[0], high)[:, :height, :width]

    def cut(self, y: Tensor) -> tuple[Tensor, int]:
        """(N, H, W, C) -> the pixels P of each of the R regions, (N, R, P, C), and a region's height.

        Sides that the regions do not divide are padded below and to the right.
        """
        n, height, width, dim = y.shape
        side = self.regions
        y = F.pad(y, (0, 0, 0, -width % side, 0, -height % side)) if width % side or height % side else y
        high, wide = y.shape[1] // side, y.shape[2] // side
        cells = y.reshape(n, side, high, side, wide, dim).permute(0, 1, 3, 2, 4, 5)
        return cells.reshape(n, side * side, high * wide, dim), high

    def real(self, height: int, width: int, device: torch.device) -> Tensor | None:
        """(R, P): True where a region's pixel is none of padding; None where all are."""
        if height % self.regions == 0 and width % self.regions == 0:
            return None
        return self.cut(torch.ones(1, height, width, 1, dtype=torch.bool, device=device))[0][0, :, :, 0]

    @torch.no_grad()
    def choose(self, cells: Tensor, real: Tensor | None) -> Tensor:
        """The coarse filter: the indices (N, R, k) of the regions whose means are nearest to each region's by angle."""
        descriptor = F.normalize(cells.mean(2), dim=-1)
        likeness = descriptor @ descriptor.transpose(1, 2)
        if real is not None:
            likeness = likeness.masked_fill(~real.any(1), -math.inf)
        return likeness.topk(self.top_k, dim=-1).indices

    def gather(self, both: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, R, P, 2C) -> those of each region's kept regions, each (N, R, k * P, C)."""
        n, regions, pixels, width = both.shape
        copies = both.unsqueeze(1).expand(n, regions, regions, pixels, width)
        index = kept.view(n, regions, -1, 1, 1).expand(n, regions, self.top_k, pixels, width)
        keys, values = torch.gather(copies, 2, index).flatten(2, 3).chunk(2, dim=-1)
        return keys, values

    def split(self, pixels: Tensor) -> Tensor:
        """(N, R, P, C) -> (N * R, heads, P, C / heads)."""
        return pixels.flatten(0, 1).unflatten(-1, (self.heads, HEAD_WIDTH)).transpose(1, 2)

    def join(self, found: Tensor, n: int, high: int) -> Tensor:
        """(N * R, heads, P, C / heads) -> (N, H, W, C), with the padding."""
        side = self.regions
        cells = found.transpose(1, 2).reshape(n, side, side, high, -1, self.heads * HEAD_WIDTH)
        return cells.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)


class ContextGLU(nn.Module):
    """Gated feed-forward: each hidden channel is scaled by its own 3x3 neighborhood."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inward = nn.Linear(dim, 2 * dim)
        self.context = nn.Conv2d(2 * dim, 2 * dim, 3, padding=1, groups=2 * dim)
        self.norm = nn.LayerNorm(2 * dim)
        self.outward = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
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
        """(N, C, H, W) -> (N, C, H, W)."""
        x = (x + self.position(x)).permute(0, 2, 3, 1)
        x = x + self.drop(self.attention(self.norm_attention(x)))
        x = x + self.drop(self.glu(self.norm_glu(x)))
        return x.permute(0, 3, 1, 2)


class PlainMDSAUNet(nn.Module):
    """Logits (N, classes, H, W) for images (N, in_channels, H, W) of any sides from 32 up."""

    def __init__(self, in_channels: int = 3, classes: int = 1, regions: int = 7) -> None:
        super().__init__()
        fine, middle, deep = WIDTHS
        few, some, many = TOP_K
        self.colors = 3 if in_channels == 1 else in_channels
        self.down1 = Downsample(self.colors, fine, kernel=7, stride=4)
        self.encode1 = Block(fine, regions, few)
        self.down2 = Downsample(fine, middle, kernel=3, stride=2)
        self.encode2 = Block(middle, regions, some)
        self.down3 = Downsample(middle, deep, kernel=3, stride=2)
        self.encode3 = Block(deep, regions, many)
        self.fuse2 = Fuse(deep, middle)
        self.decode2 = Block(middle, regions, some)
        self.fuse1 = Fuse(middle, fine)
        self.decode1 = Block(fine, regions, few)
        self.head = nn.Conv2d(fine, classes, 1)
        self.apply(init_weights)

    def forward(self, image: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        x = image.repeat(1, 3, 1, 1) if image.shape[1] == 1 and self.colors == 3 else image
        fine = self.encode1(self.down1(x))
        middle = self.encode2(self.down2(fine))
        deep = self.encode3(self.down3(middle))
        middle = self.decode2(self.fuse2(deep, middle))
        fine = self.decode1(self.fuse1(middle, fine))
        return F.interpolate(self.head(fine), size=image.shape[2:], mode="bilinear", align_corners=False)


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """The network with random weights; 8 regions a side where the image size is a multiple of 256, else 7."""
    return PlainMDSAUNet(in_channels, classes, regions=8 if image_size % 256 == 0 else 7)
