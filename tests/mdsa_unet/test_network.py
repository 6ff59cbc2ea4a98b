"""MDSA-UNet computes the function on the design page: to the unit in parameters, to eight digits in its output."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from baselines.mdsa_unet_plain import PlainMDSAUNet
from baselines.mdsa_unet_plain import build as build_plain
from bench.mdsa_unet import MDSAUNet, build
from bench.measure.counters import by_fvcore

BLOCKS = {
    "down1": 24_032, "down2": 429_560, "down3": 1_694_912, "fuse2": 580_600, "fuse1": 124_720, "encode1": 129_632,
    "encode2": 765_680, "encode3": 1_931_648, "decode2": 765_680, "decode1": 129_632, "head": 129,
    "encode1.attention": 58_848, "encode2.attention": 342_960, "encode3.attention": 862_080,
    "encode1.attention.aggregate": 39_008, "encode2.attention.aggregate": 231_920,
    "encode3.attention.aggregate": 586_112,
}  # fmt: skip

FORMS = {"fast": build, "plain": build_plain}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("build", FORMS.values(), ids=FORMS)
def test_parameters_of_each_block_and_of_the_whole(build):
    with torch.device("meta"):
        network = build(3, 1, 224)
    assert {name: count(network.get_submodule(name)) for name in BLOCKS} == BLOCKS
    assert count(network) == 6_576_225


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


@pytest.mark.parametrize("build", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("size", VECTORS)
def test_vectors(size, build):
    """The table declares on these grounds that code rewritten to be faster computes the same function."""
    network = build(3, 1, size).double()
    fill(network)
    network.eval()
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, size, size))).requires_grad_()
    y = network(image)
    y.square().mean().backward()
    picked = (y.mean(), y.std(), y[0, 0, 0, 0], y[0, 0, 100, 50], y[0, 0, -1, -1], image.grad.norm())
    assert [value.item() for value in picked] == pytest.approx(VECTORS[size], abs=1e-8)


def test_inference_computes_what_training_code_does():
    """In inference images go one by one, sums are in place and batch norms are merged into weights."""
    network = build(3, 1, 112).double()
    fill(network)
    network.eval()
    images = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 112, 112)))
    with torch.inference_mode():
        found = network(images)
    torch.testing.assert_close(found, network(images), rtol=0, atol=1e-9)


@pytest.mark.parametrize("form", [MDSAUNet, PlainMDSAUNet])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (100, 64)])
def test_every_size_from_32_up_works(height, width, form):
    network = form()
    output = network(torch.randn(2, 3, height, width))
    output.mean().backward()
    assert output.shape == (2, 1, height, width)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("build", FORMS.values(), ids=FORMS)
def test_a_gray_image_is_three_equal_channels(build):
    network = build(1, 1, 64).eval()
    gray = torch.randn(1, 1, 64, 64)
    assert torch.equal(network(gray), network(gray.expand(-1, 3, -1, -1)))


def output_and_gradient(network: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in float64, without dropout, for what is random cannot be compared."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    output = network(images)
    output.square().mean().backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    return output.detach().double(), gradient.double()


@cache
def plain_definition(training: bool) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights, images, and what the plain definition makes of them in float64: output and gradient.

    5 regions of 4x4, 2x2 and 1x1 pixels: the sizes of regions that the network has at 112 and 7.
    """
    torch.manual_seed(0)
    network = PlainMDSAUNet(classes=2, regions=5).double()
    fill(network)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.randn(2, 3, 80, 80, dtype=torch.float64)
    return weights, images, *output_and_gradient(network.train(training), images)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-11), (torch.float32, 1e-5)], ids=str)
def test_it_computes_what_its_plain_definition_does_forward_and_backward(training, dtype, error):
    weights, images, exact, exact_gradient = plain_definition(training)
    network = MDSAUNet(3, 2, regions=5).double()
    network.load_state_dict(weights)
    output, gradient = output_and_gradient(network.to(dtype).train(training), images.to(dtype))
    assert (output - exact).norm() <= error * exact.norm()
    if training and dtype == torch.float32:
        # Batch statistics put values at the kink of a ReLU, where rounding decides on which side they are: the plain
        # form's own gradient differs by up to 2e-3 here.
        error = 1e-2
    assert (gradient - exact_gradient).norm() <= error * exact_gradient.norm()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (112, 70)])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_both_forms_agree_where_regions_are_padded(height, width, training):
    plain, network = PlainMDSAUNet(classes=2).double(), MDSAUNet(3, 2).double()
    fill(plain)
    network.load_state_dict(plain.state_dict())
    images = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, height, width)))
    (found, gradient), (expected, exact_gradient) = (
        output_and_gradient(one.train(training), images) for one in (network, plain)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(gradient, exact_gradient, rtol=1e-6, atol=1e-6)


def test_both_forms_start_from_the_same_weights():
    """Same names, same order, same distributions: of one seed."""
    states = []
    for form in FORMS.values():
        torch.manual_seed(3)
        states.append(form(3, 1, 64).state_dict())
    assert [*states[0]] == [*states[1]]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_both_forms_have_the_same_multiply_adds_but_for_regions_that_need_no_search():
    """In two stages a region keeps itself alone: there the fast form does not multiply 49 by 49 means of 128."""
    image = torch.randn(1, 3, 224, 224)
    fast, plain = (by_fvcore(form(3, 1, 224).eval(), image).macs for form in FORMS.values())
    assert (plain, plain - fast) == (4_501_320_320, 2 * 49 * 49 * 128)


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_torch_compile_takes_it_whole(training):
    torch.manual_seed(0)
    network = build(3, 1, 64).double().train(training)  # in float32 rounding alone can turn a choice of regions
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.set_grad_enabled(training):
        expected = network(images)
        found = torch.compile(network, backend="eager", fullgraph=True)(images)
    torch.testing.assert_close(found, expected)


def test_regions_of_a_fixed_size_keep_the_cost_of_a_pixel():
    """Attention's part of the multiply-adds grows faster than the image where regions grow with it, else not."""

    def macs(size: int, **regions: int) -> int:
        return by_fvcore(MDSAUNet(**regions).eval(), torch.randn(1, 3, size, size)).macs

    fixed, growing = (macs(256, **regions) / macs(128, **regions) for regions in ({"region_size": 8}, {"regions": 4}))
    assert fixed == pytest.approx(4, rel=0.02)
    assert growing > 4.3


def test_regions_of_8_pixels_at_224_are_the_7_by_7_of_the_paper():
    networks = [MDSAUNet(regions=7).eval(), MDSAUNet(region_size=8).eval()]
    networks[1].load_state_dict(networks[0].state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(networks[0](images), networks[1](images))
