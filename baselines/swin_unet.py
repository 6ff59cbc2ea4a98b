"""Swin-Unet: Cao et al., "Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation".

ECCV Workshops 2022, arXiv:2105.05537, doi:10.1007/978-3-031-25066-8_9. Reference code: HuCaoFighting/Swin-Unet.

Size with 3 input channels and 1 class at 224x224: 27.17 M parameters, 6.1 G multiply-adds, the counts of the reference
code's "tiny" configuration; the paper prints neither.

What differs from the reference code:
- the Swin blocks and the patch merging are timm's, which compute the same; the weights are random, not ImageNet's;
- a one-channel image has a one-channel patch embedding; the reference repeats it to three channels;
- the window is image_size / 32 (7 at 224), so that every grid divides into whole windows; the reference takes it from
  its configuration.

What is as in the reference code, though the paper's figure or the configuration says otherwise:
- a skip leaves its stage before the Swin blocks, not after them;
- the deepest decoder stage is a patch expanding alone; the others have as many blocks as the encoder stage across.
"""

import torch
from timm.layers import PatchEmbed, trunc_normal_
from timm.models.swin_transformer import SwinTransformerStage
from torch import Tensor, nn

from bench.errors import UserError, bad_size

WIDTHS = (96, 192, 384, 768)
DEPTHS = (2, 2, 2, 2)
HEADS = (3, 6, 12, 24)
PATCH = 4
DIVISOR = PATCH * 2 ** (len(WIDTHS) - 1)
DROP_PATH = 0.2  # the rate of the deepest block; it falls linearly to 0 at the first


def drop_rates(level: int) -> list[float]:
    """Each block's chance to be skipped in training; a decoder stage has the rates of the encoder stage across."""
    first = sum(DEPTHS[:level])
    return [DROP_PATH * block / (sum(DEPTHS) - 1) for block in range(first, first + DEPTHS[level])]


def swin_stage(level: int, image_size: int, merge: bool) -> SwinTransformerStage:
    """A level's Swin blocks, on a grid of image_size / (4 * 2^level); with `merge`, a patch merging before them."""
    grid = image_size // (PATCH * 2**level) * (2 if merge else 1)
    return SwinTransformerStage(
        dim=WIDTHS[level - 1] if merge else WIDTHS[level],
        out_dim=WIDTHS[level],
        input_resolution=(grid, grid),
        depth=DEPTHS[level],
        downsample=merge,
        num_heads=HEADS[level],
        window_size=image_size // DIVISOR,
        drop_path=drop_rates(level),
    )


def init_weights(module: nn.Module) -> None:
    """Give the linear layers Swin's narrow normal; the convolutions keep PyTorch's start, as in the reference code."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class PatchExpand(nn.Module):
    """Turn every patch into factor x factor smaller ones, the reverse of patch merging, and normalize them."""

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


class Down(nn.Module):
    """Merge patches (but at the first level), then run the Swin blocks; the skip leaves in between."""

    def __init__(self, level: int, image_size: int) -> None:
        super().__init__()
        self.stage = swin_stage(level, image_size, merge=level > 0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 2H, 2W, C / 2), or (N, H, W, C) at the first level -> features and skip, both (N, H, W, C)."""
        skip = self.stage.downsample(x)
        return self.stage.blocks(skip), skip


class Up(nn.Module):
    """Expand to the level's grid, join the skip and halve the channels again, run the Swin blocks."""

    def __init__(self, level: int, image_size: int) -> None:
        super().__init__()
        width = WIDTHS[level]
        self.expand = PatchExpand(WIDTHS[level + 1], width, factor=2)
        self.fuse = nn.Linear(2 * width, width)
        self.blocks = swin_stage(level, image_size, merge=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, H, W, 2C) and (N, 2H, 2W, C) -> (N, 2H, 2W, C)."""
        return self.blocks(self.fuse(torch.cat([self.expand(x), skip], dim=-1)))


class SwinUNet(nn.Module):
    """A U-Net of Swin blocks on 4x4 patches. (N, in_channels, H, W) -> (N, classes, H, W), H = W = image_size."""

    def __init__(self, in_channels: int, classes: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.embed = PatchEmbed(image_size, PATCH, in_channels, WIDTHS[0], nn.LayerNorm, output_fmt="NHWC")
        self.encoder = nn.ModuleList(Down(level, image_size) for level in range(len(WIDTHS)))
        self.encoder_norm = nn.LayerNorm(WIDTHS[-1])
        self.decoder = nn.ModuleList(Up(level, image_size) for level in reversed(range(len(WIDTHS) - 1)))
        self.decoder_norm = nn.LayerNorm(WIDTHS[0])
        self.expand = PatchExpand(WIDTHS[0], WIDTHS[0], factor=PATCH)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1, bias=False)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, image_size, image_size) -> (N, classes, image_size, image_size)."""
        self._check_size(x)
        skips: list[Tensor] = []
        x = self.embed(x)  # (N, H / 4, W / 4, 96); channels stay last until the head
        for block in self.encoder:
            x, skip = block(x)  # (N, H / (4 * 2^level), W / (4 * 2^level), WIDTHS[level])
            skips.append(skip)
        skips.pop()  # nothing is joined at the deepest level
        x = self.encoder_norm(x)
        for block in self.decoder:
            x = block(x, skips.pop())
        x = self.expand(self.decoder_norm(x))  # (N, H, W, 96)
        return self.head(x.permute(0, 3, 1, 2))

    def _check_size(self, x: Tensor) -> None:
        """Refuse every other size: the attention masks are made for one grid."""
        side, height, width = self.image_size, int(x.shape[-2]), int(x.shape[-1])
        if height != side or width != side:
            raise UserError(
                f"swin_unet was built for {side}x{side} images, got {height}x{width}; "
                f"resize the input to {side}x{side}, or build the network for another image size"
            )


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A Swin-Unet with random weights for square images of one size, which must divide by 32."""
    if image_size % DIVISOR:
        raise bad_size("swin_unet", image_size, image_size, DIVISOR)
    return SwinUNet(in_channels, classes, image_size)
