"""MDSA-UNet computes the function on the design page: to the unit in parameters, to eight digits in its output."""

import math

import numpy as np
import pytest
import torch
from plain_mdsa_unet import PlainMDSAUNet
from torch import nn

from bench.mdsa_unet import MDSAUNet, SparseAttention, build, from_regions, to_regions

BLOCKS = {
    "down1": 24_032, "down2": 429_560, "down3": 1_694_912, "fuse2": 580_600, "fuse1": 124_720, "encode1": 129_632,
    "encode2": 765_680, "encode3": 1_931_648, "decode2": 765_680, "decode1": 129_632, "head": 129,
    "encode1.attention": 58_848, "encode2.attention": 342_960, "encode3.attention": 862_080,
    "encode1.attention.aggregate": 39_008, "encode2.attention.aggregate": 231_920,
    "encode3.attention.aggregate": 586_112,
}  # fmt: skip


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("name", "parameters"), BLOCKS.items())
def test_parameters_of_each_block(name, parameters):
    assert count(build(3, 1, 224).get_submodule(name)) == parameters


def test_parameters_of_the_whole():
    assert count(build(3, 1, 224)) == 6_576_225


def fill(network: nn.Module) -> None:
    """The rule of the test vectors: weights from their number and shape alone."""
    norms = {id(m.weight) for m in network.modules() if isinstance(m, nn.LayerNorm | nn.BatchNorm2d)}
    for parameter in network.parameters():
        n = parameter.numel()
        values = np.random.RandomState(n).standard_normal(n)
        if parameter.dim() > 1:
            values *= math.sqrt(parameter.shape[0] / n)
        else:
            values = 1 + 0.1 * values if id(parameter) in norms else 0.1 * values
        parameter.data = torch.from_numpy(values).view(parameter.shape)


VECTORS = {
    224: (14.21406136, 2.52461224, 14.24306978, 14.00646694, 25.17903663, 7.40378213),
    256: (14.24513391, 2.47741186, 13.29082228, 14.37364033, 26.48631486, 6.53694249),
}


@pytest.mark.parametrize("size", VECTORS)
def test_vectors(size):
    network = build(3, 1, size).double()
    fill(network)
    network.eval()
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, size, size))).requires_grad_()
    y = network(image)
    y.square().mean().backward()
    picked = (y.mean(), y.std(), y[0, 0, 0, 0], y[0, 0, 100, 50], y[0, 0, -1, -1], image.grad.norm())
    assert [value.item() for value in picked] == pytest.approx(VECTORS[size], abs=1e-8)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (100, 64)])
def test_every_size_from_32_up_works(height, width):
    network = MDSAUNet()
    output = network(torch.randn(2, 3, height, width))
    output.mean().backward()
    assert output.shape == (2, 1, height, width)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_a_grey_image_is_three_equal_channels():
    network = build(1, 1, 64).eval()
    grey = torch.randn(1, 1, 64, 64)
    assert torch.equal(network(grey), network(grey.expand(-1, 3, -1, -1)))


def test_regions_are_put_back_where_they_were():
    y = torch.arange(2 * 6 * 9 * 4).view(2, 6, 9, 4).float()
    cells = to_regions(y, 3)
    assert cells.shape == (2, 9, 6, 4)
    assert torch.equal(cells[0, 1], y[0, 0:2, 3:6].reshape(6, 4))
    assert torch.equal(from_regions(cells, 3, 6, 9), y)


def dense(y: torch.Tensor, scale: float, heads: int) -> torch.Tensor:
    """Plain multi-head attention of every pixel to every pixel, written out."""
    n, height, width, dim = y.shape
    q = y.view(n, -1, heads, dim // heads).transpose(1, 2)
    found = (q @ q.transpose(2, 3) * scale).softmax(-1) @ q
    return found.transpose(1, 2).reshape(n, height, width, dim)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (5, 7)])
def test_keeping_all_regions_is_dense_attention_and_padding_takes_no_part(height, width):
    attention = SparseAttention(64, regions=3, top_k=9)
    y = torch.randn(2, height, width, 64)
    torch.testing.assert_close(attention.attend(y), dense(y, 64**-0.5, heads=2))


def test_a_region_keeps_those_most_like_it():
    attention = SparseAttention(32, regions=2, top_k=2)
    directions = torch.zeros(4, 32)
    directions[0, 0], directions[1, 1], directions[2, 0], directions[3, 1] = 1.0, 1.0, 5.0, 7.0
    cells = directions.view(1, 4, 1, 32).expand(1, 4, 3, 32)
    kept = attention.choose(cells, real=None)[0].sort(-1).values.tolist()
    assert kept == [[0, 2], [1, 3], [0, 2], [1, 3]]  # by angle, not by length


def output_and_gradient(network: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in float64, without dropout, for what is random cannot be compared."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    output = network(images)
    output.square().mean().backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    return output.detach().double(), gradient.double()


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-11), (torch.float32, 1e-5)], ids=str)
def test_it_computes_what_its_plain_definition_does_forward_and_backward(training, dtype, error):
    torch.manual_seed(0)
    filled = build(3, 2, 112).double()
    fill(filled)
    images = torch.randn(2, 3, 112, 112, dtype=torch.float64)

    def found(network: nn.Module, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        network.double().load_state_dict(filled.state_dict())
        return output_and_gradient(network.to(dtype).train(training), images.to(dtype))

    exact, exact_gradient = found(PlainMDSAUNet(classes=2), torch.float64)
    output, gradient = found(build(3, 2, 112), dtype)
    assert (output - exact).norm() <= error * exact.norm()
    if training and dtype == torch.float32:
        # Batch statistics put values on the kink of a ReLU, and rounding decides on which side of it: the plain form's
        # own gradient strays by up to 2e-3 here.
        error = 1e-2
    assert (gradient - exact_gradient).norm() <= error * exact_gradient.norm()
