"""A grouped and dilated convolution learns rightly in bfloat16 and channels-last memory."""

import pytest
import torch
from torch import nn

from bench.training.guard import guarded


@pytest.mark.parametrize("dilation", [2, 5])
def test_the_gradient_of_the_weights_is_that_of_double_precision(dilation):
    def layer() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(16, 16, 3, padding=dilation, dilation=dilation, groups=16))

    network, exact = guarded(layer().to(memory_format=torch.channels_last)), layer().double()
    images = torch.randn(2, 16, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(images.to(memory_format=torch.channels_last))
    output.float().square().mean().backward()
    exact(images.double()).square().mean().backward()
    (found,), (wanted,) = ([p.grad for p in one.parameters() if p.dim() == 4] for one in (network, exact))
    assert (found.double() - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_other_layers_are_left_alone():
    network = guarded(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, dilation=2)))
    assert not any(module._forward_pre_hooks for module in network.modules())
