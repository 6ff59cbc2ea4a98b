"""Networks from installed packages of others, unmodified, by the paths of their files."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from bench.networks import find_network


def installed(package: str, file: str) -> str:
    """The path of a file of an installed package."""
    return str(Path(find_spec(package).submodule_search_locations[0]) / file)


# A list with deep supervision; arguments without defaults; a dict; a network for volumes that is told to be flat.
STRANGERS = {
    "MONAI's UNet++": (
        "monai", "networks/nets/basic_unetplusplus.py",
        "BasicUNetPlusPlus?spatial_dims=2&features=(8, 8, 8, 16, 16, 8)",
    ),
    "MONAI's Attention U-Net": (
        "monai", "networks/nets/attentionunet.py", "AttentionUnet?spatial_dims=2&channels=(8, 16, 32)&strides=(2, 2)",
    ),
    "torchvision's LR-ASPP": (
        "torchvision", "models/segmentation/lraspp.py", "lraspp_mobilenet_v3_large?weights_backbone=none",
    ),
    "MONAI's SegResNet": ("monai", "networks/nets/segresnet.py", "SegResNet?spatial_dims=2"),
}  # fmt: skip


@pytest.mark.parametrize(("package", "file", "name"), STRANGERS.values(), ids=list(STRANGERS))
def test_it_is_built_for_these_images_and_learns(package, file, name):
    network = find_network(f"{installed(package, file)}:{name}").build(3, 4, 32)
    output = network.train()(torch.rand(2, 3, 32, 32))
    maps = output if isinstance(output, tuple) else (output,)
    assert maps[0].shape == (2, 4, 32, 32)
    sum(one.mean() for one in maps).backward()
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 32, 32)).shape == (1, 4, 32, 32)
