"""TransUNet: Chen et al., "TransUNet: Transformers Make Strong Encoders for Medical Image Segmentation".

2021, arXiv:2102.04306. Reference code: Beckschen/TransUNet. This is the hybrid form, R50-ViT-B/16.

Size with 3 input channels and 1 class at 224x224: 105.28 M parameters, 29.4 G multiply-adds; 105.28 M is also what
later papers count.

What differs from the reference code:
- the ResNet and the transformer blocks are timm's; the weights are random, not ImageNet-21k's, and a one-channel image
  has a one-channel first layer where the reference repeats it to three;
- the group norm of a projected shortcut has 32 groups as all others have, and all have PyTorch's epsilon; the reference
  norms every channel of these shortcuts alone, with an epsilon of 1e-6;
- the weights of the ResNet's convolutions are standardized with an epsilon of 1e-6, the reference's is 1e-5,
  which changes the output by 2.0e-4 of its size;
- the max pool of the stem reaches over the lower and right edge ("same" padding), so that a side of H / 4 comes out;
  the reference loses a row and a column there and fills the skip's with zeros.
"""

import torch
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from bench.errors import UserError, bad_size

STEM = 64
RESNET_WIDTHS = (256, 512, 1024)
RESNET_BLOCKS = (3, 4, 9)  # ResNet-50's fourth stage is left out, and its three blocks go to the third
HIDDEN = 768  # ViT-B
HEADS = 12
LAYERS = 12
DROPOUT = 0.1
BOTTLENECK = 512
DECODER_WIDTHS = (256, 128, 64, 16)
SKIP_WIDTHS = (512, 256, STEM, 0)  # nothing is joined at the full size
DIVISOR = 2 ** len(DECODER_WIDTHS)


def transformer_block() -> Block:
    """A ViT block on (N, L, HIDDEN), its MLP with the reference code's dropout and start."""
    block = Block(HIDDEN, HEADS, qkv_bias=True)
    block.mlp.drop1.p = block.mlp.drop2.p = DROPOUT  # type: ignore[union-attr]  # an argument would reach attention too
    for layer in (block.mlp.fc1, block.mlp.fc2):
        nn.init.xavier_uniform_(layer.weight)  # type: ignore[union-attr, arg-type]  # timm's MLP has linear layers
        nn.init.normal_(layer.bias, std=1e-6)  # type: ignore[union-attr, arg-type]
    return block


class ConvNormReLU(nn.Sequential):
    """3x3 convolution, batch norm, ReLU. (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class Transformer(nn.Module):
    """A ViT whose patches are the single positions of a feature map, and which gives a map back."""

    def __init__(self, in_channels: int, grid: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(in_channels, HIDDEN, 1)
        self.position = nn.Parameter(torch.zeros(1, grid * grid, HIDDEN))
        self.dropout = nn.Dropout(DROPOUT)
        self.blocks = nn.Sequential(*(transformer_block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, grid, grid) -> (N, HIDDEN, grid, grid)."""
        x = self.embed(x)
        tokens = x.flatten(2).transpose(1, 2) + self.position  # (N, grid^2, HIDDEN)
        tokens = self.norm(self.blocks(self.dropout(tokens)))
        return tokens.transpose(1, 2).reshape(x.shape)


class Up(nn.Module):
    """Double the size, join the skip where there is one, convolve twice."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv = nn.Sequential(
            ConvNormReLU(in_channels + skip_channels, out_channels), ConvNormReLU(out_channels, out_channels)
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """(N, in, H, W) and (N, skip, 2H, 2W) -> (N, out, 2H, 2W)."""
        x = self.up(x)
        return self.conv(x if skip is None else torch.cat([x, skip], dim=1))


class TransUNet(nn.Module):
    """ResNet, then ViT, then the cascaded upsampler. (N, in_channels, H, W) -> (N, classes, H, W), H = W = image_size.

    The ResNet's norm and convolutions are BiT's: group norm, and weights standardised before use, whose scale at the
    start therefore does not matter.
    """

    def __init__(self, in_channels: int, classes: int, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.resnet = ResNetV2(
            layers=list(RESNET_BLOCKS),
            channels=RESNET_WIDTHS,
            stem_chs=STEM,
            num_classes=0,
            in_chans=in_channels,
            preact=False,
            stem_type="same",
        )
        self.transformer = Transformer(RESNET_WIDTHS[-1], image_size // DIVISOR)
        self.bottleneck = ConvNormReLU(HIDDEN, BOTTLENECK)
        self.decoder = nn.ModuleList(
            Up(deep, skip, shallow)
            for deep, skip, shallow in zip((BOTTLENECK, *DECODER_WIDTHS[:-1]), SKIP_WIDTHS, DECODER_WIDTHS, strict=True)
        )
        self.head = nn.Conv2d(DECODER_WIDTHS[-1], classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, image_size, image_size) -> (N, classes, image_size, image_size)."""
        self._check_size(x)
        # The stem's features before its pool, and each stage's: sides of H / 2, H / 4, H / 8 and H / 16.
        *skips, x = self.resnet.forward_intermediates(x, intermediates_only=True)  # type: ignore[assignment]  # a list
        x = self.bottleneck(self.transformer(x))
        for block in self.decoder:
            x = block(x, skips.pop() if skips else None)
        return self.head(x)

    def _check_size(self, x: Tensor) -> None:
        """Refuse every other size: there is one position embedding for each place of one grid."""
        side, height, width = self.image_size, int(x.shape[-2]), int(x.shape[-1])
        if height != side or width != side:
            raise UserError(
                f"transunet was built for {side}x{side} images, got {height}x{width}; "
                f"resize the input to {side}x{side}, or build the network for another image size"
            )


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A TransUNet with random weights for square images of one size, which must divide by 16."""
    if image_size % DIVISOR:
        raise bad_size("transunet", image_size, image_size, DIVISOR)
    return TransUNet(in_channels, classes, image_size)
