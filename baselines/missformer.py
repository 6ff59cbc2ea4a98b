"""MISSFormer: Huang, Deng, Li, Yuan, "MISSFormer: An Effective Medical Image Segmentation Transformer".

arXiv:2109.07162 (2021); with Fu as "MISSFormer: An Effective Transformer for 2D Medical Image Segmentation" in IEEE
Transactions on Medical Imaging, doi:10.1109/TMI.2022.3230943. Reference code: ZhifangDeng/MISSFormer.

Size with 3 input channels and 1 class at 224x224: 35.45 M parameters, 8.1 G multiply-adds. Published: 42.46 M, 9.89 G.
The reference code makes 42,462,017 parameters (42,462,537 with the published 9 classes). Its forward pass uses
35,452,225 of them, the ones made here; 7,009,792 (7.01 M) never touch the output and are left out:
- the fusing layer and both blocks of the deepest decoder stage, which only enlarges: 6,895,104;
- two more layer norms in each Mix-FFN that runs: 114,688.
Of the multiply-adds, 1.77 G are a layer run twice on one input, and 0.03 G the 9 classes.

What differs from the reference code:
- attention and the overlapping patch embedding are timm's PVTv2 ones, which compute the same;
- the first layer of a Mix-FFN, whose output the reference computes twice, runs once;
- a one-channel image has a one-channel patch embedding; the reference repeats it to three channels;
- the bridge takes the sizes of its maps from the input, and so do all layers; the reference is tied to 224x224;
- the bridge cuts its shortened maps into tokens of neighboring channels, as it cuts the maps themselves; the reference
  takes every second or fifth channel there, which is the same but for the order of a convolution's filters.
"""

import torch
from timm.models.pvt_v2 import Attention, OverlapPatchEmbed
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import bad_size

WIDTHS = (64, 128, 320, 512)
HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)  # how much shorter each side of a level's map is for keys and values
DEPTH = 2  # blocks a stage, in encoder and decoder
BRIDGE_DEPTH = 4
TOKEN = WIDTHS[0]  # channels of a token in the bridge; a pixel of a wider level is several tokens
PATCH = 4
DIVISOR = PATCH * 2 ** (len(WIDTHS) - 1)

Sizes = list[tuple[int, int]]  # height and width of every level's map


def check_size(x: Tensor) -> None:
    """Refuse sides that the five halvings cannot divide: skips would not fit, nor the maps that are made shorter."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if height % DIVISOR or width % DIVISOR:
        raise bad_size("missformer", height, width, DIVISOR)


def init_decoder(module: nn.Module) -> None:
    """Xavier's uniform for the decoder; encoder and bridge keep PyTorch's start, as in the reference code."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def to_tokens(maps: list[Tensor]) -> Tensor:
    """Every level's (N, H, W, C) in one row of tokens (N, L, 64)."""
    return torch.cat([level.reshape(level.shape[0], -1, TOKEN) for level in maps], dim=1)


def to_maps(tokens: Tensor, sizes: Sizes) -> list[Tensor]:
    """The reverse of `to_tokens`."""
    lengths = [height * width * channels // TOKEN for (height, width), channels in zip(sizes, WIDTHS, strict=True)]
    parts = tokens.split(lengths, dim=1)
    return [part.reshape(part.shape[0], *size, -1) for part, size in zip(parts, sizes, strict=True)]


class EnhancedMixFFN(nn.Module):
    """A feed-forward whose hidden features are joined by their own 3x3 neighborhood, then normalized."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        self.expand = nn.Linear(channels, hidden)
        self.local = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.norm = nn.LayerNorm(hidden)
        self.reduce = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        hidden = self.expand(x)
        local = self.local(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.reduce(F.gelu(self.norm(local + hidden)))


class Block(nn.Module):
    """The enhanced transformer block: attention with shorter keys and values, then the Mix-FFN."""

    def __init__(self, level: int) -> None:
        super().__init__()
        channels = WIDTHS[level]
        self.norm1 = nn.LayerNorm(channels)
        self.attention = Attention(channels, HEADS[level], sr_ratio=REDUCTIONS[level])
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = EnhancedMixFFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to the same."""
        size = (x.shape[1], x.shape[2])
        attended = self.attention(self.norm1(x).flatten(1, 2), size)
        x = x + attended.unflatten(1, size)
        return x + self.mlp(self.norm2(x))


class Stage(nn.Module):
    """A level of the encoder: overlapping patches, its blocks, a layer norm."""

    def __init__(self, level: int, in_channels: int) -> None:
        super().__init__()
        kernel, stride = (3, 2) if level else (7, PATCH)
        self.embed = OverlapPatchEmbed(kernel, stride, in_channels, WIDTHS[level])
        self.blocks = nn.Sequential(*(Block(level) for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTHS[level])

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, H / 2, W / 2, C), or a fourth of the sides at the first level."""
        return self.norm(self.blocks(self.embed(x)))


class BridgeAttention(nn.Module):
    """One head in which every token of every level attends to all levels, each made as short as the deepest."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(TOKEN, TOKEN)
        self.key_value = nn.Linear(TOKEN, 2 * TOKEN)
        self.shorten = nn.ModuleList(
            nn.Conv2d(channels, channels, ratio, stride=ratio) if ratio > 1 else nn.Identity()
            for channels, ratio in zip(WIDTHS, REDUCTIONS, strict=True)
        )
        self.norm = nn.LayerNorm(TOKEN)
        self.project = nn.Linear(TOKEN, TOKEN)

    def forward(self, tokens: Tensor, sizes: Sizes) -> Tensor:
        """(N, L, 64) to the same."""
        short = [
            shorten(level.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            for shorten, level in zip(self.shorten, to_maps(tokens, sizes), strict=True)
        ]
        key, value = self.key_value(self.norm(to_tokens(short))).unsqueeze(1).chunk(2, dim=-1)
        attended = F.scaled_dot_product_attention(self.query(tokens).unsqueeze(1), key, value)
        return self.project(attended.squeeze(1))


class BridgeLayer(nn.Module):
    """Attention across levels, then a Mix-FFN for each level's map."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(TOKEN)
        self.attention = BridgeAttention()
        self.norm2 = nn.LayerNorm(TOKEN)
        self.mlps = nn.ModuleList(EnhancedMixFFN(channels) for channels in WIDTHS)

    def forward(self, tokens: Tensor, sizes: Sizes) -> Tensor:
        """(N, L, 64) to the same."""
        tokens = tokens + self.attention(self.norm1(tokens), sizes)
        maps = to_maps(self.norm2(tokens), sizes)
        return tokens + to_tokens([mlp(level) for mlp, level in zip(self.mlps, maps, strict=True)])


class ContextBridge(nn.Module):
    """The enhanced transformer context bridge, in the place of plain skips: the levels' maps, seen together."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BridgeLayer() for _ in range(BRIDGE_DEPTH))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Every level's (N, H, W, C) to the same."""
        sizes = [(level.shape[1], level.shape[2]) for level in maps]
        tokens = to_tokens(maps)
        for layer in self.layers:
            tokens = layer(tokens, sizes)
        return to_maps(tokens, sizes)


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
    """Expand to the level's grid with half the channels, join what the bridge gives, run the blocks."""

    def __init__(self, level: int) -> None:
        super().__init__()
        deep, channels = WIDTHS[level + 1], WIDTHS[level]
        self.expand = PatchExpand(deep, deep // 2, factor=2)
        self.fuse = nn.Linear(deep // 2 + channels, channels)
        self.blocks = nn.Sequential(*(Block(level) for _ in range(DEPTH)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, H, W, deep) and (N, 2H, 2W, C) -> (N, 2H, 2W, C)."""
        return self.blocks(self.fuse(torch.cat([self.expand(x), skip], dim=-1)))


class MISSFormer(nn.Module):
    """A U of transformer blocks around a context bridge. (N, in_channels, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(Stage(level, before) for level, before in enumerate((in_channels, *WIDTHS[:-1])))
        self.bridge = ContextBridge()
        self.decoder = nn.ModuleList(Up(level) for level in reversed(range(len(WIDTHS) - 1)))
        self.expand = PatchExpand(WIDTHS[0], WIDTHS[0], factor=PATCH)
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)
        for part in (self.decoder, self.expand, self.head):
            part.apply(init_decoder)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, classes, H, W)."""
        check_size(x)
        maps: list[Tensor] = []
        for stage in self.encoder:
            level = stage(x)  # (N, H / (4 * 2^level), W / (4 * 2^level), WIDTHS[level])
            maps.append(level)
            x = level.permute(0, 3, 1, 2)
        maps = self.bridge(maps)
        x = maps.pop()
        for block in self.decoder:
            x = block(x, maps.pop())
        return self.head(self.expand(x).permute(0, 3, 1, 2))


def build(in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A MISSFormer with random weights; it takes every size that divides by 32, so `image_size` changes nothing."""
    return MISSFormer(in_channels, classes)
