"""Each way of doing a product gives what torch's own layer gives, in value and gradient."""

import pytest
import torch
from torch import nn

from bench.mdsa_unet.layers import Chain, Depthwise, NormOfPart, Pixelwise, Pointwise, Position, conv_bn, dense_gradient

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def image() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 12, 5, 7, dtype=torch.float64).to(DEVICE, memory_format=torch.channels_last)


def twin(layer: nn.Module, plain: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Both with the same weights, in float64 on the device."""
    plain.load_state_dict(layer.state_dict())
    return layer.to(DEVICE, torch.float64), plain.to(DEVICE, torch.float64)


def same(found: torch.Tensor, expected: torch.Tensor, layers: tuple[nn.Module, nn.Module]) -> None:
    torch.testing.assert_close(found, expected)
    ours, plain = layers
    given_of, right_of = (
        torch.autograd.grad(found.sin().sum(), [*ours.parameters()]),
        torch.autograd.grad(expected.sin().sum(), [*plain.parameters()]),
    )
    for given, right in zip(given_of, right_of, strict=True):
        torch.testing.assert_close(given, right)


def test_a_linear_map_of_every_pixel():
    ours, plain = layers = twin(Pixelwise(12, 6), nn.Linear(12, 6))
    x = image().permute(0, 2, 3, 1)
    same(ours(x), plain(x), layers)


@pytest.mark.parametrize("bias", [False, True])
def test_a_1x1_convolution(bias):
    ours, plain = layers = twin(Pointwise(12, 6, bias=bias), nn.Conv2d(12, 6, 1, bias=bias))
    same(ours(image()), plain(image()), layers)


def test_a_convolution_of_each_channel_by_itself():
    ours, plain = layers = twin(Depthwise(12, 5), nn.Conv2d(12, 12, 5, padding=2, groups=12))
    same(ours(image()), plain(image()), layers)
    with torch.no_grad():
        torch.testing.assert_close(ours(image()), plain(image()))
        ours.bias = None
    torch.testing.assert_close(ours(image()), plain(image()) - plain.bias[:, None, None])


def test_the_gradient_of_maps_that_are_concatenated_lies_densely():
    maps = image().requires_grad_()

    def joined(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = torch.cat([part, image()], dim=1)
        return both, torch.autograd.grad(both.sin().sum(), maps)[0]

    (found, dense), (expected, part) = joined(dense_gradient(maps)), joined(maps)
    torch.testing.assert_close((found, dense), (expected, part))
    assert not is_dense(part)
    assert is_dense(dense) == (DEVICE == "cpu")
    with torch.no_grad():
        assert dense_gradient(maps) is maps


def is_dense(maps: torch.Tensor) -> bool:
    return maps.is_contiguous(memory_format=torch.channels_last)


def test_a_batch_norm_of_a_part_of_a_map():
    ours, plain = layers = twin(NormOfPart(4), nn.BatchNorm2d(4))
    same(ours(image()[:, :4]), plain(image()[:, :4]), layers)


def test_a_position_is_added_and_in_inference_may_be_one_convolution():
    ours, plain = layers = twin(Position(12), nn.Conv2d(12, 12, 3, padding=1, groups=12))
    same(ours(image()), image() + plain(image()), layers)
    with torch.no_grad():
        expected = ours(image())
        torch.testing.assert_close(ours.folded_form()(image()), expected)


@pytest.mark.parametrize("bias", [False, True])
def test_a_batch_norm_in_the_weights_before_it_is_the_batch_norm(bias):
    layers = nn.Conv2d(12, 6, 3, 2, 1, bias=bias), nn.BatchNorm2d(6), nn.ReLU(), nn.BatchNorm2d(6), Pointwise(6, 4)
    plain, ours = nn.Sequential(*layers).to(DEVICE, torch.float64), Chain(*layers)
    for layer in plain:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight), nn.init.normal_(layer.bias)
    plain(image())  # for running statistics
    plain.eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(image()), plain(image()))
    torch.testing.assert_close(ours(image()), plain(image()))


def test_in_training_a_batch_norm_sees_the_batch():
    ours = conv_bn(12, 4, 1).to(DEVICE, torch.float64)
    with torch.no_grad():
        found = ours(image())
    assert ours[1].num_batches_tracked == 1
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros_like(found[0, :, 0, 0]))


@pytest.mark.parametrize("part", [0, 1])
def test_hooks_of_layers_are_called_in_inference(part):
    ours, seen = conv_bn(12, 4, 3).to(DEVICE, torch.float64).eval(), []
    ours[part].register_forward_hook(lambda *called: seen.append(part))
    with torch.no_grad():
        ours(image())
    assert seen == [part]


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


NORM = nn.BatchNorm2d(12)
PLAIN = nn.Conv2d(12, 12, 3, padding=1)


@pytest.mark.parametrize(
    "layers",
    [
        (Doubled(12, 12, 1), NORM),
        (PLAIN, nn.BatchNorm2d(12, affine=False)),
        (PLAIN, nn.BatchNorm2d(12, track_running_stats=False)),
        (nn.Conv2d(12, 12, 3, padding=1, padding_mode="reflect"), NORM),
        (PLAIN, NORM, nn.ReLU(), NORM),
        (NORM, PLAIN),
    ],
    ids=["a class of its own", "no weights", "no statistics", "padding that is not zero", "used twice", "before"],
)
def test_what_could_be_joined_wrongly(layers):
    plain, ours = (form(*layers).to(DEVICE, torch.float64).eval() for form in (nn.Sequential, Chain))
    with torch.no_grad():
        torch.testing.assert_close(ours(image()), plain(image()))


def test_half_precision_keeps_its_batch_norm():
    layers = nn.Conv2d(12, 6, 3).to(torch.bfloat16), nn.BatchNorm2d(6)  # in float32, as torch advises
    plain, ours = (form(*layers).to(DEVICE).eval() for form in (nn.Sequential, Chain))
    with torch.no_grad():
        assert torch.equal(ours(image().bfloat16()), plain(image().bfloat16()))
