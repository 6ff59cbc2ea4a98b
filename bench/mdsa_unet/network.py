"""MDSA-UNet: a U-shaped network whose attention selects, for each region of the image, the regions it attends to.

Li et al., "Multi-Scale Dynamic Sparse Attention UNet for Medical Image Segmentation", IEEE JBHI 29(9), 2025,
doi 10.1109/jbhi.2025.3555805. Published: 6.65 M parameters, 4.54 G multiply-adds at 224x224.

What differs: the paper's head is not public. With the plain head below the network has 6,576,225 parameters and 4.501 G
multiply-adds by fvcore, 1.1 % and 0.9 % under the paper's. Nothing was added to match the paper's numbers.

Maps are (N, C, H, W) in channels-last memory throughout, so that a permutation to (N, H, W, C) copies nothing.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.mdsa_unet.attention import SparseAttention
from bench.mdsa_unet.folded import FoldedFuse
from bench.mdsa_unet.layers import Pixelwise, Pointwise, Position, conv_bn, dense_gradient, resized
from bench.mdsa_unet.memory_saving import add_by_image, recomputed

WIDTHS = (128, 320, 512)
TOP_K = (1, 4, 16)  # regions kept by each stage, from the finest map to the deepest
DROP = 0.1


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
        both = torch.cat([dense_gradient(resized(deep, skip.shape[-2:])), skip], dim=1)
        return self.point(both) + self.local(both)

    def folded_form(self) -> nn.Module:
        return FoldedFuse(self.point, self.local)


class ContextGLU(nn.Module):
    """Gated feed-forward: each hidden channel is scaled by its own 3x3 neighborhood."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.inward = Pixelwise(dim, 2 * dim)
        self.context = nn.Conv2d(2 * dim, 2 * dim, 3, padding=1, groups=2 * dim)
        self.norm = nn.LayerNorm(2 * dim)
        self.outward = Pixelwise(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        return self.outward(recomputed(self._gated, self.inward(x)))

    def _gated(self, hidden: Tensor) -> Tensor:
        gate = self.context(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        # In place where no gradient is needed.
        gated = gate * hidden if torch.is_grad_enabled() else gate.mul_(hidden)
        return F.gelu(self.norm(gated))


class Block(nn.Module):
    """Position encoding, sparse attention, gated feed-forward; each added to its input."""

    def __init__(self, dim: int, top_k: int, regions: int | None, region_size: int | None) -> None:
        super().__init__()
        self.position = Position(dim)
        self.norm_attention = nn.LayerNorm(dim, eps=1e-6)
        self.attention = SparseAttention(dim, top_k, regions, region_size)
        self.norm_glu = nn.LayerNorm(dim, eps=1e-6)
        self.glu = ContextGLU(dim)
        self.drop = nn.Dropout(DROP)

    def forward(self, x: Tensor) -> Tensor:
        x = self.position(x).permute(0, 2, 3, 1)
        x = self.drop(self.attention(self.norm_attention(x))).add_(x)
        x = add_by_image(x, self._feed_forward, x)
        return x.permute(0, 3, 1, 2)

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.drop(self.glu(self.norm_glu(x)))


class MDSAUNet(nn.Module):
    """Logits (N, classes, H, W) for images (N, in_channels, H, W) of any sides from 32 up.

    With a fixed number of `regions` a side, regions grow with the image, and so does the number of pixels that a pixel
    attends to. With a `region_size`, in pixels of the finest map, regions keep their size (half of it on the middle
    map, a quarter on the deepest) and their number grows: the cost is then linear in the image's pixels, and the
    function is a different one.
    """

    def __init__(
        self, in_channels: int = 3, classes: int = 1, regions: int = 7, region_size: int | None = None
    ) -> None:
        super().__init__()
        fine, middle, deep = WIDTHS
        stages = [
            (dim, top_k, regions if region_size is None else None, region_size and max(1, region_size >> stage))
            for stage, (dim, top_k) in enumerate(zip(WIDTHS, TOP_K, strict=True))
        ]
        self.colors = 3 if in_channels == 1 else in_channels
        self.down1 = Downsample(self.colors, fine, kernel=7, stride=4)
        self.encode1 = Block(*stages[0])
        self.down2 = Downsample(fine, middle, kernel=3, stride=2)
        self.encode2 = Block(*stages[1])
        self.down3 = Downsample(middle, deep, kernel=3, stride=2)
        self.encode3 = Block(*stages[2])
        self.fuse2 = Fuse(deep, middle)
        self.decode2 = Block(*stages[1])
        self.fuse1 = Fuse(middle, fine)
        self.decode1 = Block(*stages[0])
        self.head = Pointwise(fine, classes)
        self.apply(initialize)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        gray = image.shape[1] == 1 and self.colors == 3
        x = image.expand(-1, 3, -1, -1) if gray else image
        x = x.contiguous(memory_format=torch.channels_last)
        fine = self.encode1(self.down1(x))
        middle = self.encode2(self.down2(fine))
        deep = self.encode3(self.down3(middle))
        middle = self.decode2(self.fuse2(deep, middle))
        fine = self.decode1(self.fuse1(middle, fine))
        return resized(self.head(fine), image.shape[-2:])


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
    return MDSAUNet(in_channels, classes, regions=8 if image_size % 256 == 0 else 7)
