"""H2Former: He et al., "H2Former: An Efficient Hierarchical Hybrid Transformer for Medical Image Segmentation".

IEEE Transactions on Medical Imaging 2023, doi:10.1109/TMI.2023.3264513. Reference code: NKUhealong/H2Former.

Size with 3 input channels and 1 class at 224x224: 33.68 M parameters, 24.8 G multiply-adds; published are 33.71 M. The
count grows with the window and so with the image (33.69 M at 256), for every window offset has a bias of its own.

What differs from the reference code:
- the channel attention after an MLP weighs channels; the reference reads its tokens as a map without transposing them,
  so that it weighs, and then adds up, values of mixed positions and channels;
- the residual blocks and the Swin blocks are timm's, which compute the same; the weights are random, not ImageNet's;
- the image has any number of channels; the reference is written for four.

What is as in the reference code: ResNet-34's first convolution is not strided, so that the deepest grid is a sixteenth
of the image; the window is that grid, image_size / 16 (14 at 224), and every level divides into whole windows.
"""

import torch
from timm.layers import EcaModule, LayerNorm2d, Mlp
from timm.models.resnet import BasicBlock, make_blocks
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

from bench.errors import UserError, bad_size

WIDTHS = (64, 128, 256, 512)
RESIDUAL_BLOCKS = (3, 4, 6, 3)  # a level's, as in ResNet-34
SWIN_BLOCKS = 2  # at every level
HEADS = (2, 4, 8, 16)
PATCHES = {2: 32, 4: 16, 8: 8, 16: 8}  # the embedding's channels by patch side: fewer from the larger patches
DROP_PATH = 0.1  # the rate of the deepest block; it falls linearly to 0 at the first
DIVISOR = 2 ** len(WIDTHS)


def init_residual(module: nn.Module) -> None:
    """Draw a convolution's weights as ResNet does; all other layers keep PyTorch's start, as in the reference code."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ChannelAttention(EcaModule):
    """Add to the features themselves weighted by channel: the weight looks at a channel's mean and its two neighbors'.

    (N, C, H, W) -> (N, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + super().forward(x)


class MultiScale(nn.Module):
    """Halve the size with convolutions of several kernels side by side, then attend to channels.

    `channels` is how many channels each kernel gives; together they are the output's.
    """

    def __init__(self, in_channels: int, channels: dict[int, int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, kernel, stride=2, padding=(kernel - 2) // 2)
            for kernel, out_channels in channels.items()
        )
        self.attention = ChannelAttention()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, 2H, 2W) -> (N, out, H, W)."""
        return self.attention(torch.cat([conv(x) for conv in self.convs], dim=1))


def multi_scale(level: int, in_channels: int) -> nn.Sequential:
    """What a level adds to its convolutions: patches of the image at the first, elsewhere of the level before."""
    if level == 0:
        return nn.Sequential(MultiScale(in_channels, PATCHES), LayerNorm2d(WIDTHS[0], eps=1e-5))
    before = WIDTHS[level - 1]
    return nn.Sequential(LayerNorm2d(before, eps=1e-5), MultiScale(before, {2: before, 4: before}))


class AttendingMlp(Mlp):
    """A Swin block's MLP, with channel attention behind it. (N, L, C) -> (N, L, C)."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 4 * width)
        self.attention = ChannelAttention()

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, C), the tokens as one column of L positions for the attention."""
        x = super().forward(x).transpose(1, 2).unsqueeze(-1)  # (N, C, L, 1)
        return self.attention(x).squeeze(-1).transpose(1, 2)


def swin_block(level: int, index: int, image_size: int) -> SwinTransformerBlock:
    """A level's Swin block on (N, H, W, C); every second one shifts its windows by half, if there are several."""
    grid, window = image_size // 2 ** (level + 1), image_size // DIVISOR
    block = SwinTransformerBlock(
        dim=WIDTHS[level],
        input_resolution=(grid, grid),
        num_heads=HEADS[level],
        window_size=window,
        shift_size=window // 2 if index % 2 else 0,
        drop_path=DROP_PATH * (level * SWIN_BLOCKS + index) / (len(WIDTHS) * SWIN_BLOCKS - 1),
    )
    block.mlp = AttendingMlp(WIDTHS[level])
    block.attn.fused_attn = True  # plain softmax attention either way; timm writes it out for windows
    return block


class HybridLevel(nn.Module):
    """A level of the encoder: residual convolutions and multi-scale features, added, then Swin blocks on the sum."""

    def __init__(self, level: int, image_size: int, convolutions: nn.Module, scales: nn.Module) -> None:
        super().__init__()
        self.convolutions = convolutions.apply(init_residual)
        self.scales = scales
        self.transformer = nn.Sequential(*(swin_block(level, index, image_size) for index in range(SWIN_BLOCKS)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, 2H, 2W) -> (N, C, H, W)."""
        x = self.convolutions(x) + self.scales(x)
        return self.transformer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def hybrid_levels(in_channels: int, image_size: int) -> nn.ModuleList:
    """ResNet-34's stages, its stem unstrided and with the first, each made into a level."""
    stem = (
        nn.Conv2d(in_channels, WIDTHS[0], 7, padding=3, bias=False),
        nn.BatchNorm2d(WIDTHS[0]),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    stages, _ = make_blocks((BasicBlock,) * len(WIDTHS), WIDTHS, RESIDUAL_BLOCKS, inplanes=WIDTHS[0])
    return nn.ModuleList(
        HybridLevel(level, image_size, stage if level else nn.Sequential(*stem, stage), multi_scale(level, in_channels))
        for level, (_, stage) in enumerate(stages)
    )


class Up(nn.Module):
    """Double the size with a 2x2 up-convolution, join the skip, convolve."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.conv = nn.Sequential(
            nn.Conv2d(2 * out_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, out, 2H, 2W) -> (N, out, 2H, 2W)."""
        return self.conv(torch.cat([self.up(x), skip], dim=1))


class H2Former(nn.Module):
    """A U-Net with a hybrid encoder. (N, in_channels, H, W) -> (N, classes, H, W), H = W = image_size."""

    def __init__(self, in_channels: int, classes: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.encoder = hybrid_levels(in_channels, image_size)
        self.decoder = nn.ModuleList(
            Up(deep, shallow) for deep, shallow in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        )
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, image_size, image_size) -> (N, classes, image_size, image_size)."""
        self._check_size(x)
        skips: list[Tensor] = []
        for level in self.encoder:
            x = level(x)  # (N, WIDTHS[level], H / 2^(level + 1), W / 2^(level + 1))
            skips.append(x)
        skips.pop()  # the deepest features are x itself
        for block in self.decoder:
            x = block(x, skips.pop())
        return self.head(self.up(x))

    def _check_size(self, x: Tensor) -> None:
        """Refuse every other size: the windows and their attention masks are made for one grid."""
        side, height, width = self.image_size, int(x.shape[-2]), int(x.shape[-1])
        if height != side or width != side:
            raise UserError(
                f"h2former was built for {side}x{side} images, got {height}x{width}; "
                f"resize the input to {side}x{side}, or build the network for another image size"
            )


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """An H2Former with random weights for square images of one size, which must divide by 16."""
    if image_size % DIVISOR:
        raise bad_size("h2former", image_size, image_size, DIVISOR)
    return H2Former(in_channels, classes, image_size)
