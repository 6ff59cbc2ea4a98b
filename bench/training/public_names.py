"""The names of MDSA-UNet's weights in the public code (models/CNN/MDSA_UNet of U-Bench), and which of ours they are.

Both compute the same function, with weights of the same shapes. The public code divides every map into 8 regions a side
and is trained at 256 pixels; `mdsa_unet` does so too where the image size is a multiple of 256.
"""

import re
from collections.abc import Callable

BLOCK = {
    "pos_embed": "position", "norm1": "norm_attention", "norm2": "norm_glu",
    "attn.lepe": "attention.local", "attn.wo": "attention.project",
    "attn.aggregator.proj": "attention.aggregate.inward", "attn.aggregator.out_proj": "attention.aggregate.outward",
    "attn.aggregator.norm0": "attention.aggregate.scales.0.0",
    **{f"attn.aggregator.agg{n}.conv1": f"attention.aggregate.scales.{n}.0" for n in (1, 2, 3)},
    **{f"attn.aggregator.agg{n}.pointwise_conv": f"attention.aggregate.scales.{n}.1" for n in (1, 2, 3)},
    **{f"attn.aggregator.norm{n}": f"attention.aggregate.scales.{n}.2" for n in (1, 2, 3)},
    "mlp.fc1": "glu.inward", "mlp.dwconv3x3": "glu.context", "mlp.norm1": "glu.norm", "mlp.fc2": "glu.outward",
}  # fmt: skip
DOWN = {
    "patch_embed.0": "strided.0.0", "patch_embed.1": "strided.0.1", "aux_conv.0": "pooled.0.0",
    "aux_conv.1": "pooled.0.1", "aux_conv.3": "pooled.2.0", "aux_conv.4": "pooled.2.1",
}  # fmt: skip
FUSE = {
    "EUF.0": "point.0.0", "EUF.1": "point.0.1", "aux_conv.0": "local.0.0", "aux_conv.1": "local.0.1",
    "aux_conv.2": "local.1.0", "aux_conv.3": "local.1.1",
}  # fmt: skip
# Where a part is, how our name of it begins, and its layers. Their decoder begins at the deepest map, ours ends at 1.
PARTS: tuple[tuple[str, Callable[[int], str], dict[str, str]], ...] = (
    (r"encoder\.edms\.(\d)", lambda n: f"down{n + 1}", DOWN),
    (r"encoder\.layers\.(\d)\.block\.0", lambda n: f"encode{n + 1}", BLOCK),
    (r"decoder\.eufs\.(\d)", lambda n: f"fuse{2 - n}", FUSE),
    (r"decoder\.layers\.(\d)\.block\.0", lambda n: f"decode{2 - n}", BLOCK),
)


def own_name(name: str) -> str:
    """Our name of a weight that the public code calls `name`; `name` itself if it is none of that code.

    >>> own_name("decoder.eufs.0.EUF.1.running_mean"), own_name("encoder.layers.2.block.0.mlp.fc1.bias")
    ('fuse2.point.0.1.running_mean', 'encode3.glu.inward.bias')
    """
    for part, ours, layers in PARTS:
        if found := re.fullmatch(rf"(.*\.)?{part}\.(.+)\.(\w+)", name):
            before, number, layer, kind = found.groups()
            return f"{before or ''}{ours(int(number))}.{layers[layer]}.{kind}" if layer in layers else name
    return re.sub(r"(^|\.)cls\.(\w+)$", r"\1head.\2", name)
