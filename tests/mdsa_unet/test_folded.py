"""EUF for deployment against EUF, the sum of shifted maps against a convolution, and `fold` on the whole network."""

from collections import Counter

import pytest
import torch
from normed import used
from torch import nn
from torch.nn import functional as F

from bench.mdsa_unet import build
from bench.mdsa_unet.attention import SparseAttention
from bench.mdsa_unet.folded import FoldedFuse, by_offset, sum_by_fold, sum_by_shifts, sum_offsets
from bench.mdsa_unet.layers import Position
from bench.mdsa_unet.network import Fuse
from bench.measure.forms.folded import fold

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def maps(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64).to(DEVICE, memory_format=torch.channels_last)


@pytest.mark.parametrize("way", [sum_offsets, sum_by_fold, sum_by_shifts])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 4), (1, 1)])
def test_a_3x3_convolution_is_a_1x1_convolution_and_a_sum_of_shifts(way, height, width):
    torch.manual_seed(0)
    x, weight = maps(2, 6, height, width), maps(4, 6, 3, 3)
    offsets = F.conv2d(x, by_offset(weight)[:, :, None, None])
    torch.testing.assert_close(way(offsets), F.conv2d(x, weight, padding=1))


@pytest.mark.parametrize("deep", [(4, 6), (3, 4), (8, 9)], ids=["a half", "less than a half", "as large"])
def test_euf_deployed_is_euf(deep):
    torch.manual_seed(0)
    fuse = used(Fuse(24, 16)).to(DEVICE)
    deeper, skip = maps(2, 24, *deep), maps(2, 16, 8, 9)
    before = skip.clone()
    with torch.inference_mode():
        torch.testing.assert_close(fuse.folded_form()(deeper, skip), fuse(deeper, skip))
    assert torch.equal(skip, before)


def test_a_folded_network_has_the_forms_of_its_modules_and_leaves_the_network_as_it_is():
    network = used(build(3, 1, 32))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold(network, torch.rand(1, 3, 32, 32, dtype=torch.float64))
    kinds = Counter(type(module) for module in folded.modules())
    assert (kinds[Fuse], kinds[FoldedFuse], kinds[Position], kinds[nn.BatchNorm2d]) == (0, 2, 0, 0)
    assert all(module.local.bias is None for module in folded.modules() if isinstance(module, SparseAttention))
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_what_modules_share_is_not_changed_for_both():
    network = used(build(3, 1, 32))
    for shared in ("position", "attention.project", "attention.aggregate.inward"):
        layer, other = (block.get_submodule(shared) for block in (network.encode1, network.decode1))
        other.weight, other.bias = layer.weight, layer.bias
    images = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(fold(network, images)(images), network(images))
