"""Shares of pairs attended, by hand, and regions that attentions select."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.mdsa_unet import build
from bench.measure.attention import attended, attended_regions
from bench.networks import find_network


class Windows(nn.Module):
    """64 pixels in windows of 16, each with so many keys from anywhere."""

    def __init__(self, windows: int, keys: int) -> None:
        super().__init__()
        self.windows, self.keys = windows, keys

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries = x.flatten(2).transpose(1, 2).reshape(self.windows, 1, -1, x.shape[1])
        keys = queries.flatten(0, 2)[: self.keys].expand(self.windows, 1, -1, -1)
        return F.scaled_dot_product_attention(query=queries, key=keys, value=keys)


@pytest.mark.parametrize(("windows", "keys", "share"), [(1, 64, 1.0), (4, 16, 1 / 4), (4, 32, 1 / 2), (16, 4, 1 / 16)])
def test_by_hand(windows, keys, share):
    assert attended(nn.Sequential(Windows(windows, keys)), torch.rand(1, 3, 8, 8)) == {"0": pytest.approx(share)}


class ByHand(nn.Module):
    """The same without fused attention: a product, a softmax, a product."""

    def __init__(self, windows: int, keys: int, axis: int = -1) -> None:
        super().__init__()
        self.windows, self.keys, self.axis = windows, keys, axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries = x.flatten(2).transpose(1, 2).reshape(self.windows, 1, -1, x.shape[1])
        keys = queries.flatten(0, 2)[: self.keys].expand(self.windows, 1, -1, -1)
        return (queries @ keys.transpose(2, 3)).softmax(self.axis) @ keys


@pytest.mark.parametrize(("windows", "keys", "share"), [(1, 64, 1.0), (4, 32, 1 / 2), (16, 4, 1 / 16)])
def test_attention_written_out_by_hand(windows, keys, share):
    assert attended(nn.Sequential(ByHand(windows, keys)), torch.rand(1, 3, 8, 8)) == {"0": pytest.approx(share)}


def test_a_softmax_over_something_else_is_no_attention():
    assert attended(ByHand(4, 16, axis=1), torch.rand(1, 3, 8, 8)) == {}
    assert attended(nn.Softmax(-1), torch.rand(1, 3, 8, 8)) == {}


def test_mdsa_unet_attends_to_1_4_and_16_of_49_regions_by_stage():
    network = find_network("mdsa_unet").build(3, 1, 224)
    assert attended(network, torch.rand(1, 3, 224, 224)) == pytest.approx(
        {
            "encode1.attention": 1 / 49, "encode2.attention": 4 / 49, "encode3.attention": 16 / 49,
            "decode2.attention": 4 / 49, "decode1.attention": 1 / 49,
        }
    )  # fmt: skip


def test_a_network_without_attention_has_no_share_and_no_hook_is_left():
    network = nn.Sequential(nn.Conv2d(3, 1, 1))
    assert attended(network, torch.rand(1, 3, 8, 8)) == {}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


# ---- regions ---------------------------------------------------------------------------------------------------------


def test_every_attention_of_mdsa_unet_is_seen_and_nothing_is_changed():
    torch.manual_seed(0)
    network = build(3, 1, 64).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        before = network(images)
        with attended_regions(network) as regions:
            seen = network(images)
            network(images[:1])
        after = network(images)
    assert torch.equal(before, seen)
    assert torch.equal(before, after)
    shapes = {name.partition(".")[0]: found.shape for name, found in regions.items()}
    assert shapes == {
        "encode1": (3, 49, 1), "encode2": (3, 49, 4), "encode3": (3, 49, 16),
        "decode2": (3, 49, 4), "decode1": (3, 49, 1),
    }  # fmt: skip
    assert "choose" not in vars(network.encode1.attention)


def test_a_region_attends_to_itself_before_others():
    torch.manual_seed(0)
    network = build(3, 1, 112).eval()
    with torch.inference_mode(), attended_regions(network) as regions:
        network(torch.rand(1, 3, 112, 112))
    first = next(found for name, found in regions.items() if name.startswith("encode1"))
    assert first[0, :, 0].tolist() == list(range(49))


def test_networks_without_choices_give_none():
    with attended_regions(torch.nn.Conv2d(3, 1, 1)) as regions:
        pass
    assert regions == {}
