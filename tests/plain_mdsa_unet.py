"""MDSA-UNet written the plain way, as its definition: what bench/mdsa_unet must compute, and be cheaper than.

Channels-first throughout, with a permutation before and after every step that wants channels last; keys and values are
two copies of the map, of which each region gathers copies of its own; attention is two matrix products with a softmax
between them. This is how bi-level routing attention, from which MDSA comes, is written in public: Zhu et al., BiFormer,
CVPR 2023. Sides must divide by 16 and by the regions of every stage. The weights have the names of ours.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_WIDTH = 32


def conv_bn(inward: int, outward: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inward, outward, kernel, stride, kernel // 2), nn.BatchNorm2d(outward))


class Downsample(nn.Module):
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
    def __init__(self, deep: int, skip: int) -> None:
        super().__init__()
        self.point = nn.Sequential(conv_bn(deep + skip, skip, 1), nn.ReLU())
        self.local = nn.Sequential(conv_bn(deep + skip, skip // 8, 3), conv_bn(skip // 8, skip, 1), nn.ReLU())

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        deep = F.interpolate(deep, size=skip.shape[2:], mode="bilinear", align_corners=False)
        both = torch.cat([deep, skip], dim=1)
        return self.point(both) + self.local(both)


class MultiScale(nn.Module):
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
        n, height, width, dim = y.shape
        side, k = self.regions, self.top_k
        high, wide = height // side, width // side
        cells = y.view(n, side, high, side, wide, dim).permute(0, 1, 3, 2, 4, 5)
        cells = cells.reshape(n, side * side, high * wide, dim)
        both = torch.cat([cells, cells], dim=-1)  # keys and values
        kept = self.choose(cells)
        pixels = high * wide
        copies = both.unsqueeze(1).expand(n, side * side, side * side, pixels, 2 * dim)
        index = kept.view(n, side * side, k, 1, 1).expand(n, side * side, k, pixels, 2 * dim)
        gathered = torch.gather(copies, 2, index).reshape(n * side * side, k * pixels, 2 * dim)
        keys, values = gathered.split(dim, dim=-1)
        q, keys, values = (self.split(part) for part in (cells.reshape(-1, pixels, dim), keys, values))
        weights = ((q * self.scale) @ keys.transpose(-2, -1)).softmax(dim=-1)
        found = (weights @ values).transpose(1, 2).reshape(n, side, side, high, wide, dim)
        return found.permute(0, 1, 3, 2, 4, 5).reshape(n, height, width, dim)

    @torch.no_grad()
    def choose(self, cells: Tensor) -> Tensor:
        descriptor = F.normalize(cells.mean(2), dim=-1)
        return (descriptor @ descriptor.transpose(1, 2)).topk(self.top_k, dim=-1).indices

    def split(self, pixels: Tensor) -> Tensor:
        return pixels.reshape(*pixels.shape[:2], self.heads, HEAD_WIDTH).transpose(1, 2).contiguous()


class ContextGLU(nn.Module):
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
    def __init__(self, dim: int, regions: int, top_k: int) -> None:
        super().__init__()
        self.position = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.norm_attention = nn.LayerNorm(dim, eps=1e-6)
        self.attention = SparseAttention(dim, regions, top_k)
        self.norm_glu = nn.LayerNorm(dim, eps=1e-6)
        self.glu = ContextGLU(dim)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = (x + self.position(x)).permute(0, 2, 3, 1).contiguous()
        x = x + self.drop(self.attention(self.norm_attention(x)))
        x = x + self.drop(self.glu(self.norm_glu(x)))
        return x.permute(0, 3, 1, 2).contiguous()


class PlainMDSAUNet(nn.Module):
    """Logits (N, classes, H, W) for images (N, 3, H, W)."""

    def __init__(self, classes: int = 1, regions: int = 7) -> None:
        super().__init__()
        self.down1 = Downsample(3, 128, kernel=7, stride=4)
        self.encode1 = Block(128, regions, 1)
        self.down2 = Downsample(128, 320, kernel=3, stride=2)
        self.encode2 = Block(320, regions, 4)
        self.down3 = Downsample(320, 512, kernel=3, stride=2)
        self.encode3 = Block(512, regions, 16)
        self.fuse2 = Fuse(512, 320)
        self.decode2 = Block(320, regions, 4)
        self.fuse1 = Fuse(320, 128)
        self.decode1 = Block(128, regions, 1)
        self.head = nn.Conv2d(128, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.encode1(self.down1(image))
        middle = self.encode2(self.down2(fine))
        deep = self.encode3(self.down3(middle))
        middle = self.decode2(self.fuse2(deep, middle))
        fine = self.decode1(self.fuse1(middle, fine))
        return F.interpolate(self.head(fine), size=image.shape[2:], mode="bilinear", align_corners=False)
